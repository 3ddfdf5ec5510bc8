/* Answers that no model gave: pages, errors, the built-in model. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_text.h"
#include "run/proxy_internal.h"

static void proxy_answer_append_date(struct proxy_client *c, struct buf *out)
{
    char date[40];
    struct tm tm;
    time_t now = (time_t)(loop_wall_ms(c->core->loop) / 1000);
    if (gmtime_r(&now, &tm) != NULL &&
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
        (void)buf_printf(out, "Date: %s\r\n", date);
}

void proxy_answer_write(struct proxy_client *c, unsigned status, const char *json, size_t len)
{
    struct buf *out = proxy_stream_out(&c->stream);
    bool bodiless = c->head_done && c->parser.method == HTTP_HEAD;
    if (!c->head_done || !c->request_done || c->malformed != 0 || c->core->draining)
        c->keep = false;
    (void)buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_str((enum http_status)status));
    proxy_answer_append_date(c, out);
    (void)buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
    if (c->model != NULL)
        (void)buf_printf(out, "X-Clusterd-Model: %s\r\nX-Clusterd-Version: %" PRIu64 "\r\n",
                         c->model->counters->model, c->route->version);
    if (status == 405)
        (void)buf_append_str(out, "Allow: GET, HEAD\r\n");
    if (status == 503)
        (void)buf_append_str(out, "Retry-After: 1\r\n");
    if (!c->keep)
        (void)buf_append_str(out, "Connection: close\r\n");
    else if (c->parser.http_minor == 0)
        (void)buf_append_str(out, "Connection: keep-alive\r\n");
    (void)buf_append(out, "\r\n", 2);
    if (!bodiless)
        (void)buf_append(out, json, len);
}

void proxy_answer_error(struct proxy_client *c, unsigned status, int code, const char *text)
{
    struct buf json;
    buf_init(&json, PROXY_HEAD_BYTES_MAX);
    (void)buf_printf(&json, "{\"error\":{\"code\":\"%s\",\"message\":", err_name(code));
    if (json_text_append(&json, text, strlen(text)) < 0)
        (void)buf_append_str(&json, "\"\"");
    (void)buf_append_str(&json, "}}\n");
    proxy_answer_write(c, status, (const char *)json.data, json.len);
    buf_done(&json);
}

unsigned proxy_answer_echo(struct proxy_client *c)
{
    struct buf json;
    if (proxy_model_fails(c->model)) {
        proxy_answer_error(c, 500, ERR_INTERNAL, "this model was told to fail now and then");
        return 500;
    }
    buf_init(&json, (size_t)PROXY_ECHO_BYTES_MAX * JSON_TEXT_FACTOR_MAX + 4096);
    (void)buf_append_str(&json, "{\"service\":");
    (void)json_text_append(&json, c->route->name, strlen(c->route->name));
    (void)buf_append_str(&json, ",\"model\":");
    (void)json_text_append(&json, c->model->counters->model, strlen(c->model->counters->model));
    (void)buf_printf(&json, ",\"version\":%" PRIu64 ",\"input\":", c->route->version);
    (void)json_text_append(&json, (const char *)c->body.data, c->body.len);
    (void)buf_append_str(&json, "}\n");
    proxy_answer_write(c, 200, (const char *)json.data, json.len);
    buf_done(&json);
    return 200;
}
