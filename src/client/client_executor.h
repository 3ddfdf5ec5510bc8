/* SQL in a console that has no cluster: a `clusterd executor` (wire/sql.proto) of its own, with the
 * locks of a node's, for one statement at a time. Nothing here blocks but a request that the
 * executor doesn't read, for CLIENT_EXECUTOR_SEND_S. */
#ifndef CLIENT_CLIENT_EXECUTOR_H
#define CLIENT_CLIENT_EXECUTOR_H

#include "base/error.h"
#include "wire/message.h"

enum { CLIENT_EXECUTOR_SEND_S = 5 };

struct client_executor;

/* Starts the clusterd that stands beside this program, else the first on PATH. It may use `dir`,
 * an absolute path, alone, and keeps its own files in `scratch`, which is empty. Its first message
 * is SqlReady. ERR_NOT_FOUND: there is no clusterd; -errno. */
int client_executor_start(const char *dir, const char *scratch, struct client_executor **executor,
                          struct error *e);
/* Kills it, whatever it does. NULL allowed. */
void client_executor_free(struct client_executor *executor);

/* Readable when client_executor_next() may have something. */
int client_executor_fd(const struct client_executor *executor);
/* ERR_UNAVAILABLE: it is gone, or doesn't read; ERR_TOO_LARGE. */
int client_executor_send(struct client_executor *executor, enum wire_type type,
                         const ProtobufCMessage *message, struct error *e);
/* 1: *type and *message, yours (wire_free), have come; 0: nothing more yet. ERR_UNAVAILABLE: it is
 * gone; ERR_PROTOCOL: it says what it should not. */
int client_executor_next(struct client_executor *executor, enum wire_type *type,
                         ProtobufCMessage **message, struct error *e);

#endif
