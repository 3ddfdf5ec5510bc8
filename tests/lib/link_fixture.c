#include "tests/lib/link_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/address.h"

enum { FIXTURE_PATIENCE_MS = 300000 };

static void fixture_on_patience(void *arg)
{
    (void)arg;
    fail_msg("waited too long");
}

int link_fixture_setup(void **state)
{
    struct link_fixture *f = mem_zalloc(sizeof *f);
    log_set_level(LOG_LEVEL_ERROR);
    f->loop = loop_new();
    loop_timer_init(&f->patience, f->loop, fixture_on_patience, f);
    *state = f;
    return 0;
}

int link_fixture_teardown(void **state)
{
    struct link_fixture *f = *state;
    if (f->nodes > 0)
        return 0; /* the test failed, in the middle of anything */
    loop_timer_stop(&f->patience);
    loop_free(f->loop);
    free(f);
    return 0;
}

void link_fixture_turn(struct link_fixture *f)
{
    if (!loop_timer_is_running(&f->patience))
        loop_timer_start(&f->patience, FIXTURE_PATIENCE_MS);
    loop_turn(f->loop);
}

/* ---- nodes -------------------------------------------------------------------------------- */

static int fixture_on_hello(void *arg, struct link *link, const Wire__Hello *hello, struct error *e)
{
    struct fixture_node *node = arg;
    (void)link;
    if (node->refuse_code < 0)
        return error_set(e, node->refuse_code, "%s does not want %s", node->name, hello->name);
    return 0;
}

static void fixture_on_up(void *arg, struct link *link)
{
    struct fixture_node *node = arg;
    assert_null(node->link != NULL && link_node_id(node->link) == link_node_id(link) ? node->link
                                                                                     : NULL);
    node->link = link;
    node->ups++;
    link_set_data(link, node);
}

static void fixture_on_message(void *arg, struct link *link, enum wire_type type,
                               const ProtobufCMessage *message)
{
    struct fixture_node *node = arg;
    assert_ptr_equal(link_data(link), node);
    node->messages++;
    if (type == WIRE_HEARTBEAT) {
        uint64_t sequence = ((const Wire__Heartbeat *)message)->sequence;
        if (sequence != node->next_sequence)
            node->in_order = false;
        node->next_sequence = sequence + 1;
    }
}

static void fixture_on_drain(void *arg, struct link *link)
{
    struct fixture_node *node = arg;
    assert_ptr_equal(link_data(link), node);
    node->drains++;
}

static void fixture_on_down(void *arg, struct link *link, int code, const char *reason)
{
    struct fixture_node *node = arg;
    assert_ptr_equal(link_data(link), node);
    assert_true(code < 0);
    node->downs++;
    node->down_code = code;
    (void)snprintf(node->down_reason, sizeof node->down_reason, "%s", reason);
    if (node->link == link)
        node->link = NULL;
}

static void fixture_on_dial_failed(void *arg, struct link_dial *dial, int code, const char *reason)
{
    struct fixture_node *node = arg;
    assert_non_null(dial);
    assert_true(code < 0);
    node->dial_failures++;
    node->dial_code = code;
    (void)snprintf(node->dial_reason, sizeof node->dial_reason, "%s", reason);
}

static const struct link_ops fixture_ops = {
    .on_hello = fixture_on_hello,
    .on_up = fixture_on_up,
    .on_message = fixture_on_message,
    .on_drain = fixture_on_drain,
    .on_down = fixture_on_down,
    .on_dial_failed = fixture_on_dial_failed,
};

