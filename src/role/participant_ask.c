/* Asks every participant the same question over the peer links; a node that doesn't answer is a row
 * with its error. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/participant_internal.h"

enum { ASK_TIMEOUT_MS = 3000 };

struct ask {
    json_t *rows;
    size_t left;
    participant_asked_fn fn;
    void *arg;
};

struct ask_one {
    struct ask *ask;
    json_t *row; /* borrowed of the rows */
};

static void ask_end(struct ask *ask)
{
    if (--ask->left > 0)
        return;
    ask->fn(ask->arg, ask->rows);
    json_decref(ask->rows);
    free(ask);
}

static void ask_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct ask_one *one = arg;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    json_t *json =
        reply != NULL ? json_loadb((const char *)reply->body.data, reply->body.len, 0, NULL) : NULL;
    if (reply != NULL && reply->status == 200 && json_is_object(json))
        json_object_update_missing(one->row, json);
    else
        json_object_set_new(one->row, "error",
                            json_string(reply != NULL ? "it gives no answer" : err_text(code)));
    json_decref(json);
    struct ask *ask = one->ask;
    free(one);
    ask_end(ask);
}

static int ask_order(const void *a, const void *b)
{
    return nodeset_compare_names((*(Wire__Node *const *)a)->name, (*(Wire__Node *const *)b)->name);
}

void participant_ask_all(struct node *node, const char *path, participant_asked_fn fn, void *arg)
{
    const Wire__Members *members = node_members(node);
    Wire__Node **sorted = mem_calloc(members->n_nodes + 1, sizeof(Wire__Node *));
    for (size_t i = 0; i < members->n_nodes; i++)
        sorted[i] = members->nodes[i];
    qsort(sorted, members->n_nodes, sizeof *sorted, ask_order);
    struct ask *ask = mem_zalloc(sizeof *ask);
    ask->rows = json_array();
    ask->left = 1;
    ask->fn = fn;
    ask->arg = arg;
    for (size_t i = 0; i < members->n_nodes; i++) {
        if (!participant_takes_part(sorted[i]))
            continue;
        struct ask_one *one = mem_zalloc(sizeof *one);
        one->ask = ask;
        one->row = json_pack("{s:s}", "node", sorted[i]->name);
        json_array_append_new(ask->rows, one->row);
        ask->left++;
        Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
        request.method = (char *)(uintptr_t) "GET";
        request.path = (char *)(uintptr_t)path;
        request.user = (char *)(uintptr_t) "clusterd";
        request.hops = 2;
        request.here = true;
        (void)node_call(node, sorted[i]->id, WIRE_API_REQUEST, &request.base, false, ASK_TIMEOUT_MS,
                        ask_on_reply, one);
    }
    free(sorted);
    ask_end(ask);
}
