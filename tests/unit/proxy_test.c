/* The data plane against models that behave and models that don't. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/trace.h"
#include "run/proxy.h"
#include "tests/lib/model_server.h"

enum { PATIENCE_S = 300 };

struct world {
    struct loop *loop;
    struct proxy *proxy;
    struct proxy_options options;
    struct model_server *a;
    struct model_server *b;
    bool closed;
    struct proxy_stats rows[16];
    char names[16][64];
    size_t rows_n;
    unsigned reports;
};

static void on_stats(void *arg, const struct proxy_stats *rows, size_t n)
{
    struct world *w = arg;
    assert_true(n <= MEM_COUNT(w->rows));
    for (size_t i = 0; i < n; i++) {
        w->rows[i] = rows[i];
        (void)snprintf(w->names[i], sizeof w->names[i], "%s/%s", rows[i].service, rows[i].model);
    }
    w->rows_n = n;
    w->reports++;
}

static void on_closed(void *arg)
{
    bool *closed = arg;
    *closed = true;
}

static void open_proxy(struct world *w)
{
    struct error e = {0};
    w->options.loop = w->loop;
    if (proxy_open(&w->proxy, &w->options, on_stats, w, &e) < 0)
        fail_msg("%s", e.text);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    w->loop = loop_new();
    w->a = model_server_start("A");
    w->b = model_server_start("B");
    proxy_options_init(&w->options);
    w->options.host = "127.0.0.1";
    w->options.sticky_header = "X-User";
    *state = w;
    return 0;
}

static void close_proxy(struct world *w, unsigned drain_ms)
{
    proxy_close(w->proxy, drain_ms, on_closed, &w->closed);
    while (!w->closed)
        loop_turn(w->loop);
    w->proxy = NULL;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    if (w->proxy != NULL)
        close_proxy(w, 0);
    model_server_stop(w->a);
    model_server_stop(w->b);
    loop_free(w->loop);
    free(w);
    return 0;
}

/* Service "main": model a with `weight`, the rest for b; both with `path`. */
static void route_between(struct world *w, unsigned weight, const char *path, uint64_t version)
{
    char *url_a = mem_printf("http://127.0.0.1:%u%s", model_server_port(w->a), path);
    char *url_b = mem_printf("http://127.0.0.1:%u%s", model_server_port(w->b), path);
    struct proxy_service service = {
        .name = "main",
        .version = version,
        .targets = {{"a", url_a, weight}, {"b", url_b, 100 - weight}},
        .targets_n = 2,
    };
    struct proxy_page page = {"/health", 200, "{\"status\":\"ok\"}"};
    proxy_set_table(w->proxy, &(struct proxy_table){&service, 1, "main", &page, 1});
    free(url_a);
    free(url_b);
}

static void route_to_url(struct world *w, const char *url)
{
    struct proxy_service service = {
        .name = "main", .version = 7, .targets = {{"m", url, 100}}, .targets_n = 1};
    proxy_set_table(
        w->proxy, &(struct proxy_table){.services = &service, .services_n = 1, .service = "main"});
}

static void route_to(struct world *w, const char *path)
{
    route_between(w, 100, path, 1);
}

static void on_marker(void *arg)
{
    bool *reached = arg;
    *reached = true;
}

/* Waits until totals have come that were taken after this call: of those that wait to be read all
 * may be older, of those that come behind the marker one. */
static const struct proxy_stats *stats_of(struct world *w, const char *name)
{
    bool reached = false;
    struct loop_post marker = {0};
    loop_post(w->loop, &marker, on_marker, &reached);
    while (!reached)
        loop_turn(w->loop);
    unsigned after = w->reports + 2;
    while (w->reports < after)
        loop_turn(w->loop);
    for (size_t i = 0; i < w->rows_n; i++)
        if (strcmp(w->names[i], name) == 0)
            return &w->rows[i];
    fail_msg("no totals of %s", name);
    return NULL;
}

/* ---- a client -------------------------------------------------------------------------------- */

struct answer {
    int status; /* 0: the connection ended before a head */
    char *head;
    char *body;
    size_t body_len;
    bool broken; /* the body is not whole */
};

struct client {
    int fd;
    struct buf in;
};

static void client_open(struct client *c, uint16_t port)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    buf_init(&c->in, 128 << 20);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
}

static void client_close(struct client *c)
{
    (void)close(c->fd);
    buf_done(&c->in);
}

static bool client_send(struct client *c, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool client_fill(struct client *c)
{
    if (buf_reserve(&c->in, 65536) < 0)
        abort();
    ssize_t n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
    if (n < 0 && errno == EAGAIN)
        abort(); /* patience is over */
    if (n <= 0)
        return false;
    c->in.len += (size_t)n;
    return true;
}

/* Where `text` begins in what came; NULL: not there yet. */
static const char *client_find(const struct client *c, const char *text)
{
    return c->in.len == 0 ? NULL : memmem(c->in.data, c->in.len, text, strlen(text));
}

static const char *field_of(const struct answer *a, const char *name)
{
    static _Thread_local char value[1024];
    char *start = mem_printf("\r\n%s: ", name);
    const char *at = strcasestr(a->head, start);
    size_t skip = strlen(start);
    free(start);
    if (at == NULL)
        return NULL;
    (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at + skip, "\r"), at + skip);
    return value;
}

