/* A web page that the operator looks at must never reach the API: its requests carry an Origin that
 * is not ours, or, when the page's name was rebound to our address, a Host that is not ours. And
 * they lack the token. Either check alone would do; both are made. */
#include "run/http_guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/api_auth.h"
#include "run/http_status.h"

void http_refusal_set(struct http_refusal *refusal, unsigned status, const char *hint,
                      const char *fmt, ...)
{
    refusal->status = status;
    refusal->code = http_status_name(status);
    refusal->hint = hint;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(refusal->text, sizeof refusal->text, fmt, args);
    va_end(args);
}

static void http_head_once(struct http_head *head, const char **field, const char *value)
{
    if (*field != NULL)
        head->repeated = true;
    else
        *field = value;
}

void http_head_add(struct http_head *head, const char *name, const char *value)
{
    if (value == NULL)
        value = "";
    switch (name[0] | 0x20) {
    case 'a':
        if (strcasecmp(name, "Authorization") == 0)
            head->authorization = value;
        break;
    case 'c':
        if (strcasecmp(name, "Content-Length") == 0)
            http_head_once(head, &head->content_length, value);
        else if (strcasecmp(name, "Content-Type") == 0)
            head->content_type = value;
        break;
    case 'e':
        if (strcasecmp(name, "Expect") == 0)
            head->expect = value;
        break;
    case 'h':
        if (strcasecmp(name, "Host") == 0)
            http_head_once(head, &head->host, value);
        break;
    case 'o':
        if (strcasecmp(name, "Origin") == 0)
            head->origin = value;
        break;
    case 't':
        if (strcasecmp(name, "Transfer-Encoding") == 0)
            http_head_once(head, &head->transfer_encoding, value);
        break;
    default:
        break;
    }
}

void http_guard_init(struct http_guard *guard, const char *token, const char *const *host_names,
                     size_t host_names_len)
{
    guard->token = mem_strdup(token);
    guard->host_names = mem_calloc(host_names_len + 1, sizeof *guard->host_names);
    guard->host_names_len = host_names_len;
    for (size_t i = 0; i < host_names_len; i++)
        guard->host_names[i] = mem_strdup(host_names[i]);
}

void http_guard_done(struct http_guard *guard)
{
    for (size_t i = 0; i < guard->host_names_len; i++)
        free(guard->host_names[i]);
    free(guard->host_names);
    http_guard_set_token(guard, NULL);
}

void http_guard_set_token(struct http_guard *guard, const char *token)
{
    if (guard->token != NULL)
        explicit_bzero(guard->token, strlen(guard->token));
    free(guard->token);
    guard->token = mem_strdup(token);
}

/* Whether `name` of `len` bytes is ours; `name` is without brackets. */
static bool http_guard_is_ours(const struct http_guard *guard, const char *name, size_t len)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; i < MEM_COUNT(always); i++)
        if (strlen(always[i]) == len && strncasecmp(always[i], name, len) == 0)
            return true;
    for (size_t i = 0; i < guard->host_names_len; i++)
        if (strlen(guard->host_names[i]) == len &&
            strncasecmp(guard->host_names[i], name, len) == 0)
            return true;
    return false;
}

/* Host = uri-host [ ":" port ], RFC 9110, section 7.2 */
static bool http_guard_allows_host(const struct http_guard *guard, const char *host, uint16_t port)
{
    const char *name = host;
    size_t len;
    const char *rest;
    if (host[0] == '[') {
        name = host + 1;
        len = strcspn(name, "]");
        if (name[len] != ']')
            return false;
        rest = name + len + 1;
    } else {
        len = strcspn(name, ":");
        rest = name + len;
    }
    uint64_t given = port;
    if (*rest != '\0' && (*rest != ':' || str_parse_u64(rest + 1, 1, UINT16_MAX, &given) != 0))
        return false;
    return given == port && http_guard_is_ours(guard, name, len);
}

static bool http_guard_is_same_origin(const char *origin, const char *host)
{
    if (strncasecmp(origin, "http://", 7) == 0)
        return strcasecmp(origin + 7, host) == 0;
    if (strncasecmp(origin, "https://", 8) == 0)
        return strcasecmp(origin + 8, host) == 0;
    return false;
}

void http_guard_check_origin(const struct http_guard *guard, const struct http_head *head,
                             const char *authority, uint16_t port, struct http_refusal *refusal)
{
    const char *host = head->host != NULL ? head->host : "";
    if (!http_guard_allows_host(guard, host, port) ||
        (authority != NULL && !http_guard_allows_host(guard, authority, port)))
        http_refusal_set(refusal, 403, "add the name to api.hosts, or use localhost",
                         "Host %.100s is not a name of this node", *host != '\0' ? host : "(none)");
    else if (head->origin != NULL && !http_guard_is_same_origin(head->origin, host))
        http_refusal_set(refusal, 403, "web pages of other hosts have no access",
                         "requests from %.100s are refused", head->origin);
}

void http_guard_check_token(const struct http_guard *guard, const struct http_head *head,
                            struct http_refusal *refusal)
{
    if (guard->token != NULL && api_auth_check(head->authorization, guard->token))
        return;
    http_refusal_set(refusal, 401,
                     "send Authorization: Bearer TOKEN; the token is in the file api.token of the "
                     "node's data directory",
                     head->authorization == NULL ? "this request needs a token"
                                                 : "the token is wrong");
}

void http_guard_check_framing(const struct http_head *head, struct http_refusal *refusal)
{
    const char *te = head->transfer_encoding;
    if (head->repeated)
        http_refusal_set(refusal, 400, NULL,
                         "Host, Content-Length or Transfer-Encoding came more than once");
    else if (te != NULL && head->content_length != NULL)
        http_refusal_set(refusal, 400, NULL, "both Content-Length and Transfer-Encoding came");
    else if (te != NULL && strcasecmp(te, "chunked") != 0)
        http_refusal_set(refusal, 501, "use chunked or Content-Length",
                         "transfer encoding %.80s is not supported", te);
    else if (head->expect != NULL && strcasecmp(head->expect, "100-continue") != 0)
        http_refusal_set(refusal, 417, NULL, "expectation %.80s cannot be met", head->expect);
}

void http_guard_check_json(const struct http_head *head, struct http_refusal *refusal)
{
    /* curl -d says that it sends a form. */
    static const char *const types[] = {"application/json", "text/json",
                                        "application/x-www-form-urlencoded"};
    const char *type = head->content_type;
    if (type == NULL || *type == '\0')
        return;
    size_t len = strcspn(type, "; \t");
    for (size_t i = 0; i < MEM_COUNT(types); i++)
        if (len == strlen(types[i]) && strncasecmp(type, types[i], len) == 0)
            return;
    if (len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0)
        return;
    http_refusal_set(refusal, 415, "send JSON with Content-Type: application/json",
                     "the body must be application/json, not %.80s", type);
}
