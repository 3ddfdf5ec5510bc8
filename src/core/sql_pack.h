/* Which small files of a table OPTIMIZE puts together: files of one partition, in their order, as
 * many as make one of the size that is aimed at. Files that are half as large already stay. */
#ifndef CORE_SQL_PACK_H
#define CORE_SQL_PACK_H

#include <stddef.h>
#include <stdint.h>

struct sql_pack_file {
    uint64_t size;
    const char *const *values; /* of the partition columns; NULL is null */
};

/* Writes places in `files`, pack by pack, to out[0..]: pack p is out[first[p]] to
 * out[first[p+1]-1]. Every pack has two files or more. `out` has room for n, `first` for n / 2 + 1
 * (the least for 1). Returns the number of packs. */
size_t sql_pack(const struct sql_pack_file *files, size_t n, size_t values_n, uint64_t target,
                size_t *out, size_t *first);

#endif
