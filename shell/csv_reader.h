/* Records of CSV (RFC 4180) or of tab-separated text as PostgreSQL's COPY writes it. */
#ifndef SHELL_CSV_READER_H
#define SHELL_CSV_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"

enum { CSV_READER_FIELDS_MAX = 4096, CSV_READER_RECORD_BYTES_MAX = 4 * 1024 * 1024 };

struct csv_reader {
    FILE *file;       /* borrowed */
    char delimiter;   /* ',' */
    char quote;       /* '"'; 0: none, backslashes escape, \N is NULL */
    const char *null; /* text of NULL where it is not in quotes; borrowed */

    uint64_t line;  /* of the file, from 1, where the record begins */
    uint64_t ended; /* lines that were read */
    struct buf bytes;
    size_t *starts; /* of the fields in `bytes`, each ends with NUL */
    bool *quoted;
    size_t n;
    size_t cap;
    size_t quoted_cap;
};

void csv_reader_init(struct csv_reader *reader, FILE *file);
void csv_reader_done(struct csv_reader *reader);

/* 1 and the record's fields, 0 at the end; ERR_INVALID for a quote that is not closed, text that is
 * no UTF-8 or a NUL character; ERR_TOO_LARGE; -errno. Errors name the line. */
int csv_reader_next(struct csv_reader *reader, struct error *e);

/* Field `i` of the record; NULL for NULL. Borrowed until the next record. */
const char *csv_reader_field(const struct csv_reader *reader, size_t i);

#endif
