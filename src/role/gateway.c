/* The parts of the gateway under one role: each has its own file; this one hands them their
 * messages and ends them. */
#include "role/gateway.h"

#include <stdlib.h>

#include "base/mem.h"
#include "role/exec_api.h"
#include "role/exec_server.h"
#include "role/file_store.h"
#include "role/file_sweep.h"
#include "role/files_api.h"
#include "role/node.h"
#include "role/output_api.h"

struct gateway {
    struct node *node;
    struct exec_server *exec_server; /* NULL once stopping, as the next */
    struct file_store *file_store;
    struct file_sweep *file_sweep;
    struct exec_api *exec_api;
    struct files_api *files_api;
    struct output_api *output_api;
    unsigned closing; /* parts that have not closed yet */
};

/* ---- messages ---------------------------------------------------------------------------------*/

static void gateway_on_exec_start(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct gateway *gateway = self;
    if (gateway->exec_server != NULL)
        exec_server_on_start(gateway->exec_server, from, (const Wire__ExecStart *)message);
}

static void gateway_on_exec_credit(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct gateway *gateway = self;
    if (gateway->exec_server != NULL)
        exec_server_on_credit(gateway->exec_server, from, (const Wire__ExecCredit *)message);
}

static void gateway_on_exec_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct gateway *gateway = self;
    if (gateway->exec_server != NULL)
        exec_server_on_cancel(gateway->exec_server, from, (const Wire__ExecCancel *)message);
}

static void gateway_on_file_read(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct gateway *gateway = self;
    if (gateway->file_store != NULL)
        file_store_on_read(gateway->file_store, from, (const Wire__FileRead *)message);
}

static void gateway_on_file_copy(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct gateway *gateway = self;
    if (gateway->file_store != NULL)
        file_store_on_copy(gateway->file_store, from, (const Wire__FileCopy *)message);
}

static void gateway_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct gateway *gateway = self;
    if (session == 0 && gateway->exec_server != NULL)
        exec_server_lost(gateway->exec_server, peer);
}

/* ---- life -------------------------------------------------------------------------------------*/

static int gateway_start(struct node *node, void **self, struct error *e)
{
    struct gateway *gateway = mem_zalloc(sizeof *gateway);
    gateway->node = node;
    int err = file_store_new(node, &gateway->file_store, e);
    if (err == 0)
        err = exec_server_new(node, &gateway->exec_server, e);
    if (err < 0) {
        free(gateway);
        return err;
    }
    gateway->file_sweep = file_sweep_new(node);
    gateway->exec_api = exec_api_new(node);
    gateway->files_api = files_api_new(node);
    gateway->output_api = output_api_new(node);
    *self = gateway;
    return 0;
}

static void gateway_on_closed(void *arg)
{
    struct gateway *gateway = arg;
    if (--gateway->closing == 0)
        node_role_stopped(gateway->node);
}

static void gateway_stop(void *self)
{
    struct gateway *gateway = self;
    struct exec_server *exec_server = gateway->exec_server;
    struct file_store *file_store = gateway->file_store;
    gateway->closing = 5;
    exec_api_stop(gateway->exec_api);
    output_api_stop(gateway->output_api);
    gateway->exec_server = NULL;
    gateway->file_store = NULL;
    files_api_close(gateway->files_api, gateway_on_closed, gateway);
    exec_server_close(exec_server, gateway_on_closed, gateway);
    file_store_close(file_store, gateway_on_closed, gateway);
    file_sweep_close(gateway->file_sweep, gateway_on_closed, gateway);
    gateway_on_closed(gateway);
}

static void gateway_free(void *self)
{
    struct gateway *gateway = self;
    exec_api_free(gateway->exec_api);
    files_api_free(gateway->files_api);
    output_api_free(gateway->output_api);
    free(gateway);
}

static const struct role_handler gateway_handlers[] = {
    {WIRE_EXEC_START, gateway_on_exec_start},   {WIRE_EXEC_CREDIT, gateway_on_exec_credit},
    {WIRE_EXEC_CANCEL, gateway_on_exec_cancel}, {WIRE_FILE_READ, gateway_on_file_read},
    {WIRE_FILE_COPY, gateway_on_file_copy},     {0, NULL},
};

const struct role gateway_role = {
    .name = "gateway",
    .start = gateway_start,
    .stop = gateway_stop,
    .free = gateway_free,
    .on_link = gateway_on_link,
    .handlers = gateway_handlers,
};
