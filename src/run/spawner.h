/* The spawner process: `clusterd spawner`, started by run/spawn.c, speaks run/spawn_message.h on a
 * SOCK_SEQPACKET socket. */
#ifndef RUN_SPAWNER_H
#define RUN_SPAWNER_H

enum { SPAWNER_FD = 3 };

/* Serves requests on `fd` until it is closed, then kills all that it started. Returns the exit
 * status of the process. Call it first in main: it is to stay small. */
int spawner_main(int fd);

#endif
