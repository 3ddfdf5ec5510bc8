/* The order of the checks: could the target be read, is the framing sound, does a foreign web page
 * ask, is the token right (unless the route is public), is there such a route, is the body of a
 * kind and size that the route takes. The first that fails is the refusal. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "run/http_conn.h"
#include "run/http_status.h"
#include "run/http_tls.h"

static enum MHD_Result http_head_on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                           const char *value)
{
    (void)kind;
    http_head_add(arg, name, value);
    return MHD_YES;
}

static void http_head_judge_caller(struct http_conn *conn, const struct http_head *head)
{
    struct http_listener *listener = conn->listener;
    struct http_server *server = listener->server;
    struct http_refusal *refusal = &conn->refusal;
    if (listener->unix_path != NULL)
        return;
    http_guard_check_origin(&server->guard, head, conn->req->target.authority, listener->port,
                            refusal);
    const struct http_route *route = conn->req->route;
    bool open = route != NULL && (route->flags & HTTP_ROUTE_PUBLIC) != 0;
    if (refusal->status == 0 && !open &&
        !(listener->client_certs && http_tls_has_good_cert(conn->mhd)))
        http_guard_check_token(&server->guard, head, refusal);
    if (refusal->status != 0)
        server->stats.refused++;
}

static uint64_t http_head_body_max(const struct http_conn *conn)
{
    const struct http_route *route = conn->req->route;
    if (route->body_max != 0)
        return route->body_max;
    if (route->flags & HTTP_ROUTE_UPLOAD)
        return conn->listener->server->options.upload_bytes_max;
    return HTTP_BODY_DEFAULT_MAX;
}

static void http_head_judge_body(struct http_conn *conn, const struct http_head *head)
{
    struct http_refusal *refusal = &conn->refusal;
    const struct http_route *route = conn->req->route;
    bool chunked = conn->body_len == UINT64_MAX;
    uint64_t len = chunked ? 0 : conn->body_len;
    uint64_t max = http_head_body_max(conn);
    conn->body_max = max;
    if (len > max)
        http_refusal_set(refusal, 413, NULL, "the body has %llu bytes, more than %llu",
                         (unsigned long long)len, (unsigned long long)max);
    else if ((chunked || len > 0) && (route->flags & (HTTP_ROUTE_BYTES | HTTP_ROUTE_UPLOAD)) == 0)
        http_guard_check_json(head, refusal);
    if (refusal->status != 0)
        return;
    if ((route->flags & HTTP_ROUTE_UPLOAD) == 0) {
        conn->req->body.max = max;
        (void)buf_reserve(&conn->req->body,
                          len < HTTP_BODY_FIRST_BYTES ? len : HTTP_BODY_FIRST_BYTES);
        return;
    }
    struct error e;
    int rc = http_upload_open(conn, &e);
    if (rc != 0)
        http_refusal_set(refusal, http_status_of(rc), NULL, "%s", e.text);
}

void http_head_judge(struct http_conn *conn, const char *method, const char *version)
{
    struct http_request *req = conn->req;
    struct http_server *server = conn->listener->server;
    struct http_refusal *refusal = &conn->refusal;
    struct http_refusal no_route = {.status = 0};
    struct http_head head = {.host = NULL};
    (void)MHD_get_connection_values(conn->mhd, MHD_HEADER_KIND, http_head_on_header, &head);
    (void)snprintf(req->method, sizeof req->method, "%s", method);
    const char *te = head.transfer_encoding;
    conn->impatient = head.expect != NULL || (te != NULL && strcasecmp(te, "chunked") != 0);
    conn->body_len = UINT64_MAX;
    if (te == NULL) {
        conn->body_len = 0;
        if (head.content_length != NULL)
            (void)str_parse_u64(head.content_length, 0, UINT64_MAX, &conn->body_len);
    }
    if (conn->target_error.code != 0) {
        http_refusal_set(refusal, conn->target_error.code == ERR_TOO_LARGE ? 414 : 400, NULL, "%s",
                         conn->target_error.text);
        return;
    }
    http_guard_check_framing(&head, refusal);
    /* RFC 9112, section 3.2; libmicrohttpd would say so in HTML */
    if (refusal->status == 0 && head.host == NULL && strcmp(version, "HTTP/1.1") == 0)
        http_refusal_set(refusal, 400, NULL, "the request has no Host");
    if (refusal->status != 0)
        return;
    http_router_find(server->options.router, req, &no_route);
    http_head_judge_caller(conn, &head);
    if (refusal->status == 0 && no_route.status != 0)
        *refusal = no_route;
    else if (refusal->status == 0 && server->closing)
        http_refusal_set(refusal, 503, "ask another node", "this node is stopping");
    else if (refusal->status == 0)
        http_head_judge_body(conn, &head);
}

bool http_head_is_hopeless(const struct http_conn *conn)
{
    return conn->refusal.status != 0 &&
           (conn->impatient ||
            (conn->body_len != UINT64_MAX && conn->body_len > HTTP_SWALLOW_BYTES_MAX));
}
