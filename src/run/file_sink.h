/* Writes a stream of unknown length to a file without ever blocking the loop, in bounded memory.
 *
 * Bytes go into one buffer while libuv's pool writes the other one. When both are full the sink
 * takes less than it is given, and says when there is room again. After an error it takes and drops
 * everything; file_sink_finish() reports it.
 */
#ifndef RUN_FILE_SINK_H
#define RUN_FILE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { FILE_SINK_BUFFER_SIZE = 128 * 1024 }; /* two of them */

struct file_sink;

/* `fd` is borrowed until the end; bytes go to its file position. */
struct file_sink *file_sink_new(uv_loop_t *loop, int fd);

/* Called when file_sink_write() took less than it was given and there is room now. */
void file_sink_on_ready(struct file_sink *sink, void (*fn)(void *arg), void *arg);

/* Takes up to `len` bytes and returns how many. */
size_t file_sink_write(struct file_sink *sink, const void *data, size_t len);

/* 0 or the -errno that ended it. */
int file_sink_error(const struct file_sink *sink);
uint64_t file_sink_bytes(const struct file_sink *sink);
uint64_t file_sink_xxh3(const struct file_sink *sink); /* XXH3_64bits of what it took */

/* Writes what is left, syncs the file when `sync`, calls `fn` with 0 or -errno (never from inside
 * this), then frees the sink. */
void file_sink_finish(struct file_sink *sink, bool sync, void (*fn)(void *arg, int rc), void *arg);

/* Drops what is not written, calls `fn` when the descriptor is no longer in use (maybe from inside
 * this), frees the sink. Also in place of the fn of file_sink_finish(). */
void file_sink_cancel(struct file_sink *sink, void (*fn)(void *arg), void *arg);

#endif
