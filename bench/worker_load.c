/* Many workers that do nothing but belong to a cluster: each joins under a name of its own over a
 * link of its own, beats once a second and answers the pings. With -e each of them also has so many
 * events a second for the collector, of which it keeps the latest as a node would, and leaves out
 * the numbers of the others.
 *
 * usage: worker_load [-n WORKERS] [-e EVENTS] [-t SECONDS] ADDRESS JOIN_TOKEN
 *
 * ADDRESS is the peer address of the leader. Prints "online" when the leader has answered a
 * heartbeat of each; SECONDS later (0: when it is killed) it prints one JSON object: workers,
 * heartbeats, acks, lost, the links that went down, and events: told, taken by the collector, left
 * out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "run/link.h"
#include "run/loop.h"
#include "wire/event.pb-c.h"

enum {
    WORKER_LOAD_MAX = 5000,
    WORKER_LOAD_BEAT_MS = 1000,
    WORKER_LOAD_STAGGER_MS = 2, /* between the first links of two workers */
    WORKER_LOAD_MEMORY_BYTES = 1 << 30,
    WORKER_LOAD_EVENTS_MS = 20,
    WORKER_LOAD_EVENTS_KEPT = 4096,
    WORKER_LOAD_BATCH = 512,
};

struct worker_load;

struct worker_load_node {
    struct worker_load *load;
    struct link_set *set;
    struct link *link; /* NULL: down */
    struct loop_timer timer;
    char name[16];
    char uuid[UUID_TEXT_MAX];
    uint64_t id; /* 0: has not joined */
    uint64_t boot;
    uint64_t sequence;
    bool is_full_wanted;
    bool is_online;
    struct loop_timer teller; /* while a collector asks for events */
    int64_t told_ms;          /* since when */
    uint64_t term;            /* of the collector */
    uint64_t told, sent, taken, skipped;
    bool in_flight;
};

struct worker_load {
    struct loop *loop;
    struct worker_load_node *nodes;
    unsigned n;
    unsigned seconds;
    unsigned events; /* a second, of each */
    const char *address;
    const char *token;
    struct loop_timer end;
    unsigned online;
    unsigned closed;
    uint64_t heartbeats;
    uint64_t acks;
    uint64_t lost;
};

