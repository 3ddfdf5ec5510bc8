/* Copies of uploaded files, fetched piece by piece from the nodes that hold them.
 *
 * The holders are asked in turn, this node first: whoever does not answer, or gives something else
 * than the checksum says, is passed over, and the next one begins from the start. */
#ifndef ROLE_FILE_FETCH_H
#define ROLE_FILE_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/task_run.h"

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

/* How the attempts of a worker get at uploaded files. */
struct task_run_files file_fetch_for_tasks(struct node *node);

#endif
