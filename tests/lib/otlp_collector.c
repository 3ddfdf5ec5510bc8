/* A collector of traces for tests: takes OTLP/HTTP, writes the body of each POST as one line.
 *
 *     otlp_collector OUT PORT-FILE [TOKEN]
 *
 * listens on a free port of loopback, which it writes to PORT-FILE. What the path of a request
 * ends in says how it is answered:
 *
 *     /v1/traces  200 "{}"; 401 when there is a TOKEN and it isn't given
 *     /slow       nothing
 *     /garbage    what is not HTTP
 *     /busy       503, the body is not written
 *     /refuse     400, the body is not written
 *     /partial    200, says that it rejected one span
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { COLLECTOR_MESSAGE_MAX = 16 << 20 };

static const char *collector_out;
static const char *collector_token;

static bool collector_fill(int fd, struct buf *in)
{
    if (buf_reserve(in, 65536) < 0)
        return false;
    ssize_t n = recv(fd, in->data + in->len, 65536, 0);
    if (n <= 0)
        return false;
    in->len += (size_t)n;
    return true;
}

static void collector_say(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void collector_answer(int fd, unsigned status, const char *body)
{
    char *text = mem_printf("HTTP/1.1 %u x\r\nContent-Type: application/json\r\nContent-Length: "
                            "%zu\r\n\r\n%s",
                            status, strlen(body), body);
    collector_say(fd, text);
    free(text);
}

/* One write: lines of several connections don't mix. */
static void collector_keep(const char *body, size_t len)
{
    FILE *file = fopen(collector_out, "ae");
    char *line = mem_printf("%.*s\n", (int)len, body);
    if (file == NULL)
        abort();
    (void)setvbuf(file, NULL, _IONBF, 0);
    (void)fwrite(line, 1, strlen(line), file);
    (void)fclose(file);
    free(line);
}

static bool path_is(const char *head, const char *end)
{
    const char *path = strchr(head, ' ');
    const char *stop = path != NULL ? strchr(path + 1, ' ') : NULL;
    size_t len = strlen(end);
    return stop != NULL && (size_t)(stop - path - 1) >= len && strncmp(stop - len, end, len) == 0;
}

static bool collector_serve(int fd, const char *head, const char *body, size_t len)
{
    char *wanted = mem_printf("\r\nAuthorization: Bearer %s\r\n",
                              collector_token != NULL ? collector_token : "");
    bool known = collector_token == NULL || strstr(head, wanted) != NULL;
    free(wanted);
    if (path_is(head, "/slow"))
        return false;
    if (path_is(head, "/garbage")) {
        collector_say(fd, "\x01\x02 what?\r\n\r\n\r\n");
        return false;
    }
    if (!known || path_is(head, "/busy") || path_is(head, "/refuse")) {
        collector_answer(fd, !known ? 401 : path_is(head, "/busy") ? 503 : 400, "no");
        return true;
    }
    collector_keep(body, len);
    collector_answer(fd, 200,
                     path_is(head, "/partial")
                         ? "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"bad\"}}"
                         : "{}");
    return true;
}

static size_t collector_length(const char *head)
{
    const char *line = strcasestr(head, "\r\nContent-Length:");
    return line != NULL ? strtoul(line + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

static void *collector_run(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct buf in;
    buf_init(&in, COLLECTOR_MESSAGE_MAX);
    bool good = true;
    while (good && collector_fill(fd, &in)) {
        const char *text = buf_cstr(&in);
        const char *end = strstr(text, "\r\n\r\n");
        if (end == NULL)
            continue;
        char *head = mem_strndup(text, (size_t)(end - text) + 2);
        size_t head_len = strlen(head) + 2, len = collector_length(head);
        if (strcasestr(head, "\r\nExpect:") != NULL && in.len == head_len)
            collector_say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        while (good && in.len < head_len + len)
            good = collector_fill(fd, &in);
        good = good && collector_serve(fd, head, (const char *)in.data + head_len, len);
        buf_clear(&in);
        free(head);
    }
    while (!good && collector_fill(fd, &in)) /* slow: until the client has enough */
        buf_clear(&in);
    (void)close(fd);
    buf_done(&in);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (argc < 3)
        return 2;
    collector_out = argv[1];
    collector_token = argc > 3 ? argv[3] : NULL;
    (void)signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return 1;
    char *temporary = mem_printf("%s.new", argv[2]);
    FILE *file = fopen(temporary, "we");
    if (file == NULL || fprintf(file, "%u\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0 ||
        rename(temporary, argv[2]) != 0)
        return 1;
    free(temporary);
    for (;;) {
        pthread_t thread;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && pthread_create(&thread, NULL, collector_run, (void *)(intptr_t)fd) == 0)
            (void)pthread_detach(thread);
    }
}
