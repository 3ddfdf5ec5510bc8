/* One `clusterd executor` child: its process and the socket to it. */
#ifndef RUN_EXECUTOR_PROCESS_H
#define RUN_EXECUTOR_PROCESS_H

#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "wire/message.h"

struct executor_process;

/* Called on the loop, never from inside a function of this header. */
struct executor_process_ops {
    /* Belongs to the callee until it returns; may be changed. */
    void (*on_message)(void *arg, enum wire_type type, ProtobufCMessage *message);
    /* The process is gone; `why`: "signal 9", "exit status 2", ... The last call. */
    void (*on_gone)(void *arg, const char *why);
};

/* Starts `program` executor with its scratch directory as home and nothing of our environment but
 * what sanitizers need. -errno. */
int executor_process_start(struct loop *loop, const char *program, const char *dir,
                           const struct executor_process_ops *ops, void *arg,
                           struct executor_process **out);

/* Queues a message; what cannot be sent any more is dropped: on_gone follows. */
void executor_process_send(struct executor_process *p, enum wire_type type,
                           const ProtobufCMessage *message);
/* The same with a frame that is packed already; takes the buffer's content. */
void executor_process_send_frame(struct executor_process *p, struct buf *frame);
/* The same with a frame in parts, and the message that they are of: takes both. */
void executor_process_send_parts(struct executor_process *p, struct wire_parts *parts,
                                 ProtobufCMessage *message);

void executor_process_kill(struct executor_process *p);
int executor_process_pid(const struct executor_process *p);

/* Kills it, and no callback comes any more. Frees when the handles are closed. */
void executor_process_free(struct executor_process *p);

#endif
