/* Closed-loop load on NATS JetStream: C connections, each with one message unacknowledged, for T
 * seconds. Speaks the client protocol by itself, so that no client library is measured.
 *
 * usage: nats_load -s REPLICAS HOST:PORT            makes the stream CHAT
 *        nats_load [-c CONNECTIONS] [-t SECONDS] [-b BYTES] HOST:PORT
 *
 * Prints one JSON object as http_load does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { NATS_BUFFER_BYTES = 65536, NATS_PAYLOAD_MAX = 32768, NATS_CONNECTIONS_MAX = 4096 };

struct nats_connection {
    int fd;
    unsigned index;
    int64_t sent_us;
    size_t len;
    char buffer[NATS_BUFFER_BYTES];
};

struct nats_load {
    unsigned connections;
    double seconds;
    size_t payload_bytes;
    uint64_t errors;
    uint32_t *latencies_us;
    size_t done;
    size_t cap;
    char payload[NATS_PAYLOAD_MAX + 1];
};

static void nats_fail(const char *what)
{
    fprintf(stderr, "nats_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void nats_write(struct nats_connection *c, const char *text, size_t len)
{
    if (write(c->fd, text, len) != (ssize_t)len)
        nats_fail("write");
}

static void nats_read(struct nats_connection *c)
{
    ssize_t n = read(c->fd, c->buffer + c->len, sizeof c->buffer - 1 - c->len);
    if (n <= 0)
        nats_fail("the connection broke");
    c->len += (size_t)n;
    c->buffer[c->len] = '\0';
}

static void nats_drop(struct nats_connection *c, size_t len)
{
    memmove(c->buffer, c->buffer + len, c->len - len);
    c->len -= len;
    c->buffer[c->len] = '\0';
}

/* Whether a whole MSG is there; it is taken out, its payload copied into `answer`. */
static bool nats_take_message(struct nats_connection *c, char *answer, size_t max)
{
    for (;;) {
        char *end = strstr(c->buffer, "\r\n");
        if (end == NULL)
            return false;
        size_t line = (size_t)(end - c->buffer) + 2;
        if (strncmp(c->buffer, "PING", 4) == 0)
            nats_write(c, "PONG\r\n", 6);
        if (strncmp(c->buffer, "-ERR", 4) == 0) {
            fprintf(stderr, "nats_load: %.*s\n", (int)line - 2, c->buffer);
            exit(1);
        }
        if (strncmp(c->buffer, "MSG ", 4) != 0) {
            nats_drop(c, line);
            continue;
        }
        *end = '\0';
        size_t len = strtoul(strrchr(c->buffer, ' ') + 1, NULL, 10);
        *end = '\r';
        if (c->len < line + len + 2)
            return false;
        (void)snprintf(answer, max, "%.*s", (int)len, c->buffer + line);
        nats_drop(c, line + len + 2);
        return true;
    }
}

static void nats_connect(struct nats_connection *c, const char *endpoint)
{
    char host[64];
    const char *colon = strrchr(endpoint, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1;
    if (colon == NULL)
        nats_fail("HOST:PORT");
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - endpoint), endpoint);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        nats_fail(host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
        nats_fail(endpoint);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char hello[256];
    int len = snprintf(
        hello, sizeof hello,
        "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.%u 1\r\nPING\r\n", c->index);
    nats_write(c, hello, (size_t)len);
    while (strstr(c->buffer, "PONG\r\n") == NULL)
        nats_read(c);
    c->len = 0;
    c->buffer[0] = '\0';
}

static int nats_make_stream(const char *endpoint, unsigned replicas)
{
    struct nats_connection *c = mem_zalloc(sizeof *c);
    char body[256];
    char request[512];
    char answer[2048];
    nats_connect(c, endpoint);
    int body_len = snprintf(body, sizeof body,
                            "{\"name\":\"CHAT\",\"subjects\":[\"chat.>\"],\"retention\":\"limits\","
                            "\"storage\":\"file\",\"num_replicas\":%u}",
                            replicas);
    int len = snprintf(request, sizeof request,
                       "PUB $JS.API.STREAM.CREATE.CHAT _INBOX.0 %d\r\n%s\r\n", body_len, body);
    nats_write(c, request, (size_t)len);
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    while (!nats_take_message(c, answer, sizeof answer)) {
        if (poll(&p, 1, 5000) <= 0)
            return 1;
        nats_read(c);
    }
    bool made = strstr(answer, "\"error\"") == NULL;
    if (!made)
        fprintf(stderr, "nats_load: %s\n", answer);
    close(c->fd);
    free(c);
    return made ? 0 : 1;
}