static void worker_load_die(const char *what, const char *why)
{
    fprintf(stderr, "worker_load: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static struct link_identity worker_load_identity(const struct worker_load_node *node,
                                                 const char *cluster_id)
{
    return (struct link_identity){.cluster_id = cluster_id,
                                  .node_id = node->id,
                                  .node_uuid = node->uuid,
                                  .name = node->name,
                                  .version = "load",
                                  .peer_address = "",
                                  .api_address = ""};
}

/* ---- what a worker says -----------------------------------------------------------------------
 */

static void worker_load_join(struct worker_load_node *node)
{
    Wire__JoinRequest request = WIRE__JOIN_REQUEST__INIT;
    Wire__Node row = WIRE__NODE__INIT;
    row.uuid = node->uuid;
    row.name = node->name;
    row.roles = WIRE__NODE_ROLE__NODE_ROLE_WORKER;
    row.peer_address = (char *)(uintptr_t)link_set_address(node->set);
    row.slots = 1;
    row.memory_bytes = WORKER_LOAD_MEMORY_BYTES;
    row.version = (char *)(uintptr_t) "load";
    request.call = 1;
    request.token = (char *)(uintptr_t)node->load->token;
    request.node = &row;
    (void)link_send(node->link, WIRE_JOIN_REQUEST, &request.base);
}

static void worker_load_beat(struct worker_load_node *node)
{
    Wire__Heartbeat heartbeat = WIRE__HEARTBEAT__INIT;
    Wire__Vitals vitals = WIRE__VITALS__INIT;
    vitals.memory_total_bytes = vitals.memory_available_bytes = WORKER_LOAD_MEMORY_BYTES;
    vitals.load_milli = (uint32_t)(node->sequence % 1000);
    vitals.pid = (uint64_t)getpid();
    heartbeat.node_id = node->id;
    heartbeat.sequence = ++node->sequence;
    heartbeat.vitals = &vitals;
    heartbeat.full = node->is_full_wanted;
    heartbeat.slots = 1;
    heartbeat.memory_bytes = WORKER_LOAD_MEMORY_BYTES;
    heartbeat.boot = node->boot;
    if (link_send(node->link, WIRE_HEARTBEAT, &heartbeat.base) == 0)
        node->load->heartbeats++;
}

static void worker_load_on_timer(void *arg)
{
    struct worker_load_node *node = arg;
    struct error e;
    if (link_set_address(node->set)[0] == '\0') {
        if (link_set_listen(node->set, "127.0.0.1:0", &e) < 0 ||
            link_dial(node->set, node->load->address, 0, &e) == NULL)
            worker_load_die(node->name, e.text);
    } else if (node->link != NULL && node->id == 0) {
        worker_load_join(node);
    } else if (node->link != NULL) {
        worker_load_beat(node);
    }
    loop_timer_start(&node->timer, WORKER_LOAD_BEAT_MS);
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void worker_load_tell(struct worker_load_node *node)
{
    static const char format[] =
        "{\"id\":\"%s:%llu\",\"at\":\"2026-11-28T20:00:00.000Z\",\"kind\":\"task.state\",\"level\":"
        "\"debug\",\"text\":\"element %llu of a job that nobody submitted runs on "
        "%s\",\"node\":\"%s\"}";
    Wire__EventBatch batch = WIRE__EVENT_BATCH__INIT;
    Wire__Event rows[WORKER_LOAD_BATCH];
    Wire__Event *pointers[WORKER_LOAD_BATCH];
    char lines[WORKER_LOAD_BATCH][256];
    if (node->in_flight || node->link == NULL || node->sent >= node->told)
        return;
    if (node->told - node->sent > WORKER_LOAD_EVENTS_KEPT) {
        node->skipped += node->told - node->sent - WORKER_LOAD_EVENTS_KEPT;
        node->sent = node->told - WORKER_LOAD_EVENTS_KEPT;
    }
    for (; batch.n_events < WORKER_LOAD_BATCH && node->sent < node->told; batch.n_events++) {
        Wire__Event *row = &rows[batch.n_events];
        unsigned long long seq = ++node->sent;
        wire__event__init(row);
        row->node = node->id;
        row->seq = seq;
        row->at_ms = (uint64_t)clock_wall_ms();
        row->kind = (char *)(uintptr_t) "task.state";
        row->about = node->name;
        row->table = (char *)(uintptr_t) "";
        row->json.data = (uint8_t *)lines[batch.n_events];
        row->json.len = (size_t)snprintf(lines[batch.n_events], sizeof lines[0], format, node->name,
                                         seq, seq, node->name, node->name);
        pointers[batch.n_events] = row;
    }
    batch.term = node->term;
    batch.events = pointers;
    node->in_flight = link_send(node->link, WIRE_EVENT_BATCH, &batch.base) == 0;
}

static void worker_load_on_teller(void *arg)
{
    struct worker_load_node *node = arg;
    int64_t passed_ms = loop_now_ms(node->load->loop) - node->told_ms;
    node->told = (uint64_t)passed_ms * node->load->events / 1000;
    worker_load_tell(node);
    loop_timer_start(&node->teller, WORKER_LOAD_EVENTS_MS);
}

static void worker_load_on_event_ack(struct worker_load_node *node, const Wire__EventAck *ack)
{
    node->in_flight = false;
    node->taken = ack->seq;
    if (ack->begin)
        node->term = ack->term;
    if (ack->begin && node->told_ms == 0) {
        node->told_ms = loop_now_ms(node->load->loop);
        loop_timer_start(&node->teller, WORKER_LOAD_EVENTS_MS);
    } else {
        worker_load_tell(node);
    }
}

/* ---- what the leader says ---------------------------------------------------------------------
 */

static void worker_load_on_up(void *arg, struct link *link)
{
    struct worker_load_node *node = arg;
    node->link = link;
    node->is_full_wanted = true;
    loop_timer_start(&node->timer, 0);
}

static void worker_load_on_down(void *arg, struct link *link, int code, const char *reason)
{
    struct worker_load_node *node = arg;
    (void)code, (void)reason;
    if (node->link == link)
        node->link = NULL;
    if (node->is_online)
        node->load->lost++;
}

static void worker_load_on_joined(struct worker_load_node *node, const Wire__JoinReply *reply)
{
    if (reply->code != 0 || node->id != 0)
        return; /* asks again */
    node->id = reply->node_id;
    struct link_identity identity = worker_load_identity(node, reply->cluster_id);
    link_set_identify(node->set, &identity);
}

static void worker_load_on_ack(struct worker_load_node *node, const Wire__HeartbeatAck *ack)
{
    struct worker_load *load = node->load;
    load->acks++;
    node->is_full_wanted = ack->want_full;
    if (node->is_online)
        return;
    node->is_online = true;
    if (++load->online < load->n)
        return;
    printf("online\n");
    fflush(stdout);
    if (load->seconds > 0)
        loop_timer_start(&load->end, (int64_t)load->seconds * 1000);
}

static void worker_load_on_message(void *arg, struct link *link, enum wire_type type,
                                   const ProtobufCMessage *message)
{
    (void)link;
    if (type == WIRE_JOIN_REPLY)
        worker_load_on_joined(arg, (const Wire__JoinReply *)message);
    else if (type == WIRE_HEARTBEAT_ACK)
        worker_load_on_ack(arg, (const Wire__HeartbeatAck *)message);
    else if (type == WIRE_EVENT_ACK && ((struct worker_load_node *)arg)->load->events > 0)
        worker_load_on_event_ack(arg, (const Wire__EventAck *)message);
}

static const struct link_ops worker_load_ops = {.on_up = worker_load_on_up,
                                                .on_message = worker_load_on_message,
                                                .on_down = worker_load_on_down};

/* ---- from the start to the end ----------------------------------------------------------------
 */

static void worker_load_start(struct worker_load *load, unsigned i)
{
    struct worker_load_node *node = &load->nodes[i];
    struct link_set_options options;
    struct uuid uuid;
    struct error e;
    node->load = load;
    uuid_generate(&uuid);
    (void)uuid_format(&uuid, node->uuid);
    (void)snprintf(node->name, sizeof node->name, "load%u", i);
    random_bytes(&node->boot, sizeof node->boot);
    link_set_options_init(&options);
    options.loop = load->loop;
    options.identity = worker_load_identity(node, "");
    options.secret = load->token;
    options.ops = &worker_load_ops;
    options.arg = node;
    node->set = link_set_new(&options, &e);
    if (node->set == NULL)
        worker_load_die(node->name, e.text);
    loop_timer_init(&node->timer, load->loop, worker_load_on_timer, node);
    loop_timer_init(&node->teller, load->loop, worker_load_on_teller, node);
    loop_timer_start(&node->timer, (int64_t)i * WORKER_LOAD_STAGGER_MS);
}

static void worker_load_on_closed(void *arg)
{
    struct worker_load *load = arg;
    if (++load->closed == load->n)
        loop_stop(load->loop);
}

static void worker_load_finish(struct worker_load *load)
{
    unsigned long long told = 0, taken = 0, skipped = 0;
    for (unsigned i = 0; i < load->n; i++) {
        told += load->nodes[i].told;
        taken += load->nodes[i].taken;
        skipped += load->nodes[i].skipped;
    }
    printf("{\"workers\":%u,\"heartbeats\":%llu,\"acks\":%llu,\"lost\":%llu,\"told\":%llu,"
           "\"taken\":%llu,"
           "\"left_out\":%llu}\n",
           load->online, (unsigned long long)load->heartbeats, (unsigned long long)load->acks,
           (unsigned long long)load->lost, told, taken, skipped);
    loop_timer_stop(&load->end);
    for (unsigned i = 0; i < load->n; i++) {
        loop_timer_stop(&load->nodes[i].timer);
        loop_timer_stop(&load->nodes[i].teller);
        link_set_close(load->nodes[i].set, worker_load_on_closed, load);
    }
}

static void worker_load_on_end(void *arg)
{
    worker_load_finish(arg);
}

static void worker_load_on_signal(void *arg, int signum)
{
    (void)signum;
    worker_load_finish(arg);
}

static void worker_load_options(struct worker_load *load, int argc, char **argv)
{
    int option;
    *load = (struct worker_load){.n = 10};
    while ((option = getopt(argc, argv, "n:t:e:")) != -1) {
        if (option == '?')
            load->n = 0;
        else
            *(option == 'n'   ? &load->n
              : option == 'e' ? &load->events
                              : &load->seconds) = (unsigned)strtoul(optarg, NULL, 10);
    }
    if (argc - optind != 2 || load->n < 1 || load->n > WORKER_LOAD_MAX)
        worker_load_die("usage",
                        "worker_load [-n WORKERS] [-e EVENTS] [-t SECONDS] ADDRESS JOIN_TOKEN");
    load->address = argv[optind];
    load->token = argv[optind + 1];
}

int main(int argc, char **argv)
{
    struct worker_load load;
    worker_load_options(&load, argc, argv);
    load.loop = loop_new();
    load.nodes = mem_calloc(load.n, sizeof *load.nodes);
    loop_timer_init(&load.end, load.loop, worker_load_on_end, &load);
    (void)loop_on_signal(load.loop, SIGTERM, worker_load_on_signal, &load);
    for (unsigned i = 0; i < load.n; i++)
        worker_load_start(&load, i);
    loop_run(load.loop);
    loop_free(load.loop);
    free(load.nodes);
    return EXIT_SUCCESS;
}
