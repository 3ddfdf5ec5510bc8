/* Spans as OTLP/HTTP wants them in JSON:
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding over
 * opentelemetry/proto/collector/trace/v1/trace_service.proto. Deviations of that mapping from
 * protobuf's own: ids are hex, enums numbers; integers of 64 bits are strings as there. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json_text.h"
#include "base/trace.h"

enum { TRACE_STATUS_ERROR = 2 };

static int trace_put_id(struct buf *out, const char *key, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * TRACE_ID_BYTES];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    int err = buf_append_byte(out, '"');
    if (err == 0)
        err = buf_append_str(out, key);
    if (err == 0)
        err = buf_append_str(out, "\":\"");
    if (err == 0)
        err = buf_append(out, text, 2 * len);
    return err == 0 ? buf_append_byte(out, '"') : err;
}

static int trace_put_text(struct buf *out, const char *key, const char *value)
{
    int err = buf_printf(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    if (err == 0)
        err = json_text_append(out, value, strlen(value));
    return err == 0 ? buf_append_str(out, "}}") : err;
}

static int trace_put_attribute(struct buf *out, const struct trace_attribute *attribute)
{
    if (attribute->text != NULL)
        return trace_put_text(out, attribute->key, attribute->text);
    return buf_printf(out, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}",
                      attribute->key, attribute->number);
}

static int trace_put_status(struct buf *out, const struct trace_span *span)
{
    const char *text = span->text != NULL ? span->text : span->code < 0 ? err_text(span->code) : "";
    if (span->code == 0)
        return 0;
    int err = buf_printf(out, ",\"status\":{\"code\":%d,\"message\":", TRACE_STATUS_ERROR);
    if (err == 0)
        err = json_text_append(out, text, strlen(text));
    return err == 0 ? buf_append_byte(out, '}') : err;
}

static int trace_put_span(struct buf *out, const struct trace_span *span)
{
    static const uint8_t none[TRACE_SPAN_BYTES];
    int err = buf_append_byte(out, '{');
    if (err == 0)
        err = trace_put_id(out, "traceId", span->context.trace, sizeof span->context.trace);
    if (err == 0)
        err = buf_append_byte(out, ',');
    if (err == 0)
        err = trace_put_id(out, "spanId", span->context.span, sizeof span->context.span);
    if (err == 0 && memcmp(span->parent, none, sizeof none) != 0) {
        err = buf_append_byte(out, ',');
        if (err == 0)
            err = trace_put_id(out, "parentSpanId", span->parent, sizeof span->parent);
    }
    if (err == 0)
        err = buf_printf(out,
                         ",\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64
                         "000\",\"endTimeUnixNano\":\"%" PRId64 "000\",\"attributes\":[",
                         span->name, span->kind, span->began_us, span->ended_us);
    for (unsigned i = 0; i < span->attributes_n && err == 0; i++) {
        if (i > 0)
            err = buf_append_byte(out, ',');
        if (err == 0)
            err = trace_put_attribute(out, &span->attributes[i]);
    }
    if (err == 0)
        err = buf_append_byte(out, ']');
    if (err == 0)
        err = trace_put_status(out, span);
    return err == 0 ? buf_append_byte(out, '}') : err;
}

static int trace_put_resource(struct buf *out, const struct trace_resource *resource)
{
    const char *rows[][2] = {
        {"service.name", resource->service},         {"service.version", resource->version},
        {"service.instance.id", resource->instance}, {"clusterd.node", resource->node},
        {"clusterd.cluster.id", resource->cluster},
    };
    int err = buf_append_str(out, "{\"resource\":{\"attributes\":[");
    bool first = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && err == 0; i++) {
        if (rows[i][1] == NULL || rows[i][1][0] == '\0')
            continue;
        if (!first)
            err = buf_append_byte(out, ',');
        first = false;
        if (err == 0)
            err = trace_put_text(out, rows[i][0], rows[i][1]);
    }
    return err == 0 ? buf_append_str(out, "]},") : err;
}

int trace_write(struct buf *out, const struct trace_resource *resource,
                const struct trace_spans *spans)
{
    int err = buf_append_str(out, "{\"resourceSpans\":[");
    if (err == 0)
        err = trace_put_resource(out, resource);
    if (err == 0)
        err = buf_append_str(out, "\"scopeSpans\":[{\"scope\":{\"name\":\"clusterd\"},\"spans\":[");
    const struct trace_span *span;
    STAILQ_FOREACH (span, spans, entry) {
        if (err == 0 && span != STAILQ_FIRST(spans))
            err = buf_append_byte(out, ',');
        if (err == 0)
            err = trace_put_span(out, span);
    }
    return err == 0 ? buf_append_str(out, "]}]}]}") : err;
}