void fixture_node_options(struct fixture_node *node, struct link_fixture *f, uint64_t id,
                          struct link_set_options *options)
{
    struct uuid uuid;
    *node = (struct fixture_node){.f = f, .in_order = true};
    f->nodes++;
    uuid_generate(&uuid);
    (void)uuid_format(&uuid, node->uuid);
    (void)snprintf(node->name, sizeof node->name, "n%llu", (unsigned long long)id);
    link_set_options_init(options);
    options->loop = f->loop;
    options->identity = (struct link_identity){.cluster_id = LINK_FIXTURE_CLUSTER,
                                               .node_id = id,
                                               .node_uuid = node->uuid,
                                               .name = node->name,
                                               .version = "1.0"};
    options->ops = &fixture_ops;
    options->arg = node;
    options->ping_interval_ms = 20;
    options->silence_timeout_ms = 60000; /* both ends are this process, which may not get to run */
    options->backoff_min_ms = 5;
    options->backoff_max_ms = 50;
}

void fixture_node_start(struct fixture_node *node, const struct link_set_options *options)
{
    struct error e = {0};
    node->set = link_set_new(options, &e);
    if (node->set == NULL)
        fail_msg("%s", e.text);
    if (link_set_listen(node->set, "127.0.0.1:0", &e) < 0)
        fail_msg("%s", e.text);
}

void fixture_node_init(struct fixture_node *node, struct link_fixture *f, uint64_t id)
{
    struct link_set_options options;
    fixture_node_options(node, f, id, &options);
    fixture_node_start(node, &options);
}

static void fixture_on_closed(void *arg)
{
    struct fixture_node *node = arg;
    node->set = NULL;
    node->f->nodes--;
}

void fixture_node_stop(struct fixture_node *node)
{
    link_set_close(node->set, fixture_on_closed, node);
    LINK_WAIT(node->f, node->set == NULL);
    assert_int_equal(node->ups, node->downs);
}

struct link_dial *fixture_node_dial(struct fixture_node *node, const struct fixture_node *to)
{
    struct error e = {0};
    struct link_dial *dial = link_dial(node->set, link_set_address(to->set), 0, &e);
    assert_non_null(dial);
    return dial;
}

int fixture_node_send(struct fixture_node *node, uint64_t sequence, size_t bytes)
{
    Wire__Heartbeat heartbeat = WIRE__HEARTBEAT__INIT;
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;
    Wire__TaskReport *held[] = {&report};
    heartbeat.sequence = sequence;
    if (bytes > 0) {
        report.stdout_inline.data = mem_zalloc(bytes);
        report.stdout_inline.len = bytes;
        heartbeat.held = held;
        heartbeat.n_held = 1;
    }
    int err = link_send(node->link, WIRE_HEARTBEAT, &heartbeat.base);
    free(report.stdout_inline.data);
    return err;
}

/* ---- a cable ------------------------------------------------------------------------------ */

struct fixture_wire;

/* One side of a forwarded connection. */
struct fixture_end {
    struct fixture_wire *wire;
    uv_tcp_t tcp;
};

struct fixture_wire {
    struct fixture_cable *cable;
    struct fixture_end ends[2];
    uv_connect_t connect;
    bool connected;
    bool closing;
    unsigned open;
    LIST_ENTRY(fixture_wire) of_cable;
};

struct fixture_cable {
    struct link_fixture *f;
    uv_tcp_t listener;
    struct sockaddr_storage to;
    char address[ADDRESS_TEXT_MAX];
    bool stalled;
    bool listener_open;
    unsigned connections;
    LIST_HEAD(, fixture_wire) wires;
};

struct fixture_write {
    uv_write_t write;
    char data[];
};

static void wire_on_closed(uv_handle_t *handle)
{
    struct fixture_wire *wire = ((struct fixture_end *)handle->data)->wire;
    if (--wire->open > 0)
        return;
    LIST_REMOVE(wire, of_cable);
    free(wire);
}

static void wire_close(struct fixture_wire *wire, bool reset)
{
    if (wire->closing)
        return;
    wire->closing = true;
    for (int i = 0; i < 2; i++) {
        uv_handle_t *handle = (uv_handle_t *)&wire->ends[i].tcp;
        if (!reset || uv_tcp_close_reset(&wire->ends[i].tcp, wire_on_closed) < 0)
            uv_close(handle, wire_on_closed);
    }
}

static void wire_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char data[65536];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(data, sizeof data);
}

