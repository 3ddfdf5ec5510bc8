/* An answer of HTTP/1.1 taken apart (RFC 9112): status line and headers, then a body by its length,
 * in chunks, or up to the end of the connection. */
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "client/client_http.h"

enum { CLIENT_HTTP_LINE_BYTES_MAX = 4096 }; /* of a chunk's size, of a trailer */

static size_t client_http_left(const struct client_http *http)
{
    return http->in.len - http->at;
}

static bool client_http_is_header(const char *line, size_t len, const char *name,
                                  const char **value, size_t *value_len)
{
    size_t n = strlen(name);
    if (len < n || strncasecmp(line, name, n) != 0)
        return false;
    while (n < len && (line[n] == ' ' || line[n] == '\t'))
        n++;
    while (len > n && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    *value = line + n;
    *value_len = len - n;
    return true;
}

static bool client_http_has_word(const char *value, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= len; at++)
        if (strncasecmp(value + at, word, n) == 0)
            return true;
    return false;
}

/* One header line. False when it makes no sense. */
static bool client_http_take_header(struct client_http *http, const char *line, size_t len)
{
    const char *value;
    size_t value_len;
    char digits[24];
    client_call_header(http->call, line, len);
    if (client_http_is_header(line, len, "transfer-encoding:", &value, &value_len)) {
        if (value_len != 7 || strncasecmp(value, "chunked", 7) != 0)
            return false;
        http->state = CLIENT_HTTP_CHUNK_SIZE;
    } else if (client_http_is_header(line, len, "content-length:", &value, &value_len)) {
        if (value_len >= sizeof digits)
            return false;
        memcpy(digits, value, value_len);
        digits[value_len] = '\0';
        if (str_parse_u64(digits, 0, INT64_MAX, &http->left) != 0)
            return false;
        if (http->state != CLIENT_HTTP_CHUNK_SIZE)
            http->state = CLIENT_HTTP_LENGTH;
    } else if (client_http_is_header(line, len, "connection:", &value, &value_len)) {
        http->may_keep = http->may_keep && !client_http_has_word(value, value_len, "close");
    }
    return true;
}

/* "HTTP/1.1 200 OK": its status; 0 when it is none. */
static unsigned client_http_status(struct client_http *http, const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        (len > 12 && line[12] != ' '))
        return 0;
    http->may_keep = http->may_keep && line[7] != '0';
    unsigned status = 0;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    return status;
}

/* The line at *at, which moves behind it; NULL when its end has not come. */
static const char *client_http_line(const struct client_http *http, size_t *at, size_t *len)
{
    if (client_http_left(http) == *at)
        return NULL;
    const char *line = (const char *)http->in.data + http->at + *at;
    const char *end = memchr(line, '\n', client_http_left(http) - *at);
    if (end == NULL)
        return NULL;
    *len = (size_t)(end - line);
    *at += *len + 1;
    if (*len > 0 && line[*len - 1] == '\r')
        (*len)--;
    return line;
}

/* 1: taken; 0: more has to come; ERR_PROTOCOL. */
static int client_http_take_head(struct client_http *http)
{
    size_t at = 0, len;
    const char *line;
    while ((line = client_http_line(http, &at, &len)) != NULL && len > 0)
        continue;
    if (line == NULL)
        return client_http_left(http) > CLIENT_HTTP_HEAD_BYTES_MAX ? ERR_PROTOCOL : 0;
    at = 0;
    line = client_http_line(http, &at, &len);
    unsigned status = client_http_status(http, line, len);
    if (status < 100)
        return ERR_PROTOCOL;
    http->state = CLIENT_HTTP_UNTIL_CLOSE;
    while ((line = client_http_line(http, &at, &len)) != NULL && len > 0)
        if (!client_http_take_header(http, line, len))
            return ERR_PROTOCOL;
    http->at += at;
    if (status < 200) { /* the answer itself follows */
        http->state = CLIENT_HTTP_HEAD;
        return 1;
    }
    http->call->status = status;
    if (status == 204 || status == 304 || (http->state == CLIENT_HTTP_LENGTH && http->left == 0))
        http->state = CLIENT_HTTP_DONE;
    return 1;
}

static int client_http_take_size(struct client_http *http)
{
    size_t at = 0, len, n = 0;
    const char *line = client_http_line(http, &at, &len);
    if (line == NULL)
        return client_http_left(http) > CLIENT_HTTP_LINE_BYTES_MAX ? ERR_PROTOCOL : 0;
    http->left = 0;
    for (; n < len && n < 15; n++) {
        char c = line[n];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            break;
        http->left = http->left * 16 + (uint64_t)digit;
    }
    if (n == 0 || (n < len && line[n] != ';' && line[n] != ' '))
        return ERR_PROTOCOL;
    http->at += at;
    http->state = http->left == 0 ? CLIENT_HTTP_TRAILER : CLIENT_HTTP_CHUNK;
    return 1;
}

/* An empty line behind a chunk; behind the last, lines up to an empty one. */
static int client_http_take_line(struct client_http *http)
{
    size_t at = 0, len;
    const char *line = client_http_line(http, &at, &len);
    if (line == NULL)
        return client_http_left(http) > CLIENT_HTTP_LINE_BYTES_MAX ? ERR_PROTOCOL : 0;
    if (http->state == CLIENT_HTTP_CHUNK_END && len > 0)
        return ERR_PROTOCOL;
    if (http->state == CLIENT_HTTP_CHUNK_END)
        http->state = CLIENT_HTTP_CHUNK_SIZE;
    else if (len == 0)
        http->state = CLIENT_HTTP_DONE;
    http->at += at;
    return 1;
}

/* Body bytes. The same, or ERR_CLOSED when the call wants no more. */
static int client_http_take_body(struct client_http *http)
{
    struct client_call *call = http->call;
    bool is_bounded = http->state != CLIENT_HTTP_UNTIL_CLOSE;
    size_t n = client_http_left(http);
    if (n == 0)
        return 0;
    if (is_bounded && n > http->left)
        n = (size_t)http->left;
    bool goes_on = client_call_take(call, (const char *)http->in.data + http->at, n);
    if (!goes_on)
        return ERR_CLOSED;
    http->at += n;
    if (!is_bounded)
        return 1;
    http->left -= n;
    if (http->left == 0)
        http->state = http->state == CLIENT_HTTP_CHUNK ? CLIENT_HTTP_CHUNK_END : CLIENT_HTTP_DONE;
    return 1;
}

int client_http_take(struct client_http *http)
{
    switch (http->state) {
    case CLIENT_HTTP_HEAD:
        return client_http_take_head(http);
    case CLIENT_HTTP_CHUNK_SIZE:
        return client_http_take_size(http);
    case CLIENT_HTTP_CHUNK_END:
    case CLIENT_HTTP_TRAILER:
        return client_http_take_line(http);
    default:
        return client_http_take_body(http);
    }
}
