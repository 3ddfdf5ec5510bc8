/* usage: url_serve FILE LOG
 * Gives FILE, as it is at that moment, to whoever asks: with an ETag made of its bytes, or below
 * /once with Cache-Control: no-store. Prints its URL; appends the status of each answer to LOG. One
 * request a connection, one at a time; serves until it is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"

enum { URL_SERVE_HEAD_MAX = 16384, URL_SERVE_BYTES_MAX = 256 << 20 };

static bool url_serve_send(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool url_serve_read_head(int fd, char head[static URL_SERVE_HEAD_MAX])
{
    size_t len = 0;
    head[0] = '\0';
    while (strstr(head, "\r\n\r\n") == NULL) {
        ssize_t n = recv(fd, head + len, URL_SERVE_HEAD_MAX - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
    }
    return true;
}

static void url_serve_load(const char *path, struct buf *body)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;
    while (fd >= 0 && n > 0 && buf_reserve(body, 65536) == 0) {
        n = read(fd, body->data + body->len, 65536);
        body->len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void url_serve_note(const char *path, const char *status)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%s\n", status) < 0)
        exit(1);
    (void)close(fd);
}

static void url_serve_answer(int fd, const char *head, const struct buf *body, const char *log)
{
    char etag[32];
    char answer[512];
    (void)snprintf(etag, sizeof etag, "\"%016" PRIx64 "\"",
                   (uint64_t)XXH3_64bits(body->data, body->len));
    bool once = strncmp(head, "GET /once", 9) == 0;
    bool same = !once && strstr(head, etag) != NULL;
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\nETag: %s\r\n%s\r\n",
                   same ? "304 Not Modified" : "200 OK", same ? 0 : body->len, etag,
                   once ? "Cache-Control: no-store\r\n" : "");
    url_serve_note(log, same ? "304" : "200");
    if (url_serve_send(fd, answer, strlen(answer)) && !same)
        (void)url_serve_send(fd, body->data, body->len);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 3 || listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 ||
        listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        fprintf(stderr, "usage: url_serve FILE LOG (%s)\n", strerror(errno));
        return 1;
    }
    printf("http://127.0.0.1:%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    for (;;) {
        char head[URL_SERVE_HEAD_MAX];
        struct buf body;
        int fd = accept(listener, NULL, NULL);
        buf_init(&body, URL_SERVE_BYTES_MAX);
        if (fd >= 0 && url_serve_read_head(fd, head)) {
            url_serve_load(argv[1], &body);
            url_serve_answer(fd, head, &body, argv[2]);
        }
        buf_done(&body);
        if (fd >= 0)
            (void)close(fd);
    }
}