static void client_read_chunks(struct client *c, struct answer *a)
{
    struct buf body;
    buf_init(&body, 128 << 20);
    for (size_t size = 1; size > 0;) {
        const char *end;
        while ((end = client_find(c, "\r\n")) == NULL)
            if (!client_fill(c)) {
                a->broken = true;
                goto out;
            }
        size = strtoul(buf_cstr(&c->in), NULL, 16);
        buf_consume(&c->in, (size_t)(end + 2 - (const char *)c->in.data));
        while (c->in.len < size + 2)
            if (!client_fill(c)) {
                a->broken = true;
                goto out;
            }
        (void)buf_append(&body, c->in.data, size);
        buf_consume(&c->in, size + 2);
    }
out:
    a->body = buf_steal(&body, &a->body_len);
}

static void client_read_body(struct client *c, struct answer *a, bool bodiless)
{
    const char *length = field_of(a, "Content-Length");
    const char *coding = field_of(a, "Transfer-Encoding");
    if (bodiless || a->status == 204 || a->status == 304) {
        a->body = mem_strdup("");
        return;
    }
    if (coding != NULL) {
        client_read_chunks(c, a);
        return;
    }
    size_t wanted = length != NULL ? strtoul(length, NULL, 10) : SIZE_MAX;
    while (c->in.len < wanted && client_fill(c))
        ;
    a->broken = length != NULL && c->in.len < wanted;
    a->body_len = c->in.len < wanted ? c->in.len : wanted;
    a->body = mem_zalloc(a->body_len + 1);
    if (a->body_len > 0)
        memcpy(a->body, c->in.data, a->body_len);
    buf_consume(&c->in, a->body_len);
}

static struct answer client_read(struct client *c, bool bodiless)
{
    struct answer a = {0};
    const char *end;
    while ((end = client_find(c, "\r\n\r\n")) == NULL)
        if (!client_fill(c)) {
            a.head = mem_strdup("");
            a.body = mem_strdup("");
            return a;
        }
    size_t head_len = (size_t)(end + 4 - (const char *)c->in.data);
    a.head = mem_strndup((const char *)c->in.data, head_len);
    a.status = atoi(a.head + 9);
    buf_consume(&c->in, head_len);
    client_read_body(c, &a, bodiless);
    return a;
}

static void answer_done(struct answer *a)
{
    free(a->head);
    free(a->body);
}

/* Sends `request` on a connection of its own and takes one answer. */
static struct answer ask_raw(struct world *w, const char *request, size_t len)
{
    struct client c;
    client_open(&c, proxy_port(w->proxy));
    (void)client_send(&c, request, len);
    struct answer a = client_read(&c, strncmp(request, "HEAD", 4) == 0);
    client_close(&c);
    return a;
}

static struct answer ask(struct world *w, const char *method, const char *target,
                         const char *fields, const char *body)
{
    char *request =
        mem_printf("%s %s HTTP/1.1\r\nHost: here\r\n%s%s%zu\r\n\r\n%s", method, target, fields,
                   *body != '\0' ? "Content-Length: " : "X-None: ", strlen(body), body);
    struct answer a = ask_raw(w, request, strlen(request));
    free(request);
    return a;
}

#define assert_answer(w, method, target, fields, sent, wanted)                                     \
    do {                                                                                           \
        struct answer a_ = ask(w, method, target, fields, sent);                                   \
        if (a_.status != (wanted))                                                                 \
            fail_msg("%s %s: %d instead of %d: %s", method, target, a_.status, wanted, a_.body);   \
        answer_done(&a_);                                                                          \
    } while (0)

/* ---- choosing -------------------------------------------------------------------------------- */

static void each_hundred_requests_is_split_exactly(void **state)
{
    struct world *w = *state;
    open_proxy(w);
    for (unsigned weight = 0; weight <= 100; weight += 25) {
        unsigned to_a = 0;
        route_between(w, weight, "/ok", 1);
        for (int i = 0; i < 100; i++) {
            struct answer a = ask(w, "GET", "/predict", "", "");
            assert_int_equal(a.status, 200);
            assert_string_equal(field_of(&a, "X-Clusterd-Model"), a.body[0] == 'A' ? "a" : "b");
            to_a += a.body[0] == 'A';
            answer_done(&a);
        }
        assert_int_equal(to_a, weight);
    }
}

