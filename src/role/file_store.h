/* Uploaded files on this node: DATA/files/<id>, read by other nodes in pieces, and copies that
 * other nodes ask this one to keep. */
#ifndef ROLE_FILE_STORE_H
#define ROLE_FILE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/message.h"

enum {
    FILE_STORE_READS_MAX = 256, /* at once; further ones are told ERR_BUSY */
    FILE_STORE_COPIES_MAX = 16,
    FILE_STORE_XXH_MAX = 17, /* XXH3_64bits in hex, with NUL */
};

struct node;
struct file_store;

/* Creates the directory and removes what an earlier process left unfinished. */
int file_store_new(struct node *node, struct file_store **out, struct error *e);
/* Ends what is under way and calls `closed`, then frees. */
void file_store_close(struct file_store *store, void (*closed)(void *arg), void *arg);

/* malloc'ed path; NULL unless `id` is a UUID. The file need not be there. */
char *file_store_path(const struct node *node, const char *id);
bool file_store_has(const struct node *node, const char *id);
const char *file_store_format_xxh(uint64_t xxh3, char out[static FILE_STORE_XXH_MAX]);

/* Handlers of WIRE_FILE_READ and WIRE_FILE_COPY. */
void file_store_on_read(struct file_store *store, uint64_t from, const Wire__FileRead *message);
void file_store_on_copy(struct file_store *store, uint64_t from, const Wire__FileCopy *message);

#endif