static void wire_on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void wire_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fixture_end *end = stream->data;
    struct fixture_end *other = &end->wire->ends[end == &end->wire->ends[0]];
    if (n == 0)
        return;
    if (n < 0) {
        wire_close(end->wire, false);
        return;
    }
    struct fixture_write *write = mem_alloc(sizeof *write + (size_t)n);
    memcpy(write->data, buf->base, (size_t)n);
    uv_buf_t out = uv_buf_init(write->data, (unsigned)n);
    if (uv_write(&write->write, (uv_stream_t *)&other->tcp, &out, 1, wire_on_written) < 0)
        free(write);
}

static void wire_start(struct fixture_wire *wire)
{
    for (int i = 0; i < 2 && !wire->closing; i++)
        (void)uv_read_start((uv_stream_t *)&wire->ends[i].tcp, wire_alloc, wire_on_read);
}

static void wire_on_connected(uv_connect_t *connect, int status)
{
    struct fixture_wire *wire = connect->data;
    if (status < 0) {
        wire_close(wire, true);
        return;
    }
    wire->connected = true;
    if (!wire->cable->stalled)
        wire_start(wire);
}

static void cable_on_connection(uv_stream_t *listener, int status)
{
    struct fixture_cable *cable = listener->data;
    struct fixture_wire *wire = mem_zalloc(sizeof *wire);
    assert_int_equal(status, 0);
    wire->cable = cable;
    wire->open = 2;
    cable->connections++;
    LIST_INSERT_HEAD(&cable->wires, wire, of_cable);
    for (int i = 0; i < 2; i++) {
        wire->ends[i].wire = wire;
        wire->ends[i].tcp.data = &wire->ends[i];
        assert_int_equal(uv_tcp_init(loop_uv(cable->f->loop), &wire->ends[i].tcp), 0);
        wire->ends[i].tcp.data = &wire->ends[i];
    }
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&wire->ends[0].tcp), 0);
    wire->connect.data = wire;
    if (uv_tcp_connect(&wire->connect, &wire->ends[1].tcp, (struct sockaddr *)&cable->to,
                       wire_on_connected) < 0)
        wire_close(wire, true);
}

struct fixture_cable *fixture_cable_new(struct link_fixture *f, const char *to)
{
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    struct sockaddr_storage name;
    int len = sizeof name;
    struct fixture_cable *cable = mem_zalloc(sizeof *cable);
    cable->f = f;
    LIST_INIT(&cable->wires);
    assert_int_equal(address_split(to, host, &port), 0);
    assert_int_equal(address_parse_numeric(host, port, &cable->to), 0);
    assert_int_equal(address_parse_numeric("127.0.0.1", 0, &name), 0);
    assert_int_equal(uv_tcp_init(loop_uv(f->loop), &cable->listener), 0);
    cable->listener.data = cable;
    cable->listener_open = true;
    assert_int_equal(uv_tcp_bind(&cable->listener, (struct sockaddr *)&name, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&cable->listener, 64, cable_on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&cable->listener, (struct sockaddr *)&name, &len), 0);
    (void)address_format((struct sockaddr *)&name, cable->address);
    return cable;
}

const char *fixture_cable_address(const struct fixture_cable *cable)
{
    return cable->address;
}

void fixture_cable_stall(struct fixture_cable *cable, bool stall)
{
    struct fixture_wire *wire;
    cable->stalled = stall;
    LIST_FOREACH (wire, &cable->wires, of_cable) {
        if (!wire->connected || wire->closing)
            continue;
        if (!stall)
            wire_start(wire);
        for (int i = 0; i < 2 && stall; i++)
            (void)uv_read_stop((uv_stream_t *)&wire->ends[i].tcp);
    }
}

void fixture_cable_cut(struct fixture_cable *cable)
{
    struct fixture_wire *wire;
    LIST_FOREACH (wire, &cable->wires, of_cable)
        wire_close(wire, true);
}

unsigned fixture_cable_connections(const struct fixture_cable *cable)
{
    return cable->connections;
}