static void the_sticky_header_decides_when_it_is_there(void **state)
{
    struct world *w = *state;
    bool seen[2] = {false};
    open_proxy(w);
    route_between(w, 50, "/ok", 1);
    for (unsigned user = 0; user < 20; user++) {
        char first = 0;
        char *fields = mem_printf("x-user: user %u\r\n", user);
        for (int i = 0; i < 5; i++) {
            struct answer a = ask(w, "GET", "/predict", fields, "");
            assert_int_equal(a.status, 200);
            if (first == 0)
                first = a.body[0];
            assert_int_equal(a.body[0], first);
            seen[first == 'A'] = true;
            answer_done(&a);
        }
        free(fields);
    }
    assert_true(seen[0] && seen[1]);
}

static void who_has_the_canary_keeps_it_while_its_weight_grows(void **state)
{
    struct world *w = *state;
    bool had[20] = {false};
    open_proxy(w);
    for (unsigned weight = 0; weight <= 100; weight += 10) {
        route_between(w, weight, "/ok", weight);
        for (unsigned user = 0; user < MEM_COUNT(had); user++) {
            char *fields = mem_printf("X-User: user %u\r\n", user);
            struct answer a = ask(w, "GET", "/predict", fields, "");
            bool has = a.status == 200 && a.body[0] == 'A';
            assert_true(has || (!had[user] && weight < 100));
            had[user] = has;
            answer_done(&a);
            free(fields);
        }
    }
}

/* Else the same few clients would try the canary of every service. */
static void a_client_is_not_the_first_in_every_service(void **state)
{
    struct world *w = *state;
    char *url_a = mem_printf("http://127.0.0.1:%u/ok", model_server_port(w->a));
    char *url_b = mem_printf("http://127.0.0.1:%u/ok", model_server_port(w->b));
    struct proxy_service services[2] = {{.name = "one"}, {.name = "two"}};
    unsigned in_one = 0, in_both = 0;
    open_proxy(w);
    for (unsigned i = 0; i < 2; i++) {
        services[i].targets[0] = (struct proxy_target){"a", url_a, 50};
        services[i].targets[1] = (struct proxy_target){"b", url_b, 50};
        services[i].targets_n = 2;
    }
    proxy_set_table(w->proxy, &(struct proxy_table){.services = services, .services_n = 2});
    for (unsigned user = 0; user < 40; user++) {
        char *fields = mem_printf("X-User: user %u\r\n", user);
        struct answer one = ask(w, "GET", "/predict/one", fields, "");
        struct answer two = ask(w, "GET", "/predict/two", fields, "");
        assert_int_equal(one.status, 200);
        assert_int_equal(two.status, 200);
        in_one += one.body[0] == 'B';
        in_both += one.body[0] == 'B' && two.body[0] == 'B';
        answer_done(&one);
        answer_done(&two);
        free(fields);
    }
    assert_true(in_one > 0);
    assert_true(in_both < in_one);
    free(url_a);
    free(url_b);
}

static void the_built_in_model_echoes_fails_and_delays_as_told(void **state)
{
    struct world *w = *state;
    unsigned failed = 0;
    open_proxy(w);
    route_to_url(w, "echo:");
    struct answer a = ask(w, "POST", "/predict?x=1", "", "a \"word\"\n");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"service\":\"main\",\"model\":\"m\",\"version\":7,"
                                "\"input\":\"a \\\"word\\\"\\n\"}\n");
    assert_string_equal(field_of(&a, "X-Clusterd-Version"), "7");
    answer_done(&a);
    route_to_url(w, "echo:fail=30,delay=1ms");
    for (int i = 0; i < 100; i++) {
        a = ask(w, "GET", "/predict", "", "");
        failed += a.status == 500;
        answer_done(&a);
    }
    assert_int_equal(failed, 30);
    assert_int_equal(stats_of(w, "main/m")->errors, 30);
    assert_int_equal(stats_of(w, "main/m")->requests, 101);
}

static void pages_and_unknown_places_are_told_apart(void **state)
{
    struct world *w = *state;
    struct proxy_service services[] = {
        {.name = "main", .targets = {{"m", "echo:", 100}}, .targets_n = 1},
        {.name = "other",
         .closed = "a decision is missing",
         .targets = {{"m", "echo:", 100}},
         .targets_n = 1},
    };
    struct proxy_page pages[] = {{"/health", 200, "{}"}, {"/routing", 503, "{\"a\":1}"}};
    open_proxy(w);
    assert_answer(w, "GET", "/predict", "", "", 404);
    proxy_set_table(w->proxy, &(struct proxy_table){services, 2, NULL, pages, 2});
    assert_answer(w, "GET", "/health", "", "", 200);
    assert_answer(w, "HEAD", "/health?deep=1", "", "", 200);
    assert_answer(w, "GET", "/routing", "", "", 503);
    assert_answer(w, "POST", "/health", "", "x", 405);
    assert_answer(w, "GET", "/predict/main", "", "", 200);
    assert_answer(w, "GET", "http://somewhere/predict/main?q", "", "", 200);
    assert_answer(w, "GET", "/predict", "", "", 404);
    assert_answer(w, "GET", "/predict/nobody", "", "", 404);
    assert_answer(w, "GET", "/predictable", "", "", 404);
    assert_answer(w, "GET", "/", "", "", 404);
    struct answer a = ask(w, "GET", "/predict/other", "", "");
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "a decision is missing"));
    assert_non_null(field_of(&a, "Retry-After"));
    answer_done(&a);
}

