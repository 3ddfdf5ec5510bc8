/* Happy path: trace_root() or trace_child() make a span, its end puts it into the queue. */
#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/prng.h"

static struct trace_state {
    pthread_mutex_t mutex;
    bool on;
    uint64_t below; /* traces whose number is below are recorded; UINT64_MAX: all */
    struct trace_spans queue;
    size_t queue_n;
} trace_state = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .queue = STAILQ_HEAD_INITIALIZER(trace_state.queue),
};

/* ---- contexts -------------------------------------------------------------------------------- */

static int trace_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `len` bytes from lower-case hex at `text`; false when it isn't, or is all zero. */
static bool trace_read_hex(const char *text, uint8_t *out, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        int high = trace_digit(text[2 * i]);
        int low = high < 0 ? -1 : trace_digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        any |= out[i];
    }
    return any != 0;
}

bool trace_is_set(const struct trace_context *context)
{
    static const uint8_t none[TRACE_ID_BYTES];
    return memcmp(context->trace, none, sizeof none) != 0;
}

/* "00-" trace "-" span "-" flags; a later version may have more behind a further dash. */
int trace_parse(const char *traceparent, struct trace_context *out)
{
    struct trace_context read = {0};
    *out = read;
    size_t len = traceparent != NULL ? strnlen(traceparent, 512) : 0;
    if (len < TRACE_TEXT_MAX - 1 || traceparent[2] != '-' || traceparent[35] != '-' ||
        traceparent[52] != '-')
        return ERR_INVALID;
    int high = trace_digit(traceparent[0]), low = trace_digit(traceparent[1]);
    bool known = high == 0 && low == 0;
    if (high < 0 || low < 0 || (high == 15 && low == 15) ||
        (len > TRACE_TEXT_MAX - 1 && (known || traceparent[TRACE_TEXT_MAX - 1] != '-')))
        return ERR_INVALID;
    int flag_high = trace_digit(traceparent[53]), flag_low = trace_digit(traceparent[54]);
    if (!trace_read_hex(traceparent + 3, read.trace, sizeof read.trace) ||
        !trace_read_hex(traceparent + 36, read.span, sizeof read.span) || flag_high < 0 ||
        flag_low < 0)
        return ERR_INVALID;
    read.sampled = (flag_low & 1) != 0;
    *out = read;
    return 0;
}

