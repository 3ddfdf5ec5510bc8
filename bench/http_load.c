/* Closed-loop load on an HTTP API: C connections, each with one request in flight, for T seconds.
 *
 * usage: http_load [-c CONNECTIONS] [-t SECONDS] [-n REQUESTS] [-X METHOD] [-H HEADER]...
 *                  [-b BODY_BYTES | -B BODY] ENDPOINT PATH
 *
 * ENDPOINT is unix:PATH or HOST:PORT (IPv4). "%u" in PATH or BODY becomes a number that grows with
 * each request. Prints one JSON object: requests, errors, per_s, p50_us, p99_us, max_us. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { LOAD_CONNECTIONS_MAX = 4096, LOAD_BUFFER_BYTES = 65536, LOAD_HEADERS_MAX = 16 };

struct load_connection {
    int fd;
    int64_t sent_us;
    size_t len;   /* of the answer so far */
    size_t whole; /* of the answer, 0 before its head is complete */
    char buffer[LOAD_BUFFER_BYTES];
};

struct load {
    unsigned connections;
    double seconds;
    uint64_t requests_max;
    const char *method;
    const char *path;
    char *body;
    char *headers;
    const char *endpoint;
    uint64_t sent;
    uint64_t done;
    uint64_t errors;
    unsigned first_error_status;
    uint32_t *latencies_us;
    size_t latencies_cap;
};

static void load_fail(const char *what)
{
    fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int load_connect(const char *endpoint)
{
    if (strncmp(endpoint, "unix:", 5) == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint + 5);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            load_fail(endpoint);
        return fd;
    }
    const char *colon = strrchr(endpoint, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    if (colon == NULL)
        load_fail("ENDPOINT must be unix:PATH or HOST:PORT");
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - endpoint), endpoint);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        load_fail(endpoint);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        load_fail(endpoint);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Writes `pattern` with the first "%u" replaced. */
static int load_expand(char *out, size_t size, const char *pattern, uint64_t number)
{
    const char *mark = strstr(pattern, "%u");
    if (mark == NULL)
        return snprintf(out, size, "%s", pattern);
    return snprintf(out, size, "%.*s%llu%s", (int)(mark - pattern), pattern,
                    (unsigned long long)number, mark + 2);
}

static void load_send(struct load *load, struct load_connection *c)
{
    char path[4096];
    char *request = mem_alloc(LOAD_BUFFER_BYTES);
    char *body = mem_alloc(LOAD_BUFFER_BYTES);
    (void)load_expand(path, sizeof path, load->path, load->sent);
    int body_len = load_expand(body, LOAD_BUFFER_BYTES, load->body, load->sent);
    int len = snprintf(request, LOAD_BUFFER_BYTES,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s",
                       load->method, path, load->headers, body_len, body);
    c->sent_us = clock_mono_us();
    c->len = 0;
    c->whole = 0;
    if (write(c->fd, request, (size_t)len) != len)
        load_fail("write");
    load->sent++;
    free(request);
    free(body);
}

/* Length of the whole answer when its head is complete. */
static size_t load_answer_len(const struct load_connection *c)
{
    static const char last_chunk[] = "\r\n0\r\n\r\n";
    const char *end = memmem(c->buffer, c->len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - c->buffer) + 4;
    for (const char *line = c->buffer; line < end; line = strchr(line, '\n') + 1)
        if (strncasecmp(line, "content-length:", 15) == 0)
            return head + strtoull(line + 15, NULL, 10);
        else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) {
            size_t n = sizeof last_chunk - 1;
            return c->len > head + n && memcmp(c->buffer + c->len - n, last_chunk, n) == 0 ? c->len
                                                                                           : 0;
        }
    return head;
}

static void load_count(struct load *load, const struct load_connection *c)
{
    unsigned status = (unsigned)atoi(c->buffer + 9);
    if (status < 200 || status > 299) {
        load->errors++;
        if (load->first_error_status == 0) {
            load->first_error_status = status;
            fprintf(stderr, "http_load: %.*s\n", (int)c->len, c->buffer);
        }
    }
    MEM_GROW(load->latencies_us, load->latencies_cap, load->done + 1);
    load->latencies_us[load->done++] = (uint32_t)(clock_mono_us() - c->sent_us);
}

