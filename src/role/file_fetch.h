/* Copies of uploaded files, fetched piece by piece from the nodes that hold them.
 *
 * The holders are asked in turn, this node first: whoever does not answer, or gives something else
 * than the checksum says, is passed over, and the next one begins from the start. */
#ifndef ROLE_FILE_FETCH_H
#define ROLE_FILE_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"

enum {
    FILE_FETCH_PIECE_BYTES_MAX = 256 * 1024,
    FILE_FETCH_TIMEOUT_MS = 15000, /* for each piece */
    FILE_FETCH_HOLDERS_MAX = 16,
};

struct node;
struct file_fetch;

/* Everything is copied. */
struct file_fetch_spec {
    const char *id;   /* UUID of the file */
    const char *path; /* does not exist yet; removed again on failure */
    uint64_t bytes;   /* 0: not known */
    const char *xxh;  /* XXH3_64bits in hex; "": not checked here, as any other length */
    const uint64_t *holders;
    size_t holders_n; /* 0: the leader is asked, for the checksum too */
};

/* code 0, or a negative one and a sentence. Once, never from inside a function of this header. */
typedef void (*file_fetch_fn)(void *arg, int code, const char *text);

struct file_fetch *file_fetch_start(struct node *node, const struct file_fetch_spec *spec,
                                    file_fetch_fn fn, void *arg);
/* `fn` follows with ERR_CANCELLED. */
void file_fetch_cancel(struct file_fetch *fetch);

/* Members that hold the file of a task, as far as they are known here. Returns how many. */
size_t file_fetch_holders(const struct node *node, const Wire__TaskFile *file,
                          uint64_t holders[static FILE_FETCH_HOLDERS_MAX]);

#endif
