/* Commands that run on this node now, for whoever asks over a link: their output flows as fast as
 * the asker gives credit, and waits in files meanwhile. They end with the asker's link. */
#ifndef ROLE_EXEC_SERVER_H
#define ROLE_EXEC_SERVER_H

#include <stdint.h>

#include "base/error.h"
#include "wire/message.h"

enum {
    EXEC_SERVER_RUNS_MAX = 256, /* at once; further ones are told ERR_BUSY */
    EXEC_SERVER_PIECE_BYTES_MAX = 64 * 1024,
    EXEC_SERVER_CREDIT_MIN = 16 * 1024, /* what a run is started with, at least and at most */
    EXEC_SERVER_CREDIT_MAX = 256 * 1024,
};

struct node;
struct exec_server;

/* Creates its directory, empty. Nodes without the worker role refuse every command. */
int exec_server_new(struct node *node, struct exec_server **out, struct error *e);
/* Kills what runs, tells who asked, calls `closed` when all is gone, frees. */
void exec_server_close(struct exec_server *server, void (*closed)(void *arg), void *arg);

/* Handlers of WIRE_EXEC_START, _CREDIT, _CANCEL, and of a link that went down. */
void exec_server_on_start(struct exec_server *server, uint64_t from,
                          const Wire__ExecStart *message);
void exec_server_on_credit(struct exec_server *server, uint64_t from,
                           const Wire__ExecCredit *message);
void exec_server_on_cancel(struct exec_server *server, uint64_t from,
                           const Wire__ExecCancel *message);
void exec_server_lost(struct exec_server *server, uint64_t peer);

#endif