/* ---- what travels ---------------------------------------------------------------------------- */

static void hop_by_hop_fields_stay_behind(void **state)
{
    struct world *w = *state;
    open_proxy(w);
    route_to(w, "/head?own=1");
    struct answer a = ask(w, "GET", "/predict?theirs=2",
                          "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\n"
                          "Upgrade: websocket\r\nProxy-Authorization: x\r\nEmpty:\r\n"
                          "X-Kept: two  words\r\n",
                          "");
    assert_int_equal(a.status, 200);
    char *line = mem_printf("GET /head?own=1&theirs=2 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n",
                            model_server_port(w->a));
    assert_ptr_equal(strstr(a.body, line), a.body);
    free(line);
    static const char *const gone[] = {"X-Secret", "TE:", "Upgrade", "Proxy-Auth", "Connection"};
    for (unsigned i = 0; i < MEM_COUNT(gone); i++)
        if (strstr(a.body, gone[i]) != NULL)
            fail_msg("%s in %s", gone[i], a.body);
    static const char *const there[] = {
        "\r\nX-Kept: two  words\r\n", "\r\nEmpty: \r\n", "\r\nX-Forwarded-For: 127.0.0.1\r\n",
        "\r\nX-Forwarded-Host: here\r\n", "\r\nVia: 1.1 clusterd\r\n"};
    for (unsigned i = 0; i < MEM_COUNT(there); i++)
        if (strstr(a.body, there[i]) == NULL)
            fail_msg("no %s in %s", there[i], a.body);
    assert_null(field_of(&a, "Keep-Alive"));
    assert_string_equal(field_of(&a, "X-Model-Says"), "hello");
    answer_done(&a);
}

