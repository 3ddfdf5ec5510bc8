/* Uploaded files as tasks get them on this node: fetched once, whoever asks meanwhile waits for the
 * same fetch, and kept in DATA/file-cache up to a bound, the longest unused going first, also over
 * a restart.
 *
 * A task always gets a copy of its own, whose checksum is compared while it is made: what happened
 * to the kept file, by whatever hand, is noticed, and the file fetched again. Where this node is
 * one of the holders of the upload, that is copied and nothing kept. A file without a checksum, or
 * larger than the bound, is fetched straight to where it is wanted. */
#ifndef ROLE_FILE_CACHE_H
#define ROLE_FILE_CACHE_H

#include <stdint.h>

#include "base/error.h"
#include "role/file_fetch.h"
#include "run/task_run.h"

struct node;
struct file_cache;

/* Makes the directory, takes stock of what is there, removes what is unfinished. `bytes_max` 0:
 * keeps nothing, yet shares fetches. */
int file_cache_new(struct node *node, uint64_t bytes_max, struct file_cache **out, struct error *e);
/* NULL allowed. Everything asked for has been given or cancelled. */
void file_cache_free(struct file_cache *cache);

/* How the attempts of a worker get at uploaded files. */
struct task_run_files file_cache_for_tasks(struct file_cache *cache);

/* Removes all that nobody uses now: the disk is full. */
void file_cache_clear(struct file_cache *cache);

#endif
