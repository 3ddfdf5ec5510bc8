/* One end of the socket between the daemon and its spawner: batches of records, see
 * spawn_message.h. */
#ifndef RUN_SPAWN_CHANNEL_H
#define RUN_SPAWN_CHANNEL_H

#include <stddef.h>

#include "base/buf.h"
#include "run/spawn_message.h"

struct spawn_channel {
    int fd;
    struct buf out; /* records that wait to be sent */
    struct buf in;  /* the packet being read */
};

/* `body` may be written to; valid during the call. A negative code stops reading and is returned.
 */
typedef int (*spawn_channel_fn)(void *arg, enum spawn_message_type type,
                                struct spawn_message_cursor body);

/* Takes `fd`, which must not block. */
void spawn_channel_init(struct spawn_channel *ch, int fd, size_t out_bytes_max);
void spawn_channel_done(struct spawn_channel *ch); /* closes */

/* Sends what waits. 1: some is left because the peer doesn't read, try again when it is writable;
 * ERR_CLOSED: the peer is gone. */
int spawn_channel_flush(struct spawn_channel *ch);

/* Reads at most `packets_max` packets and hands their records out. 0, ERR_CLOSED when the peer is
 * gone, ERR_PROTOCOL, or what `fn` returned. */
int spawn_channel_receive(struct spawn_channel *ch, unsigned packets_max, spawn_channel_fn fn,
                          void *arg);

#endif
