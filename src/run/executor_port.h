/* An executor's end of its socket, shared by its two threads: the one that reads it and the one
 * that works. Rows are sent only when the daemon has given credit for them. */
#ifndef RUN_EXECUTOR_PORT_H
#define RUN_EXECUTOR_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"

struct executor_port {
    int fd; /* blocking */
    pthread_mutex_t send_lock;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    int64_t credit; /* bytes; may be below 0 after a large row */
    bool is_cancelled;
};

void executor_port_init(struct executor_port *port, int fd);

/* The worker: sends a whole frame. The process ends when the daemon is gone. */
void executor_port_send(struct executor_port *port, enum wire_type type,
                        const ProtobufCMessage *message);

/* Waits until there is credit. false: the task was cancelled. */
bool executor_port_wait(struct executor_port *port);
void executor_port_spend(struct executor_port *port, uint64_t bytes);
bool executor_port_is_cancelled(struct executor_port *port);

/* The reader. */
void executor_port_begin(struct executor_port *port, uint64_t credit); /* another task */
void executor_port_credit(struct executor_port *port, uint64_t bytes);
void executor_port_cancel(struct executor_port *port);

#endif
