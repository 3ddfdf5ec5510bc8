#include "role/exec_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/task_code.h"

/* Begins a line: {"node":"n1","event":"started" */
static int exec_line_begin(struct buf *out, const char *node, const char *event)
{
    int err = buf_append_str(out, "{\"node\":");
    if (err == 0)
        err = json_text_append(out, node, strlen(node));
    if (err == 0)
        err = buf_printf(out, ",\"event\":\"%s\"", event);
    return err;
}

static int exec_line_text(struct buf *out, const char *key, const char *text, size_t len)
{
    int err = buf_printf(out, ",\"%s\":", key);
    return err == 0 ? json_text_append(out, text, len) : err;
}

/* Ends the line that began at `was`, or takes it back after a failure. */
static int exec_line_end(struct buf *out, size_t was, int err)
{
    if (err == 0)
        err = buf_append_str(out, "}\n");
    if (err < 0)
        out->len = was;
    return err;
}

int exec_line_targets(struct buf *out, const char *const *nodes, size_t n)
{
    size_t was = out->len;
    int err = buf_append_str(out, "{\"event\":\"targets\",\"nodes\":[");
    for (size_t i = 0; err == 0 && i < n; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0)
            err = json_text_append(out, nodes[i], strlen(nodes[i]));
    }
    if (err == 0)
        err = buf_append_byte(out, ']');
    return exec_line_end(out, was, err);
}

int exec_line_started(struct buf *out, const char *node)
{
    size_t was = out->len;
    return exec_line_end(out, was, exec_line_begin(out, node, "started"));
}

int exec_line_failed(struct buf *out, const char *node, const char *code, const char *text)
{
    size_t was = out->len;
    int err = exec_line_begin(out, node, "failed");
    if (err == 0)
        err = exec_line_text(out, "code", code, strlen(code));
    if (err == 0)
        err = exec_line_text(out, "text", text, strlen(text));
    return exec_line_end(out, was, err);
}

int exec_line_ended(struct buf *out, const char *node, const Wire__TaskReport *report)
{
    size_t was = out->len;
    uint64_t wall_ms =
        report->ended_ms > report->started_ms ? report->ended_ms - report->started_ms : 0;
    int err = exec_line_begin(out, node, "ended");
    if (err == 0)
        err = report->exit_code >= 0 ? buf_printf(out, ",\"exit_code\":%d", report->exit_code)
                                     : buf_append_str(out, ",\"exit_code\":null");
    if (err == 0)
        err = buf_printf(out, ",\"signal\":%u,\"code\":\"%s\",\"wall_ms\":%" PRIu64, report->signal,
                         task_code_name(report->code), wall_ms);
    return exec_line_end(out, was, err);
}

int exec_line_done(struct buf *out, size_t ok, size_t failed)
{
    return buf_printf(out, "{\"event\":\"done\",\"ok\":%zu,\"failed\":%zu}\n", ok, failed);
}

/* Length of the beginning of a character that `data` ends with, 0 when it ends with a whole one or
 * with something else. */
static size_t exec_line_partial(const uint8_t *data, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        uint8_t c = data[len - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return want > back ? back : 0;
    }
    return 0;
}

static int exec_line_data(struct buf *out, const char *node, const char *event, const uint8_t *data,
                          size_t len)
{
    size_t was = out->len;
    int err = exec_line_begin(out, node, event);
    bool is_text = memchr(data, 0, len) == NULL && str_is_utf8((const char *)data, len);
    if (err == 0 && is_text) {
        err = exec_line_text(out, "data", (const char *)data, len);
    } else if (err == 0) {
        err = buf_append_str(out, ",\"data_base64\":\"");
        if (err == 0)
            err = base64_encode(out, data, len);
        if (err == 0)
            err = buf_append_byte(out, '"');
    }
    return exec_line_end(out, was, err);
}

int exec_line_output(struct buf *out, const char *node, const char *event, const uint8_t *data,
                     size_t len, struct exec_line_rest *rest, bool last)
{
    size_t whole = rest->len + len;
    if (whole == 0)
        return 0;
    uint8_t *joined = mem_alloc(whole);
    memcpy(joined, rest->bytes, rest->len);
    if (len > 0)
        memcpy(joined + rest->len, data, len);
    size_t partial = last ? 0 : exec_line_partial(joined, whole);
    int err = whole > partial ? exec_line_data(out, node, event, joined, whole - partial) : 0;
    if (err == 0) {
        rest->len = partial;
        memcpy(rest->bytes, joined + whole - partial, partial);
    }
    free(joined);
    return err;
}