static void nats_send(const struct nats_load *load, struct nats_connection *c)
{
    char request[NATS_PAYLOAD_MAX + 128];
    int len = snprintf(request, sizeof request, "PUB chat.general _INBOX.%u %zu\r\n%s\r\n",
                       c->index, load->payload_bytes, load->payload);
    c->sent_us = clock_mono_us();
    nats_write(c, request, (size_t)len);
}

static int nats_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void nats_report(struct nats_load *load, int64_t elapsed_us)
{
    size_t n = load->done;
    qsort(load->latencies_us, n, sizeof *load->latencies_us, nats_compare);
    printf("{\"connections\":%u,\"requests\":%zu,\"errors\":%llu,\"per_s\":%.0f,\"p50_us\":%u,"
           "\"p99_us\":%u,\"max_us\":%u}\n",
           load->connections, n, (unsigned long long)load->errors,
           (double)n * 1e6 / (double)elapsed_us, n ? load->latencies_us[n / 2] : 0,
           n ? load->latencies_us[n * 99 / 100] : 0, n ? load->latencies_us[n - 1] : 0);
}

static void nats_run(struct nats_load *load, const char *endpoint)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct nats_connection *all = mem_calloc(load->connections, sizeof *all);
    int64_t begin_us = clock_mono_us();
    for (unsigned i = 0; i < load->connections; i++) {
        all[i].index = i;
        nats_connect(&all[i], endpoint);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
            nats_fail("epoll_ctl");
    }
    begin_us = clock_mono_us();
    int64_t end_us = begin_us + (int64_t)(load->seconds * 1e6);
    for (unsigned i = 0; i < load->connections; i++)
        nats_send(load, &all[i]);
    unsigned busy = load->connections;
    while (busy > 0) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, 10000);
        if (n <= 0)
            nats_fail("no answer");
        for (int i = 0; i < n; i++) {
            struct nats_connection *c = events[i].data.ptr;
            char answer[512];
            nats_read(c);
            if (!nats_take_message(c, answer, sizeof answer))
                continue;
            load->errors += strstr(answer, "\"error\"") != NULL;
            MEM_GROW(load->latencies_us, load->cap, load->done + 1);
            load->latencies_us[load->done++] = (uint32_t)(clock_mono_us() - c->sent_us);
            if (clock_mono_us() < end_us)
                nats_send(load, c);
            else
                busy--;
        }
    }
    nats_report(load, clock_mono_us() - begin_us);
}

int main(int argc, char **argv)
{
    struct nats_load load = {.connections = 1, .seconds = 3, .payload_bytes = 128};
    unsigned replicas = 0;
    int option;
    while ((option = getopt(argc, argv, "c:t:b:s:")) != -1) {
        if (option == 'c')
            load.connections = (unsigned)atoi(optarg);
        else if (option == 't')
            load.seconds = atof(optarg);
        else if (option == 'b')
            load.payload_bytes = strtoul(optarg, NULL, 10);
        else if (option == 's')
            replicas = (unsigned)atoi(optarg);
        else
            return 1;
    }
    if (optind + 1 != argc || load.connections == 0 || load.connections > NATS_CONNECTIONS_MAX ||
        load.payload_bytes > NATS_PAYLOAD_MAX) {
        fprintf(stderr, "usage: nats_load [-s REPLICAS | -c N -t SECONDS -b BYTES] HOST:PORT\n");
        return 1;
    }
    if (replicas > 0)
        return nats_make_stream(argv[optind], replicas);
    memset(load.payload, 'x', load.payload_bytes);
    nats_run(&load, argv[optind]);
    return 0;
}
