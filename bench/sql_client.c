#include "bench/sql_client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { SQL_CLIENT_BUFFER = 256 * 1024, SQL_CLIENT_LINE_MAX = 8192 };

struct sql_client {
    int fd;
    size_t at, len;                 /* of buffer */
    char line[SQL_CLIENT_LINE_MAX]; /* the end of what came since the last newline but one */
    size_t line_len;
    char buffer[SQL_CLIENT_BUFFER];
};

static void sql_client_die(const char *why)
{
    fprintf(stderr, "sql client: %s\n", why);
    exit(EXIT_FAILURE);
}

struct sql_client *sql_client_open(const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sql_client *client = mem_zalloc(sizeof *client);
    if (strncmp(endpoint, "unix:", 5) != 0)
        sql_client_die("the endpoint must be unix:PATH");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint + 5);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0)
        sql_client_die(strerror(errno));
    return client;
}

void sql_client_close(struct sql_client *client)
{
    close(client->fd);
    free(client);
}

static void sql_client_send(struct sql_client *client, const char *sql)
{
    json_t *body = json_pack("{s:s}", "sql", sql);
    char *text = json_dumps(body, JSON_COMPACT);
    char *request = mem_printf("POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                               strlen(text), text);
    size_t len = strlen(request);
    for (size_t at = 0; at < len;) {
        ssize_t n = write(client->fd, request + at, len - at);
        if (n <= 0)
            sql_client_die("the connection is lost");
        at += (size_t)n;
    }
    free(request);
    free(text);
    json_decref(body);
}

static char sql_client_byte(struct sql_client *client)
{
    if (client->at == client->len) {
        ssize_t n = read(client->fd, client->buffer, sizeof client->buffer);
        if (n <= 0)
            sql_client_die("the connection is lost");
        client->at = 0;
        client->len = (size_t)n;
    }
    return client->buffer[client->at++];
}

/* A line of the head or of a chunk's size, without its end. */
static size_t sql_client_line(struct sql_client *client, char *line, size_t size)
{
    size_t n = 0;
    char c;
    while ((c = sql_client_byte(client)) != '\n') {
        if (c != '\r' && n + 1 < size)
            line[n++] = c;
    }
    line[n] = '\0';
    return n;
}

/* Keeps the last line of the body, as far as it has place. */
static void sql_client_keep(struct sql_client *client, const char *data, size_t len)
{
    while (len > 0) {
        if (client->line_len > 0 && client->line[client->line_len - 1] == '\n')
            client->line_len = 0;
        const char *end = memchr(data, '\n', len);
        size_t n = end != NULL ? (size_t)(end - data) + 1 : len;
        size_t room = sizeof client->line - 1 - client->line_len;
        size_t copy = n < room ? n : room;
        memcpy(client->line + client->line_len, data, copy);
        client->line_len += copy;
        if (end != NULL && client->line_len > 0)
            client->line[client->line_len - 1] = '\n';
        data += n;
        len -= n;
    }
    client->line[client->line_len] = '\0';
}

static void sql_client_chunk(struct sql_client *client, size_t left, struct sql_answer *answer)
{
    answer->bytes += left;
    while (left > 0) {
        sql_client_keep(client, (char[]){sql_client_byte(client)}, 1);
        left--;
        size_t n = client->len - client->at;
        n = n < left ? n : left;
        answer->has_tasks |= memmem(client->buffer + client->at, n, " tasks", 6) != NULL;
        sql_client_keep(client, client->buffer + client->at, n);
        client->at += n;
        left -= n;
    }
}

static void sql_client_end(struct sql_client *client, struct sql_answer *answer)
{
    json_t *line = json_loads(client->line, 0, NULL);
    const json_t *done = json_object_get(line, "done");
    const json_t *error = json_object_get(line, "error");
    answer->rows = (uint64_t)json_integer_value(json_object_get(done, "rows"));
    const char *text = json_string_value(json_object_get(error, "message"));
    if (!json_is_object(done))
        (void)snprintf(answer->error, sizeof answer->error, "%s",
                       text != NULL ? text : "the answer has no end");
    json_decref(line);
}

void sql_client_run(struct sql_client *client, const char *sql, struct sql_answer *answer)
{
    char line[1024];
    *answer = (struct sql_answer){0};
    int64_t begin_us = clock_mono_us();
    client->line_len = 0;
    sql_client_send(client, sql);
    (void)sql_client_line(client, line, sizeof line);
    if (strncmp(line, "HTTP/1.1 200", 12) != 0)
        sql_client_die(line);
    while (sql_client_line(client, line, sizeof line) > 0)
        continue;
    for (;;) {
        (void)sql_client_line(client, line, sizeof line);
        size_t len = strtoull(line, NULL, 16);
        sql_client_chunk(client, len, answer);
        (void)sql_client_line(client, line, sizeof line);
        if (len == 0)
            break;
    }
    answer->ms = (double)(clock_mono_us() - begin_us) / 1000;
    sql_client_end(client, answer);
}
