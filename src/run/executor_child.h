/* The executor process: `clusterd executor`, started by run/executor.c, speaks wire/sql.proto over
 * a stream socket. One thread reads the socket, another works on one task at a time. */
#ifndef RUN_EXECUTOR_CHILD_H
#define RUN_EXECUTOR_CHILD_H

#include "wire/message.h"

enum { EXECUTOR_FD = WIRE_EXECUTOR_FD };

/* Serves tasks on `fd` until it is closed. Returns the exit status of the process. */
int executor_main(int fd);

#endif