/* Returns whether the answer is complete. */
static bool load_receive(struct load *load, struct load_connection *c)
{
    ssize_t n = read(c->fd, c->buffer + c->len, sizeof c->buffer - 1 - c->len);
    if (n <= 0)
        load_fail("the connection broke");
    c->len += (size_t)n;
    c->buffer[c->len] = '\0';
    if (c->whole == 0)
        c->whole = load_answer_len(c);
    if (c->whole == 0 || c->len < c->whole)
        return false;
    load_count(load, c);
    return true;
}

static int load_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void load_report(struct load *load, int64_t elapsed_us)
{
    size_t n = load->done;
    qsort(load->latencies_us, n, sizeof *load->latencies_us, load_compare);
    printf("{\"connections\":%u,\"requests\":%zu,\"errors\":%llu,\"per_s\":%.0f,\"p50_us\":%u,"
           "\"p99_us\":%u,\"max_us\":%u}\n",
           load->connections, n, (unsigned long long)load->errors,
           (double)n * 1e6 / (double)elapsed_us, n ? load->latencies_us[n / 2] : 0,
           n ? load->latencies_us[n * 99 / 100] : 0, n ? load->latencies_us[n - 1] : 0);
}

static void load_run(struct load *load)
{
    struct load_connection *all = mem_calloc(load->connections, sizeof *all);
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < load->connections; i++) {
        all[i].fd = load_connect(load->endpoint);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
            load_fail("epoll");
    }
    int64_t begin_us = clock_mono_us();
    int64_t end_us = begin_us + (int64_t)(load->seconds * 1e6);
    for (unsigned i = 0; i < load->connections; i++)
        load_send(load, &all[i]);
    while (load->done < load->sent) {
        int n = epoll_wait(epoll_fd, events, 256, 10000);
        if (n <= 0)
            load_fail("no answer for 10 s");
        bool more = clock_mono_us() < end_us;
        for (int i = 0; i < n; i++)
            if (load_receive(load, events[i].data.ptr) && more &&
                (load->requests_max == 0 || load->sent < load->requests_max))
                load_send(load, events[i].data.ptr);
    }
    load_report(load, clock_mono_us() - begin_us);
    for (unsigned i = 0; i < load->connections; i++)
        close(all[i].fd);
    close(epoll_fd);
    free(all);
}

int main(int argc, char **argv)
{
    struct load load = {.connections = 1, .seconds = 3, .method = "GET"};
    load.headers = mem_strdup("");
    load.body = mem_strdup("");
    int option;
    while ((option = getopt(argc, argv, "c:t:n:X:H:b:B:")) != -1) {
        char *longer;
        switch (option) {
        case 'c':
            load.connections = (unsigned)atoi(optarg);
            break;
        case 't':
            load.seconds = atof(optarg);
            break;
        case 'n':
            load.requests_max = strtoull(optarg, NULL, 10);
            load.seconds = 3600;
            break;
        case 'X':
            load.method = optarg;
            break;
        case 'H':
            longer = mem_printf("%s%s\r\n", load.headers, optarg);
            free(load.headers);
            load.headers = longer;
            break;
        case 'b':
            free(load.body);
            load.body = mem_printf("%*s", atoi(optarg), "x");
            break;
        case 'B':
            free(load.body);
            load.body = mem_strdup(optarg);
            break;
        default:
            return 2;
        }
    }
    if (argc - optind != 2 || load.connections < 1 || load.connections > LOAD_CONNECTIONS_MAX) {
        fprintf(stderr, "usage: http_load [-c N] [-t S] [-n N] [-X METHOD] [-H HEADER] [-b BYTES] "
                        "[-B BODY] ENDPOINT PATH\n");
        return 2;
    }
    load.endpoint = argv[optind];
    load.path = argv[optind + 1];
    load_run(&load);
    free(load.latencies_us);
    free(load.headers);
    free(load.body);
    return load.errors > 0;
}