static void cable_on_closed(uv_handle_t *handle)
{
    ((struct fixture_cable *)handle->data)->listener_open = false;
}

void fixture_cable_free(struct fixture_cable *cable)
{
    fixture_cable_cut(cable);
    uv_close((uv_handle_t *)&cable->listener, cable_on_closed);
    LINK_WAIT(cable->f, LIST_EMPTY(&cable->wires) && !cable->listener_open);
    free(cable);
}

/* ---- strangers ---------------------------------------------------------------------------- */

static void stranger_on_readable(uv_poll_t *poll, int status, int events)
{
    struct fixture_stranger *stranger = poll->data;
    char data[4096];
    ssize_t n;
    (void)status;
    (void)events;
    while ((n = recv(stranger->fd, data, sizeof data, MSG_DONTWAIT)) > 0)
        assert_int_equal(buf_append(&stranger->in, data, (size_t)n), 0);
    if (n == 0 || errno != EAGAIN) {
        stranger->ended = true;
        (void)uv_poll_stop(poll);
    }
}

void fixture_stranger_connect(struct fixture_stranger *stranger, struct link_fixture *f,
                              const char *address)
{
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    struct sockaddr_storage to;
    *stranger = (struct fixture_stranger){.f = f};
    buf_init(&stranger->in, 1 << 20);
    assert_int_equal(address_split(address, host, &port), 0);
    assert_int_equal(address_parse_numeric(host, port, &to), 0);
    stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(stranger->fd >= 0);
    assert_int_equal(connect(stranger->fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(uv_poll_init(loop_uv(f->loop), &stranger->poll, stranger->fd), 0);
    stranger->poll.data = stranger;
    stranger->poll_open = true;
    assert_int_equal(uv_poll_start(&stranger->poll, UV_READABLE, stranger_on_readable), 0);
}

void fixture_stranger_send(struct fixture_stranger *stranger, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(stranger->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            link_fixture_turn(stranger->f);
            continue;
        }
        if (n < 0)
            return; /* the node had enough already */
        at += n;
        len -= (size_t)n;
    }
}

void fixture_stranger_send_message(struct fixture_stranger *stranger, enum wire_type type,
                                   const ProtobufCMessage *message)
{
    struct buf b;
    buf_init(&b, FRAME_BODY_BYTES_MAX);
    assert_int_equal(wire_pack(&b, type, message), 0);
    fixture_stranger_send(stranger, b.data, b.len);
    buf_done(&b);
}

int fixture_stranger_wait_goodbye(struct fixture_stranger *stranger, char reason[static 256])
{
    struct frame_decoder d;
    struct frame frame;
    int code = 0;
    LINK_WAIT(stranger->f, stranger->ended);
    reason[0] = '\0';
    frame_decoder_init(&d, FRAME_BODY_BYTES_MAX);
    if (stranger->in.len > 0)
        frame_decoder_push(&d, stranger->in.data, stranger->in.len);
    while (frame_decoder_next(&d, &frame) > 0) {
        ProtobufCMessage *message = NULL;
        assert_int_equal(wire_unpack(frame.type, frame.body, frame.len, &message), 0);
        if (frame.type == WIRE_GOODBYE) {
            code = ((Wire__Goodbye *)message)->code;
            (void)snprintf(reason, 256, "%s", ((Wire__Goodbye *)message)->reason);
        }
        wire_free(message);
    }
    frame_decoder_done(&d);
    return code;
}

void fixture_stranger_hello(struct fixture_stranger *stranger, const Wire__Hello *hello)
{
    fixture_stranger_send_message(stranger, WIRE_HELLO, &hello->base);
}

static void stranger_on_closed(uv_handle_t *handle)
{
    ((struct fixture_stranger *)handle->data)->poll_open = false;
}

void fixture_stranger_done(struct fixture_stranger *stranger)
{
    uv_close((uv_handle_t *)&stranger->poll, stranger_on_closed);
    LINK_WAIT(stranger->f, !stranger->poll_open);
    close(stranger->fd);
    buf_done(&stranger->in);
}
