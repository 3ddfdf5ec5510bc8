#include "role/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "role/leader_request.h"
#include "role/node.h"

enum { LOOKUP_STREAM_BYTES_MAX = 1 << 20, LOOKUP_JOB_BYTES_MAX = 64, LOOKUP_ATTEMPTS_MAX = 10000 };

struct lookup {
    struct node *node;
    struct leader_request *request;
    char *job;
    char *user;
    uint32_t element;
    uint32_t attempt;
    Wire__OutputStream stream;
    uint64_t retries; /* of the job */
    lookup_fn fn;
    lookup_over_fn over_fn;
    void *arg;
};

static void lookup_free(struct lookup *lookup)
{
    free(lookup->job);
    free(lookup->user);
    free(lookup);
}

void lookup_cancel(struct lookup *lookup)
{
    leader_request_cancel(lookup->request);
    lookup_free(lookup);
}

static struct lookup *lookup_new(struct node *node, const struct lookup_spec *spec, void *arg)
{
    struct lookup *lookup = mem_zalloc(sizeof *lookup);
    lookup->node = node;
    lookup->job = mem_strdup(spec->job);
    lookup->user = mem_strdup(spec->user);
    lookup->element = spec->element;
    lookup->attempt = spec->attempt;
    lookup->stream = spec->stream;
    lookup->arg = arg;
    return lookup;
}

/* Takes `path`. */
static void lookup_ask(struct lookup *lookup, char *path, leader_request_fn fn)
{
    struct leader_request_spec spec = {.method = "GET", .path = path, .user = lookup->user};
    lookup->request = leader_request_start(lookup->node, &spec, fn, lookup);
    free(path);
}

/* ---- one attempt ------------------------------------------------------------------------------*/

static const char *lookup_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static enum lookup_state lookup_state_of(const json_t *task)
{
    static const struct {
        const char *name;
        enum lookup_state state;
    } names[] = {
        {"pending", LOOKUP_PENDING}, {"assigned", LOOKUP_ACTIVE},
        {"running", LOOKUP_ACTIVE},  {"completed", LOOKUP_COMPLETED},
        {"failed", LOOKUP_FAILED},   {"cancelled", LOOKUP_CANCELLED},
    };
    const char *name = lookup_string(task, "state");
    for (unsigned i = 0; i < MEM_COUNT(names); i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].state;
    return LOOKUP_LOST;
}

/* `decoded` holds what came as Base64. */
static void lookup_read_stream(const json_t *task, Wire__OutputStream stream,
                               struct lookup_result *result, struct buf *decoded)
{
    bool out = stream == WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
    const json_t *text = json_object_get(task, out ? "stdout" : "stderr");
    const json_t *base64 = json_object_get(task, out ? "stdout_base64" : "stderr_base64");
    result->stream_bytes =
        (uint64_t)json_integer_value(json_object_get(task, out ? "stdout_bytes" : "stderr_bytes"));
    if (json_is_string(base64)) {
        result->has_stream =
            base64_decode(decoded, json_string_value(base64), json_string_length(base64)) == 0;
        result->data = decoded->data;
        result->len = decoded->len;
    } else if (json_is_string(text)) {
        result->has_stream = true;
        result->data = (const uint8_t *)json_string_value(text);
        result->len = json_string_length(text);
    }
}

static void lookup_on_task(void *arg, json_t *json, const struct error *e)
{
    struct lookup *lookup = arg;
    struct lookup_result result = {.state = LOOKUP_NEVER_RAN};
    struct error failure;
    struct buf decoded;
    buf_init(&decoded, LOOKUP_STREAM_BYTES_MAX);
    const json_t *task = json_array_get(json, 0);
    if (task != NULL) {
        result.state = lookup_state_of(task);
        result.key.index = (uint32_t)json_integer_value(json_object_get(task, "index"));
        result.key.attempt = (uint32_t)json_integer_value(json_object_get(task, "attempt"));
        result.node = (uint64_t)json_integer_value(json_object_get(task, "node_id"));
        result.superseded = strcmp(lookup_string(task, "code"), "superseded") == 0;
        result.output_kept = json_is_true(json_object_get(task, "output_kept"));
        lookup_read_stream(task, lookup->stream, &result, &decoded);
        if (uuid_parse(lookup_string(task, "job"), &result.key.job) < 0) {
            (void)error_set(&failure, ERR_PROTOCOL, "the leader's answer makes no sense");
            e = &failure;
        }
    } else if (json != NULL && lookup->attempt != 0) {
        (void)error_set(&failure, ERR_NOT_FOUND, "element %u has no attempt %u", lookup->element,
                        lookup->attempt);
        e = &failure;
    }
    lookup->fn(lookup->arg, e == NULL ? &result : NULL, e);
    buf_done(&decoded);
    lookup_free(lookup);
}

struct lookup *lookup_task(struct node *node, const struct lookup_spec *spec, lookup_fn fn,
                           void *arg)
{
    struct lookup *lookup = lookup_new(node, spec, arg);
    lookup->fn = fn;
    lookup_ask(lookup,
               spec->attempt == 0
                   ? mem_printf("/api/jobs/%s/tasks?element=%u&limit=1&output=true", spec->job,
                                spec->element)
                   : mem_printf("/api/jobs/%s/tasks?element=%u&limit=1&output=true&attempt=%u",
                                spec->job, spec->element, spec->attempt),
               lookup_on_task);
    return lookup;
}

/* ---- the whole element ------------------------------------------------------------------------*/

static void lookup_over_end(struct lookup *lookup, bool over, const struct error *e)
{
    lookup->over_fn(lookup->arg, over, e);
    lookup_free(lookup);
}

/* Failures of the last round use up the retries. */
static void lookup_over_on_attempts(void *arg, json_t *json, const struct error *e)
{
    struct lookup *lookup = arg;
    size_t n = json_array_size(json);
    const json_t *last = n > 0 ? json_array_get(json, n - 1) : NULL;
    json_int_t round = json_integer_value(json_object_get(last, "round"));
    uint64_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *task = json_array_get(json, i);
        if (json_integer_value(json_object_get(task, "round")) == round &&
            lookup_state_of(task) == LOOKUP_FAILED)
            failed++;
    }
    bool over = last == NULL || lookup_state_of(last) == LOOKUP_COMPLETED ||
                (lookup_state_of(last) == LOOKUP_CANCELLED &&
                 strcmp(lookup_string(last, "code"), "superseded") != 0) ||
                failed > lookup->retries;
    lookup_over_end(lookup, e == NULL && over, e);
}

static void lookup_over_on_job(void *arg, json_t *json, const struct error *e)
{
    struct lookup *lookup = arg;
    if (e != NULL) {
        lookup_over_end(lookup, false, e);
        return;
    }
    const char *state = lookup_string(json, "state");
    if (strcmp(state, "pending") != 0 && strcmp(state, "running") != 0) {
        lookup_over_end(lookup, true, NULL);
        return;
    }
    lookup->retries = (uint64_t)json_integer_value(json_object_get(json, "retries"));
    lookup_ask(lookup,
               mem_printf("/api/jobs/%s/tasks?element=%u&attempts=all&limit=%d", lookup->job,
                          lookup->element, LOOKUP_ATTEMPTS_MAX),
               lookup_over_on_attempts);
}

struct lookup *lookup_over(struct node *node, const struct lookup_spec *spec, lookup_over_fn fn,
                           void *arg)
{
    struct lookup *lookup = lookup_new(node, spec, arg);
    lookup->over_fn = fn;
    lookup_ask(lookup, mem_printf("/api/jobs/%s", spec->job), lookup_over_on_job);
    return lookup;
}