static void the_trace_goes_on_to_the_model(void **state)
{
    struct world *w = *state;
    static const char incoming[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char field[] =
        "TraceParent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        "\r\n";
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    open_proxy(w);
    route_to(w, "/head");
    struct answer a = ask(w, "GET", "/predict", field, ""); /* as it came */
    assert_non_null(strstr(a.body, incoming));
    answer_done(&a);
    trace_configure(true, 0);
    a = ask(w, "GET", "/predict", field, ""); /* below the span of this request */
    trace_configure(false, 0);
    assert_int_equal(trace_take(&spans, 10), 1);
    char text[TRACE_TEXT_MAX];
    const struct trace_span *span = STAILQ_FIRST(&spans);
    assert_non_null(strstr(a.body, trace_format(trace_context(span), text)));
    assert_null(strstr(a.body, incoming));
    assert_int_equal(span->context.trace[0], 0x0a);
    assert_int_equal(span->parent[0], 0xb7);
    trace_free_all(&spans);
    answer_done(&a);
    a = ask(w, "GET", "/predict", "traceparent: 00-nonsense-\r\n", "");
    assert_int_equal(a.status, 200);
    answer_done(&a);
}

/* A body of `len` bytes, sent with a length or in chunks of any size, comes back as it was. */
static void send_body(struct client *c, struct prng *prng, const char *body, size_t len)
{
    bool chunked = prng_chance(prng, 1, 2);
    char *head = chunked ? mem_strdup("POST /predict HTTP/1.1\r\nHost: h\r\n"
                                      "Transfer-Encoding: chunked\r\n\r\n")
                         : mem_printf("POST /predict HTTP/1.1\r\nHost: h\r\nContent-Length: %zu"
                                      "\r\n\r\n",
                                      len);
    (void)client_send(c, head, strlen(head));
    free(head);
    for (size_t at = 0; at < len;) {
        size_t n = (size_t)prng_between(prng, 1, prng_chance(prng, 1, 3) ? 100 : 100000);
        if (n > len - at)
            n = len - at;
        char line[32];
        (void)snprintf(line, sizeof line, "%zX\r\n", n);
        if (chunked)
            (void)client_send(c, line, strlen(line));
        (void)client_send(c, body + at, n);
        if (chunked)
            (void)client_send(c, "\r\n", 2);
        at += n;
    }
    if (chunked)
        (void)client_send(c, "0\r\n\r\n", 5);
}

static void bodies_of_any_form_arrive_whole(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"/body", "/chunked", "/close"};
    struct prng prng;
    struct client c;
    prng_init(&prng, 42);
    open_proxy(w);
    for (unsigned i = 0; i < 60; i++) {
        size_t len = (size_t)prng_below(&prng, i % 10 == 0 ? 3000000 : 3000);
        char *body = mem_alloc(len + 1);
        if (i % 20 == 0) {
            if (i > 0)
                client_close(&c);
            client_open(&c, proxy_port(w->proxy));
        }
        route_to(w, paths[i % 3]);
        prng_bytes(&prng, body, len);
        send_body(&c, &prng, body, len);
        struct answer a = client_read(&c, false);
        assert_int_equal(a.status, 200);
        assert_false(a.broken);
        assert_int_equal(a.body_len, len);
        assert_memory_equal(a.body, body, len);
        answer_done(&a);
        free(body);
    }
    client_close(&c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct world *w = *state;
    struct client c;
    open_proxy(w);
    route_to(w, "/ok");
    client_open(&c, proxy_port(w->proxy));
    for (int i = 0; i < 50; i++) {
        char *request = mem_printf("%s /%s?n=%d HTTP/1.1\r\nHost: h\r\n\r\n",
                                   i % 7 ? "GET" : "HEAD", i % 5 ? "predict" : "health", i);
        (void)client_send(&c, request, strlen(request));
        free(request);
    }
    for (int i = 0; i < 50; i++) {
        char *wanted = mem_printf("A GET /ok?n=%d 0", i);
        struct answer a = client_read(&c, i % 7 == 0);
        assert_int_equal(a.status, 200);
        if (i % 7 != 0)
            assert_string_equal(a.body, i % 5 ? wanted : "{\"status\":\"ok\"}");
        answer_done(&a);
        free(wanted);
    }
    assert_int_equal(model_server_connections(w->a), 1);
    client_close(&c);
}

static void an_old_client_gets_an_answer_that_its_end_delimits(void **state)
{
    struct world *w = *state;
    static const char request[] = "POST /predict HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello";
    open_proxy(w);
    route_to(w, "/chunked");
    struct answer a = ask_raw(w, request, sizeof request - 1);
    assert_int_equal(a.status, 200);
    assert_null(field_of(&a, "Transfer-Encoding"));
    assert_string_equal(a.body, "hello");
    answer_done(&a);
}

static void a_client_that_waits_for_100_gets_it(void **state)
{
    struct world *w = *state;
    struct client c;
    static const char head[] = "POST /predict HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                               "Expect: 100-continue\r\n\r\n";
    open_proxy(w);
    route_to(w, "/body");
    client_open(&c, proxy_port(w->proxy));
    (void)client_send(&c, head, sizeof head - 1);
    while (c.in.len < 25)
        assert_true(client_fill(&c));
    assert_memory_equal(c.in.data, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    buf_consume(&c.in, 25);
    (void)client_send(&c, "abc", 3);
    struct answer a = client_read(&c, false);
    assert_string_equal(a.body, "abc");
    answer_done(&a);
    client_close(&c);
    route_to(w, "/hints");
    assert_answer(w, "GET", "/predict", "", "", 200);
    assert_answer(w, "GET", "/predict", "Expect: a miracle\r\n", "", 417);
}

static void a_slow_reader_gets_all_of_a_large_answer(void **state)
{
    struct world *w = *state;
    struct client c;
    static const char request[] = "GET /predict HTTP/1.1\r\nHost: h\r\n\r\n";
    open_proxy(w);
    route_to(w, "/big");
    client_open(&c, proxy_port(w->proxy));
    (void)client_send(&c, request, sizeof request - 1);
    /* others are served while this one does not read */
    assert_answer(w, "GET", "/health", "", "", 200);
    struct answer a = client_read(&c, false);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_len, MODEL_SERVER_BIG_BYTES);
    for (size_t i = 0; i < a.body_len; i++)
        if (a.body[i] != (char)('a' + i % 23))
            fail_msg("byte %zu", i);
    answer_done(&a);
    client_close(&c);
}

/* ---- failures of models ---------------------------------------------------------------------- */

static void each_failure_of_a_model_has_its_answer(void **state)
{
    struct world *w = *state;
    open_proxy(w);
    route_to(w, "/garbage");
    assert_answer(w, "GET", "/predict", "", "", 502);
    route_to(w, "/badchunk");
    assert_answer(w, "GET", "/predict", "", "", 502);
    route_to(w, "/http2");
    assert_answer(w, "GET", "/predict", "", "", 502);
    route_to(w, "/die");
    assert_answer(w, "POST", "/predict", "", "body", 502);
    route_to(w, "/status/503");
    assert_answer(w, "GET", "/predict", "", "", 503);
    route_to(w, "/status/404");
    assert_answer(w, "GET", "/predict", "", "", 404);
    route_to(w, "/half");
    struct answer a = ask(w, "GET", "/predict", "", "");
    assert_true(a.broken);
    answer_done(&a);
    const struct proxy_stats *stats = stats_of(w, "main/a");
    assert_int_equal(stats->requests, 7);
    assert_int_equal(stats->errors, 6);
    assert_int_equal(stats->active, 0);
}

/* Who answered is told by the proxy alone. */
static void a_model_does_not_pass_for_another(void **state)
{
    struct world *w = *state;
    open_proxy(w);
    route_to(w, "/forged");
    struct answer a = ask(w, "GET", "/predict", "", "");
    assert_int_equal(a.status, 200);
    assert_string_equal(field_of(&a, "X-Clusterd-Model"), "a");
    assert_null(strstr(a.head, "another"));
    assert_null(strstr(a.head, "version: 99"));
    answer_done(&a);
}

static void a_model_that_does_not_answer_is_given_up(void **state)
{
    struct world *w = *state;
    w->options.answer_timeout_ms = 200;
    open_proxy(w);
    route_to(w, "/slow");
    assert_answer(w, "GET", "/predict", "", "", 504);
    const struct proxy_stats *stats = stats_of(w, "main/a");
    assert_int_equal(stats->requests, 1);
    assert_int_equal(stats->errors, 1);
    assert_int_equal(stats->active, 0);
}

static void a_model_that_is_down_is_named(void **state)
{
    struct world *w = *state;
    struct model_server *gone = model_server_start("gone");
    char *url = mem_printf("http://localhost:%u/", model_server_port(gone));
    model_server_stop(gone);
    open_proxy(w);
    route_to_url(w, url);
    struct answer a = ask(w, "GET", "/predict", "", "");
    assert_int_equal(a.status, 502);
    assert_non_null(strstr(a.body, "model m at localhost:"));
    assert_non_null(strstr(a.body, "refused"));
    answer_done(&a);
    free(url);
    route_to_url(w, "http://name.invalid/");
    assert_answer(w, "GET", "/predict", "", "", 502);
}

static void what_a_kept_connection_lost_is_sent_again_only_if_that_is_safe(void **state)
{
    struct world *w = *state;
    open_proxy(w);
    route_to(w, "/once");
    assert_answer(w, "GET", "/predict", "", "", 200);
    assert_answer(w, "GET", "/predict", "", "", 200);
    assert_int_equal(model_server_requests(w->a), 2);
    assert_answer(w, "POST", "/predict", "", "x", 502);
}

static void a_model_may_answer_before_it_has_read(void **state)
{
    struct world *w = *state;
    char *body = mem_alloc(200001);
    memset(body, 'x', 200000);
    body[200000] = '\0';
    open_proxy(w);
    route_to(w, "/early");
    struct answer a = ask(w, "POST", "/predict", "", body);
    assert_true(a.status == 413 || a.status == 502);
    answer_done(&a);
    free(body);
}

/* ---- failures of clients --------------------------------------------------------------------- */

static void bad_requests_are_refused_and_never_reach_a_model(void **state)
{
    struct world *w = *state;
    static const struct {
        int status;
        const char *request;
    } rows[] = {
        {400, "\001\002\003\r\n\r\n"},
        {400, "GET /predict HTTP/1.1\r\n\r\n"},
        {400, "GET /predict HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET /predict HTTP/1.1\r\nHost: a\r\nX: a\001b\r\n\r\n"},
        {400, "GET /predict HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n"},
        {400, "GET /pre dict HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /predict HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n"},
        {400, "GET /predict NOTHTTP/1.1\r\nHost: a\r\n\r\n"},
        {400,
         "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
        {400, "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"},
        {400, "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"},
        {501, "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
              "0\r\n\r\n"},
        {405, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {405, "TRACE /predict HTTP/1.1\r\nHost: a\r\n\r\n"},
        {505, "GET /predict HTTP/2.0\r\nHost: a\r\n\r\n"},
    };
    open_proxy(w);
    route_to(w, "/ok");
    for (unsigned i = 0; i < MEM_COUNT(rows); i++) {
        struct answer a = ask_raw(w, rows[i].request, strlen(rows[i].request));
        if (a.status != rows[i].status)
            fail_msg("row %u: %d instead of %d", i, a.status, rows[i].status);
        answer_done(&a);
    }
    assert_int_equal(model_server_requests(w->a), 0);
}

static void too_much_is_refused(void **state)
{
    struct world *w = *state;
    struct buf request;
    buf_init(&request, 1 << 20);
    w->options.body_bytes_max = 1000;
    open_proxy(w);
    route_to(w, "/body");

    (void)buf_append_str(&request, "GET /predict?");
    for (int i = 0; i < 9000; i++)
        (void)buf_append_byte(&request, 'x');
    (void)buf_append_str(&request, " HTTP/1.1\r\nHost: h\r\n\r\n");
    struct answer a = ask_raw(w, buf_cstr(&request), request.len);
    assert_int_equal(a.status, 414);
    answer_done(&a);

    buf_clear(&request);
    (void)buf_append_str(&request, "GET /predict HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 100; i++)
        (void)buf_printf(&request, "X-%d: y\r\n", i);
    (void)buf_append_str(&request, "\r\n");
    a = ask_raw(w, buf_cstr(&request), request.len);
    assert_int_equal(a.status, 431);
    answer_done(&a);

    buf_clear(&request);
    (void)buf_append_str(&request, "GET /predict HTTP/1.1\r\nHost: h\r\nX: ");
    for (int i = 0; i < 40000; i++)
        (void)buf_append_byte(&request, 'x');
    (void)buf_append_str(&request, "\r\n\r\n");
    a = ask_raw(w, buf_cstr(&request), request.len);
    assert_int_equal(a.status, 431);
    answer_done(&a);

    buf_clear(&request);
    (void)buf_append_str(&request, "POST /predict HTTP/1.1\r\nHost: h\r\n"
                                   "Transfer-Encoding: chunked\r\n\r\n400\r\n");
    for (int i = 0; i < 1024; i++)
        (void)buf_append_byte(&request, 'x');
    (void)buf_append_str(&request, "\r\n0\r\n\r\n");
    a = ask_raw(w, buf_cstr(&request), request.len);
    assert_int_equal(a.status, 413);
    answer_done(&a);
    buf_done(&request);

    char *body = mem_alloc(1002);
    memset(body, 'x', 1001);
    body[1001] = '\0';
    assert_answer(w, "POST", "/predict", "", body, 413);
    body[1000] = '\0';
    assert_answer(w, "POST", "/predict", "", body, 200);
    free(body);
}

static void a_client_that_dawdles_is_told_so(void **state)
{
    struct world *w = *state;
    struct client c;
    w->options.head_timeout_ms = 100;
    w->options.answer_timeout_ms = 300;
    w->options.idle_timeout_ms = 150;
    open_proxy(w);
    route_to(w, "/ok");
    struct answer a = ask_raw(w, "GET /pre", 8);
    assert_int_equal(a.status, 408);
    answer_done(&a);
    static const char part[] = "POST /predict HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx";
    a = ask_raw(w, part, sizeof part - 1);
    assert_int_equal(a.status, 408);
    answer_done(&a);
    client_open(&c, proxy_port(w->proxy));
    assert_false(client_fill(&c)); /* nothing was asked: closed without a word */
    client_close(&c);
    assert_int_equal(stats_of(w, "main/a")->requests, 0);
    assert_int_equal(stats_of(w, "main/a")->active, 0);
}

static void a_client_that_leaves_takes_its_request_with_it(void **state)
{
    struct world *w = *state;
    struct client c;
    static const char request[] = "GET /predict HTTP/1.1\r\nHost: h\r\n\r\n";
    open_proxy(w);
    route_to(w, "/slow");
    client_open(&c, proxy_port(w->proxy));
    (void)client_send(&c, request, sizeof request - 1);
    while (model_server_requests(w->a) == 0)
        loop_turn(w->loop);
    assert_int_equal(stats_of(w, "main/a")->active, 1);
    struct linger reset = {.l_onoff = 1};
    (void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&c);
    while (stats_of(w, "main/a")->active > 0)
        ;
    assert_int_equal(stats_of(w, "main/a")->requests, 0);
}

/* ---- changes --------------------------------------------------------------------------------- */

struct hammer {
    struct world *w;
    pthread_t thread;
    atomic_bool stop;
    unsigned asked;
    unsigned failed;
};

static void *hammer_run(void *arg)
{
    struct hammer *h = arg;
    struct client c;
    static const char request[] =
        "POST /predict HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    client_open(&c, proxy_port(h->w->proxy));
    while (!atomic_load(&h->stop)) {
        (void)client_send(&c, request, sizeof request - 1);
        struct answer a = client_read(&c, false);
        h->failed += a.status != 200 || a.broken;
        h->asked++;
        answer_done(&a);
    }
    client_close(&c);
    return NULL;
}

static void a_switch_of_versions_drops_no_request(void **state)
{
    struct world *w = *state;
    struct hammer hammers[4] = {0};
    open_proxy(w);
    route_between(w, 50, "/ok", 1);
    for (unsigned i = 0; i < MEM_COUNT(hammers); i++) {
        hammers[i].w = w;
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer_run, &hammers[i]), 0);
    }
    for (unsigned version = 2; model_server_requests(w->a) + model_server_requests(w->b) < 3000;
         version++) {
        route_between(w, version * 7 % 101, "/ok", version);
        loop_turn(w->loop);
    }
    for (unsigned i = 0; i < MEM_COUNT(hammers); i++)
        atomic_store(&hammers[i].stop, true);
    for (unsigned i = 0; i < MEM_COUNT(hammers); i++) {
        (void)pthread_join(hammers[i].thread, NULL);
        assert_int_equal(hammers[i].failed, 0);
        assert_true(hammers[i].asked > 0);
    }
}

static void closing_lets_requests_under_way_end(void **state)
{
    struct world *w = *state;
    struct client c;
    static const char request[] = "GET /predict HTTP/1.1\r\nHost: h\r\n\r\n";
    open_proxy(w);
    route_to(w, "/held");
    client_open(&c, proxy_port(w->proxy));
    (void)client_send(&c, request, sizeof request - 1);
    while (model_server_requests(w->a) == 0)
        loop_turn(w->loop);
    proxy_close(w->proxy, PATIENCE_S * 1000, on_closed, &w->closed);
    w->proxy = NULL;
    model_server_release(w->a);
    while (!w->closed)
        loop_turn(w->loop);
    struct answer a = client_read(&c, false);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    client_close(&c);
}

static void more_clients_than_allowed_wait_for_a_place(void **state)
{
    struct world *w = *state;
    struct client c[3];
    static const char request[] = "GET /predict HTTP/1.1\r\nHost: h\r\n\r\n";
    w->options.connections_max = 2;
    open_proxy(w);
    route_to_url(w, "echo:");
    for (int i = 0; i < 3; i++) {
        client_open(&c[i], proxy_port(w->proxy));
        (void)client_send(&c[i], request, sizeof request - 1);
    }
    for (int i = 0; i < 3; i++) {
        struct answer a = client_read(&c[i], false);
        assert_int_equal(a.status, 200);
        answer_done(&a);
        client_close(&c[i]);
    }
}

/* ---- small things ---------------------------------------------------------------------------- */

static void urls_are_checked(void **state)
{
    (void)state;
    static const char *const good[] = {
        "http://h", "http://h:1/", "http://[::1]:80/a?b",      "http://[::1]/x",
        "echo:",    "echo:fail=5", "echo:delay=20ms,fail=100", "HTTP://host/p"};
    static const char *const bad[] = {"",
                                      "h",
                                      "ftp://h/",
                                      "http://",
                                      "http:///p",
                                      "http://h:0/",
                                      "http://h:99999/",
                                      "http://u@h/",
                                      "http://h/#f",
                                      "http://h/ x",
                                      "http://[::1",
                                      "echo:fail=101",
                                      "echo:fast",
                                      "echo:delay=-1",
                                      "http://h/\r\nX: y",
                                      "https://h/"};
    struct error e;
    for (unsigned i = 0; i < MEM_COUNT(good); i++)
        if (proxy_check_url(good[i], &e) != 0)
            fail_msg("%s: %s", good[i], e.text);
    for (unsigned i = 0; i < MEM_COUNT(bad); i++)
        if (proxy_check_url(bad[i], &e) == 0)
            fail_msg("%s was taken", bad[i]);
}

static void latencies_fall_into_their_buckets(void **state)
{
    (void)state;
    unsigned last = 0;
    for (uint64_t us = 0; us < 1u << 20; us += 1 + us / 50) {
        unsigned bucket = proxy_bucket_of(us);
        assert_true(bucket >= last && bucket < PROXY_BUCKETS);
        assert_true(us < proxy_bucket_limit_us(bucket));
        assert_true(bucket == 0 || us >= proxy_bucket_limit_us(bucket - 1));
        last = bucket;
    }
    assert_int_equal(proxy_bucket_of(UINT64_MAX), PROXY_BUCKETS - 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(each_hundred_requests_is_split_exactly),
        CASE(the_sticky_header_decides_when_it_is_there),
        CASE(who_has_the_canary_keeps_it_while_its_weight_grows),
        CASE(a_client_is_not_the_first_in_every_service),
        CASE(the_built_in_model_echoes_fails_and_delays_as_told),
        CASE(pages_and_unknown_places_are_told_apart),
        CASE(hop_by_hop_fields_stay_behind),
        CASE(the_trace_goes_on_to_the_model),
        CASE(bodies_of_any_form_arrive_whole),
        CASE(pipelined_requests_are_answered_in_order),
        CASE(an_old_client_gets_an_answer_that_its_end_delimits),
        CASE(a_client_that_waits_for_100_gets_it),
        CASE(a_slow_reader_gets_all_of_a_large_answer),
        CASE(each_failure_of_a_model_has_its_answer),
        CASE(a_model_does_not_pass_for_another),
        CASE(a_model_that_does_not_answer_is_given_up),
        CASE(a_model_that_is_down_is_named),
        CASE(what_a_kept_connection_lost_is_sent_again_only_if_that_is_safe),
        CASE(a_model_may_answer_before_it_has_read),
        CASE(bad_requests_are_refused_and_never_reach_a_model),
        CASE(too_much_is_refused),
        CASE(a_client_that_dawdles_is_told_so),
        CASE(a_client_that_leaves_takes_its_request_with_it),
        CASE(a_switch_of_versions_drops_no_request),
        CASE(closing_lets_requests_under_way_end),
        CASE(more_clients_than_allowed_wait_for_a_place),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(latencies_fall_into_their_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
