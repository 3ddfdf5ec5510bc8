/* Who is at the other end of a TCP connection that stays on this machine: the user whose process
 * holds that end, as the kernel tells it (sock_diag(7)). It can't be made up by the peer. */
#ifndef RUN_PEER_USER_H
#define RUN_PEER_USER_H

#include <sys/types.h>

/* `fd`: our end. Blocks for one round trip to the kernel. 0; ERR_UNSUPPORTED when the peer isn't on
 * a loopback address; ERR_NOT_FOUND when no process holds its end any more; -errno. */
int peer_user_of(int fd, uid_t *out);

#endif
