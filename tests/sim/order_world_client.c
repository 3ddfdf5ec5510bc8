/* Clients: each has some messages on their way, asks again, anywhere, when no answer comes, and now
 * and then repeats a message that was answered long ago. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/order_world.h"

static void ow_client_submit(struct ow *w, unsigned client, uint64_t number)
{
    unsigned node = (unsigned)prng_below(&w->time.prng, w->nodes_n);
    for (unsigned i = 0; i < w->nodes_n && w->healed; i++) {
        const struct ow_node *n = &w->nodes[node];
        if (n->up && order_state(n->order) != ORDER_STATE_OUTSIDE)
            break;
        node = (node + 1) % w->nodes_n;
    }
    struct ow_client *c = &w->clients[client];
    char text[32];
    int len = snprintf(text, sizeof text, "%u/%llu", client, (unsigned long long)number);
    const struct order_submit submit = {
        .client = c->id,
        .number = number,
        .channel = "all",
        .channel_len = 3,
        .sender = "someone",
        .sender_len = 7,
        .payload = text,
        .payload_len = (uint32_t)len,
        .token = ((uint64_t)client << 32) | number,
    };
    c->messages[number].wanted = true;
    if (w->nodes[node].up && w->nodes[node].paused_until_ms <= w->time.now_ms)
        ow_node_step(
            w, node,
            (struct order_event){.type = ORDER_EVENT_SUBMIT, .submits = &submit, .submits_n = 1});
}

/* Asks until it is answered. */
static void ow_client_ask(struct ow *w, struct ow_event *event)
{
    unsigned client = event->node;
    const struct ow_message *message = &w->clients[client].messages[event->number];
    if (message->acked)
        return;
    struct ow_event *again = ow_at(w, ow_ms(w, 50, 800), ow_client_ask);
    again->node = client;
    again->number = event->number;
    ow_client_submit(w, client, event->number);
}

static void ow_client_wake(struct ow *w, struct ow_event *event)
{
    struct ow_client *client = &w->clients[event->node];
    while (client->open < client->window && client->next <= client->total) {
        struct ow_event *ask = ow_at(w, ow_ms(w, 0, 30), ow_client_ask);
        ask->node = event->node;
        ask->number = client->next++;
        client->open++;
    }
    if (client->next > 1 && ow_chance(w, 30))
        ow_client_submit(w, event->node, 1 + prng_below(&w->time.prng, client->next - 1));
    if (!w->healed || client->next <= client->total)
        ow_at(w, ow_ms(w, 20, 400), ow_client_wake)->node = event->node;
}

void ow_client_init(struct ow *w)
{
    w->clients_n = 1 + (unsigned)prng_below(&w->time.prng, OW_CLIENTS_MAX);
    for (unsigned i = 0; i < w->clients_n; i++) {
        struct ow_client *client = &w->clients[i];
        client->id.bytes[0] = (uint8_t)(i + 1);
        client->next = 1;
        client->total = 1 + prng_below(&w->time.prng, OW_NUMBERS_MAX);
        client->window = 1 + (unsigned)prng_below(&w->time.prng, 6);
        ow_at(w, ow_ms(w, 0, 500), ow_client_wake)->node = i;
    }
}

void ow_client_reply(struct ow *w, unsigned node, const struct order_reply *reply)
{
    struct ow_client *client = &w->clients[reply->token >> 32];
    uint64_t number = reply->token & UINT32_MAX;
    struct ow_message *message = &client->messages[number];
    if (memcmp(&client->id, &reply->client, sizeof client->id) != 0 || number != reply->number)
        ow_wrong(w, "an answer to another question");
    if (reply->code < 0) {
        if (reply->code == ERR_INVALID || reply->code == ERR_TOO_LARGE)
            ow_wrong(w, "message %u/%u is refused: %s", (unsigned)(reply->token >> 32),
                     (unsigned)number, err_text(reply->code));
        return;
    }
    if (message->seq == 0)
        ow_wrong(w, "node %u acknowledges %u/%u, which nobody delivered", node + 1,
                 (unsigned)(reply->token >> 32), (unsigned)number);
    if (reply->seq != 0 && reply->seq != message->seq)
        ow_wrong(w, "node %u says that %u/%u is entry %llu, it is %llu", node + 1,
                 (unsigned)(reply->token >> 32), (unsigned)number, (unsigned long long)reply->seq,
                 (unsigned long long)message->seq);
    if (message->acked)
        return;
    message->acked = true;
    client->open--;
}

bool ow_client_is_done(const struct ow *w)
{
    for (unsigned i = 0; i < w->clients_n; i++) {
        const struct ow_client *client = &w->clients[i];
        for (uint64_t number = 1; number <= client->total; number++) {
            if (!client->messages[number].acked)
                return false;
        }
    }
    return true;
}