static char *trace_put_hex(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

const char *trace_format(const struct trace_context *context, char out[static TRACE_TEXT_MAX])
{
    char *at = out;
    if (trace_is_set(context)) {
        memcpy(at, "00-", 3);
        at = trace_put_hex(at + 3, context->trace, sizeof context->trace);
        *at++ = '-';
        at = trace_put_hex(at, context->span, sizeof context->span);
        memcpy(at, context->sampled ? "-01" : "-00", 3);
        at += 3;
    }
    *at = '\0';
    return out;
}

const struct trace_context *trace_context(const struct trace_span *span)
{
    static const struct trace_context none;
    return span != NULL ? &span->context : &none;
}

/* ---- which are recorded ---------------------------------------------------------------------- */

void trace_configure(bool on, double ratio)
{
    double scaled = ratio * 18446744073709551616.0;
    uint64_t below = ratio >= 1 ? UINT64_MAX : ratio > 0 ? (uint64_t)scaled : 0;
    __atomic_store_n(&trace_state.below, below, __ATOMIC_RELAXED);
    __atomic_store_n(&trace_state.on, on, __ATOMIC_RELAXED);
}

bool trace_is_on(void)
{
    return __atomic_load_n(&trace_state.on, __ATOMIC_RELAXED);
}

static void trace_random(uint8_t *out, size_t len)
{
    static _Thread_local struct prng prng;
    static _Thread_local bool seeded;
    if (!seeded)
        random_bytes(&prng, sizeof prng);
    seeded = true;
    prng_bytes(&prng, out, len); /* all zero is as likely as a clash of two */
}

/* By the number of the trace, so that all nodes decide alike. `share` 0 to 1. */
static bool trace_is_picked(const struct trace_context *context, double share)
{
    uint64_t below = __atomic_load_n(&trace_state.below, __ATOMIC_RELAXED);
    uint64_t number = 0;
    for (unsigned i = 0; i < sizeof number; i++) /* from the end: the middle of a UUID is fixed */
        number = number << 8 | context->trace[TRACE_ID_BYTES - 1 - i];
    if (share < 1)
        below = (uint64_t)((double)below * share);
    return below == UINT64_MAX || number < below;
}

/* ---- spans ----------------------------------------------------------------------------------- */

int64_t trace_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct trace_span *trace_new(const struct trace_context *context, const char *name,
                                    enum trace_kind kind)
{
    struct trace_span *span = mem_zalloc(sizeof *span);
    span->context = *context;
    span->context.sampled = true;
    span->name = name;
    span->kind = kind;
    span->began_us = trace_now_us();
    return span;
}

struct trace_span *trace_child(const struct trace_context *parent, const char *name,
                               enum trace_kind kind)
{
    if (!trace_is_on() || !parent->sampled || !trace_is_set(parent))
        return NULL;
    struct trace_span *span = trace_new(parent, name, kind);
    memcpy(span->parent, parent->span, sizeof span->parent);
    trace_random(span->context.span, sizeof span->context.span);
    return span;
}

struct trace_span *trace_root(const struct trace_context *incoming, double share, const char *name,
                              enum trace_kind kind)
{
    struct trace_context context = {.sampled = true};
    if (!trace_is_on())
        return NULL;
    if (trace_is_set(incoming))
        return trace_child(incoming, name, kind);
    trace_random(context.trace, sizeof context.trace);
    if (!trace_is_picked(&context, share))
        return NULL;
    trace_random(context.span, sizeof context.span);
    return trace_new(&context, name, kind);
}

struct trace_span *trace_resume(const struct trace_context *context,
                                const struct trace_context *parent, const char *name,
                                enum trace_kind kind)
{
    if (!trace_is_on() || !context->sampled || !trace_is_set(context))
        return NULL;
    struct trace_span *span = trace_new(context, name, kind);
    if (trace_is_set(parent))
        memcpy(span->parent, parent->span, sizeof span->parent);
    return span;
}

struct trace_context trace_context_of(const struct uuid *id)
{
    struct trace_context context = {.sampled = true};
    memcpy(context.trace, id->bytes, sizeof context.trace);
    memcpy(context.span, id->bytes, sizeof context.span);
    if (!trace_is_on() || uuid_is_nil(id) || !trace_is_picked(&context, 1))
        context = (struct trace_context){0};
    return context;
}

struct trace_span *trace_root_of(const struct uuid *id, const char *name, enum trace_kind kind)
{
    struct trace_context context = trace_context_of(id);
    return trace_is_set(&context) ? trace_new(&context, name, kind) : NULL;
}

static struct trace_attribute *trace_attribute(struct trace_span *span, const char *key)
{
    if (span == NULL || span->attributes_n == TRACE_ATTRIBUTES_MAX)
        return NULL;
    struct trace_attribute *attribute = &span->attributes[span->attributes_n++];
    attribute->key = key;
    return attribute;
}

/* A copy of the beginning; no character is cut in two. */
static char *trace_copy(const char *value)
{
    size_t len = strnlen(value, TRACE_VALUE_MAX);
    if (len == TRACE_VALUE_MAX)
        while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
            len--;
    return mem_strndup(value, len);
}

void trace_text(struct trace_span *span, const char *key, const char *value)
{
    if (span == NULL || value == NULL || value[0] == '\0')
        return;
    struct trace_attribute *attribute = trace_attribute(span, key);
    if (attribute != NULL)
        attribute->text = trace_copy(value);
}

void trace_number(struct trace_span *span, const char *key, int64_t value)
{
    struct trace_attribute *attribute = trace_attribute(span, key);
    if (attribute != NULL)
        attribute->number = value;
}

void trace_times(struct trace_span *span, int64_t began_us, int64_t ended_us)
{
    if (span == NULL)
        return;
    span->began_us = began_us;
    span->ended_us = ended_us;
}

void trace_free(struct trace_span *span)
{
    if (span == NULL)
        return;
    for (unsigned i = 0; i < span->attributes_n; i++)
        free(span->attributes[i].text);
    free(span->text);
    free(span);
}

void trace_end(struct trace_span *span, int code, const char *text)
{
    if (span == NULL)
        return;
    if (span->ended_us == 0)
        span->ended_us = trace_now_us();
    if (span->ended_us < span->began_us) /* a clock was set back */
        span->ended_us = span->began_us;
    span->code = code;
    span->text = code != 0 && text != NULL ? trace_copy(text) : NULL;
    (void)pthread_mutex_lock(&trace_state.mutex);
    bool taken = trace_state.queue_n < TRACE_QUEUE_MAX;
    if (taken) {
        STAILQ_INSERT_TAIL(&trace_state.queue, span, entry);
        trace_state.queue_n++;
    }
    (void)pthread_mutex_unlock(&trace_state.mutex);
    if (taken)
        return;
    metric_series_add(metric_series(METRIC_TRACE_SPANS, "dropped"), 1);
    trace_free(span);
}

/* ---- the queue ------------------------------------------------------------------------------- */

size_t trace_take(struct trace_spans *out, size_t max)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&trace_state.mutex);
    struct trace_span *span;
    while (n < max && (span = STAILQ_FIRST(&trace_state.queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&trace_state.queue, entry);
        STAILQ_INSERT_TAIL(out, span, entry);
        trace_state.queue_n--;
        n++;
    }
    (void)pthread_mutex_unlock(&trace_state.mutex);
    return n;
}

size_t trace_waiting(void)
{
    (void)pthread_mutex_lock(&trace_state.mutex);
    size_t n = trace_state.queue_n;
    (void)pthread_mutex_unlock(&trace_state.mutex);
    return n;
}

void trace_free_all(struct trace_spans *spans)
{
    struct trace_span *span;
    while ((span = STAILQ_FIRST(spans)) != NULL) {
        STAILQ_REMOVE_HEAD(spans, entry);
        trace_free(span);
    }
}
