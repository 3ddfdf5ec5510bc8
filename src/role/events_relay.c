/* Streams for another node, which has the client: chunks go as far as its credit reaches. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/events_internal.h"

enum { EVENTS_CREDIT_MAX = 16 << 20 };

struct events_relay {
    struct events *events;
    struct events_reader *reader; /* NULL once it has ended */
    uint64_t from;
    uint64_t call;
    uint64_t credit;
    TAILQ_ENTRY(events_relay) link;
};

static struct events_relay *relay_find(struct events *events, uint64_t from, uint64_t call)
{
    struct events_relay *relay;
    TAILQ_FOREACH (relay, &events->relays, link)
        if (relay->from == from && relay->call == call)
            return relay;
    return NULL;
}

static void relay_free(struct events_relay *relay)
{
    if (relay->reader != NULL)
        events_reader_free(relay->reader);
    TAILQ_REMOVE(&relay->events->relays, relay, link);
    free(relay);
}

static void relay_refuse(struct events *events, uint64_t to, uint64_t call, const struct error *e)
{
    Wire__EventChunk chunk = WIRE__EVENT_CHUNK__INIT;
    chunk.call = call;
    chunk.eof = true;
    if (e != NULL) {
        chunk.code = e->code;
        chunk.text = (char *)(uintptr_t)e->text;
    }
    (void)node_send(events->node, to, WIRE_EVENT_CHUNK, &chunk.base);
}

static int relay_write(void *arg, const void *data, size_t len)
{
    struct events_relay *relay = arg;
    Wire__EventChunk chunk = WIRE__EVENT_CHUNK__INIT;
    chunk.call = relay->call;
    chunk.data.data = (uint8_t *)(uintptr_t)data;
    chunk.data.len = len;
    if (node_send(relay->events->node, relay->from, WIRE_EVENT_CHUNK, &chunk.base) < 0)
        return ERR_CLOSED;
    relay->credit -= len < relay->credit ? len : relay->credit;
    return relay->credit == 0;
}

static void relay_end(void *arg, const struct error *e)
{
    struct events_relay *relay = arg;
    relay->reader = NULL;
    relay_refuse(relay->events, relay->from, relay->call, e);
    relay_free(relay);
}

void events_on_read(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventRead *read = (const Wire__EventRead *)message;
    struct events_query query;
    struct error e = {0};
    enum events_what what = strncmp(read->target, "/api/vitals", 11) == 0   ? EVENTS_OF_VITALS
                            : strncmp(read->target, "/api/report", 11) == 0 ? EVENTS_OF_REPORT
                                                                            : EVENTS_OF_STREAM;
    bool here = events->collecting || read->own || (read->partial && !events_has_collector(events));
    if (!here || events->stopping)
        (void)error_set(&e, ERR_NOT_LEADER, "this node does not collect the events: ask again");
    else if (events->readers_n >= EVENTS_READERS_MAX)
        (void)error_set(&e, ERR_BUSY, "%d clients read the events already", EVENTS_READERS_MAX);
    else
        (void)events_query_parse(events, read->target, what, &query, &e);
    if (e.code < 0) {
        relay_refuse(events, from, read->call, &e);
        return;
    }
    if (read->own) {
        query.own = query.has_since = true;
        query.own_after = read->own_after;
        query.since_ms = read->own_since_ms < INT64_MAX ? (int64_t)read->own_since_ms : INT64_MAX;
    }
    struct events_relay *relay = mem_zalloc(sizeof *relay);
    relay->events = events;
    relay->from = from;
    relay->call = read->call;
    relay->credit = read->credit < EVENTS_CREDIT_MAX ? read->credit : EVENTS_CREDIT_MAX;
    TAILQ_INSERT_TAIL(&events->relays, relay, link);
    struct events_out out = {.write = relay_write, .end = relay_end, .arg = relay};
    relay->reader = events_reader_new(events, &query, &out);
}

void events_on_credit(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventCredit *credit = (const Wire__EventCredit *)message;
    struct events_relay *relay = relay_find(events, from, credit->call);
    if (relay == NULL || credit->bytes == 0)
        return;
    uint64_t room = EVENTS_CREDIT_MAX - relay->credit;
    bool waits = relay->credit == 0;
    relay->credit += credit->bytes < room ? credit->bytes : room;
    if (waits && relay->reader != NULL)
        events_reader_resume(relay->reader);
}

void events_on_read_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    struct events_relay *relay =
        relay_find(events, from, ((const Wire__EventReadCancel *)message)->call);
    if (relay != NULL)
        relay_free(relay);
}

void events_relays_lost(struct events *events, uint64_t peer)
{
    struct events_relay *relay = TAILQ_FIRST(&events->relays);
    while (relay != NULL) {
        struct events_relay *next = TAILQ_NEXT(relay, link);
        if (relay->from == peer)
            relay_free(relay);
        relay = next;
    }
}
