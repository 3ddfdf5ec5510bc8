#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/metric.h"
#include "tests/unit/generated.h"

static const char incoming_text[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static struct trace_context incoming_context(void)
{
    struct trace_context context;
    assert_int_equal(trace_parse(incoming_text, &context), 0);
    return context;
}

static const struct trace_context none;

static void drain(void)
{
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    while (trace_take(&spans, 1000) > 0)
        trace_free_all(&spans);
}

static int set_up(void **state)
{
    (void)state;
    trace_configure(true, 1);
    drain();
    return 0;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void contexts_travel_as_text(void **state)
{
    (void)state;
    char text[TRACE_TEXT_MAX];
    struct trace_context context = incoming_context();
    assert_true(context.sampled && trace_is_set(&context));
    assert_int_equal(context.trace[0], 0x0a);
    assert_int_equal(context.span[7], 0x31);
    assert_string_equal(trace_format(&context, text), incoming_text);
    assert_string_equal(trace_format(&none, text), "");
}

static void later_versions_are_read_and_nonsense_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int err;
        bool sampled;
    } rows[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", 0, false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", 0, true},
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 0, true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else", 0, true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else", ERR_INVALID, false},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", ERR_INVALID, false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ERR_INVALID, false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", ERR_INVALID, false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", ERR_INVALID, false},
        {"00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01", ERR_INVALID, false},
        {"00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01", ERR_INVALID, false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", ERR_INVALID, false},
        {"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", ERR_INVALID, false},
        {"", ERR_INVALID, false},
        {NULL, ERR_INVALID, false},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct trace_context context = incoming_context();
        if (trace_parse(rows[i].text, &context) != rows[i].err)
            fail_msg("%s", rows[i].text);
        assert_int_equal(context.sampled, rows[i].sampled);
        assert_int_equal(trace_is_set(&context), rows[i].err == 0);
    }
}

static void any_bytes_are_no_context_or_a_good_one(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        char text[TRACE_TEXT_MAX + 8], again[TRACE_TEXT_MAX];
        struct trace_context context, second;
        memcpy(text, incoming_text, sizeof incoming_text);
        for (uint64_t n = prng_below(&g.prng, 4); n > 0; n--)
            text[prng_below(&g.prng, TRACE_TEXT_MAX - 1)] = (char)prng_below(&g.prng, 256);
        if (trace_parse(text, &context) < 0)
            continue;
        assert_int_equal(trace_parse(trace_format(&context, again), &second), 0);
        assert_memory_equal(&context, &second, sizeof context);
    }
}

/* ---- which are recorded ---------------------------------------------------------------------- */

static void nothing_is_recorded_while_it_is_off(void **state)
{
    (void)state;
    struct trace_context incoming = incoming_context();
    struct uuid id;
    uuid_generate(&id);
    trace_configure(false, 1);
    assert_null(trace_root(&incoming, 1, "x", TRACE_SERVER));
    assert_null(trace_child(&incoming, "x", TRACE_SERVER));
    assert_null(trace_resume(&incoming, &none, "x", TRACE_SERVER));
    assert_null(trace_root_of(&id, "x", TRACE_SERVER));
    trace_text(NULL, "a", "b");
    trace_number(NULL, "a", 1);
    trace_times(NULL, 1, 2);
    trace_end(NULL, 0, NULL);
    trace_free(NULL);
    assert_false(trace_is_set(trace_context(NULL)));
    assert_int_equal(trace_waiting(), 0);
}

static void whoever_asks_decides_whether_it_is_recorded(void **state)
{
    (void)state;
    struct trace_context incoming = incoming_context();
    trace_configure(true, 0);
    assert_null(trace_root(&none, 1, "x", TRACE_SERVER));
    struct trace_span *span = trace_root(&incoming, 0, "x", TRACE_SERVER);
    assert_non_null(span);
    assert_memory_equal(span->context.trace, incoming.trace, sizeof incoming.trace);
    assert_memory_equal(span->parent, incoming.span, sizeof incoming.span);
    assert_memory_not_equal(span->context.span, incoming.span, sizeof incoming.span);
    trace_free(span);
    trace_configure(true, 1);
    incoming.sampled = false;
    assert_null(trace_root(&incoming, 1, "x", TRACE_SERVER));
    assert_null(trace_child(&none, "x", TRACE_SERVER));
}

static void about_the_ratio_of_new_traces_is_recorded(void **state)
{
    (void)state;
    enum { TRACES = 20000 };
    unsigned all = 0, some = 0;
    trace_configure(true, 0.25);
    for (unsigned i = 0; i < TRACES; i++) {
        struct trace_span *span = trace_root(&none, 1, "x", TRACE_SERVER);
        all += span != NULL;
        trace_free(span);
        span = trace_root(&none, 0.1, "x", TRACE_SERVER);
        some += span != NULL;
        trace_free(span);
    }
    assert_in_range(all, TRACES * 23 / 100, TRACES * 27 / 100);
    assert_in_range(some, TRACES * 20 / 1000, TRACES * 30 / 1000);
}

static void every_node_decides_alike_about_what_a_number_names(void **state)
{
    (void)state;
    unsigned recorded = 0;
    trace_configure(true, 0.5);
    for (unsigned i = 0; i < 2000; i++) {
        struct uuid id;
        uuid_generate(&id);
        struct trace_span *root = trace_root_of(&id, "root", TRACE_INTERNAL);
        struct trace_context context = trace_context_of(&id); /* on another node */
        struct trace_span *child = trace_child(&context, "child", TRACE_CONSUMER);
        assert_int_equal(root != NULL, child != NULL);
        if (root != NULL)
            assert_memory_equal(child->parent, root->context.span, TRACE_SPAN_BYTES);
        recorded += root != NULL;
        trace_free(root);
        trace_free(child);
    }
    assert_in_range(recorded, 800, 1200);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static double dropped_value;

static int find_dropped(void *arg, const struct metric_sample *sample)
{
    (void)arg;
    if (sample->metric == METRIC_TRACE_SPANS && strcmp(sample->labels[0][1], "dropped") == 0)
        dropped_value = sample->value;
    return 0;
}

static double dropped(void)
{
    dropped_value = 0;
    assert_int_equal(metric_each(find_dropped, NULL), 0);
    return dropped_value;
}

static void what_does_not_fit_the_queue_is_counted(void **state)
{
    (void)state;
    double before = dropped();
    for (unsigned i = 0; i < TRACE_QUEUE_MAX + 7; i++)
        trace_end(trace_root(&none, 1, "x", TRACE_SERVER), 0, NULL);
    assert_int_equal(trace_waiting(), TRACE_QUEUE_MAX);
    assert_true(dropped() == before + 7);
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    assert_int_equal(trace_take(&spans, 10), 10);
    trace_free_all(&spans);
    assert_int_equal(trace_waiting(), TRACE_QUEUE_MAX - 10);
}

static void *make_spans(void *arg)
{
    for (unsigned i = 0; i < 500; i++) {
        struct trace_span *span = trace_root(&none, 1, "x", TRACE_SERVER);
        trace_text(span, "who", arg);
        trace_end(span, 0, NULL);
    }
    return NULL;
}

static void spans_end_on_any_thread(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_spans, (char *)"me"), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(trace_waiting(), 2000);
}

/* ---- OTLP's JSON ----------------------------------------------------------------------------- */

static const struct trace_resource resource = {
    .service = "clusterd", .version = "1.2.3", .instance = "0d0a", .node = "n\"1", .cluster = ""};

static json_t *written(size_t max)
{
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    struct buf out;
    json_error_t at;
    buf_init(&out, 4 << 20);
    (void)trace_take(&spans, max);
    assert_int_equal(trace_write(&out, &resource, &spans), 0);
    json_t *json = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &at);
    if (json == NULL)
        fail_msg("%s: %s", at.text, buf_cstr(&out));
    trace_free_all(&spans);
    buf_done(&out);
    return json;
}

static const json_t *span_at(const json_t *json, size_t i)
{
    const json_t *resources = json_object_get(json, "resourceSpans");
    assert_int_equal(json_array_size(resources), 1);
    const json_t *scopes = json_object_get(json_array_get(resources, 0), "scopeSpans");
    assert_int_equal(json_array_size(scopes), 1);
    return json_array_get(json_object_get(json_array_get(scopes, 0), "spans"), i);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/* The value of an attribute: only one kind of it may be there. */
static const char *attribute_of(const json_t *object, const char *key, const char *kind)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(object, "attributes"), i, row)
    {
        if (strcmp(text_of(row, "key"), key) != 0)
            continue;
        assert_int_equal(json_object_size(json_object_get(row, "value")), 1);
        return text_of(json_object_get(row, "value"), kind);
    }
    fail_msg("no attribute %s", key);
    return NULL;
}

static void spans_are_written_as_otlp_json_has_them(void **state)
{
    (void)state;
    struct trace_context incoming = incoming_context();
    struct trace_span *span = trace_root(&incoming, 1, "sql query", TRACE_SERVER);
    trace_times(span, 1700000000123456, 1700000001000000);
    trace_text(span, "a.text", "with \"quotes\"\n\x1b and \xff");
    trace_number(span, "a.number", INT64_MIN);
    trace_text(span, "empty", "");
    trace_end(span, 0, "not told");
    span = trace_root(&none, 1, "job", TRACE_CLIENT);
    trace_end(span, ERR_TIMEOUT, "it took\ttoo long");
    trace_end(trace_root(&none, 1, "quiet", TRACE_INTERNAL), ERR_TIMEOUT, NULL);
    json_t *json = written(10);
    const json_t *of =
        json_object_get(json_array_get(json_object_get(json, "resourceSpans"), 0), "resource");
    assert_string_equal(attribute_of(of, "service.name", "stringValue"), "clusterd");
    assert_string_equal(attribute_of(of, "clusterd.node", "stringValue"), "n\"1");
    assert_int_equal(json_array_size(json_object_get(of, "attributes")), 4); /* no empty cluster */

    const json_t *first = span_at(json, 0);
    assert_string_equal(text_of(first, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(text_of(first, "parentSpanId"), "b7ad6b7169203331");
    assert_int_equal(strspn(text_of(first, "spanId"), "0123456789abcdef"), 16);
    assert_string_equal(text_of(first, "name"), "sql query");
    assert_int_equal(json_integer_value(json_object_get(first, "kind")), 2);
    assert_string_equal(text_of(first, "startTimeUnixNano"), "1700000000123456000");
    assert_string_equal(text_of(first, "endTimeUnixNano"), "1700000001000000000");
    assert_string_equal(attribute_of(first, "a.number", "intValue"), "-9223372036854775808");
    assert_string_equal(attribute_of(first, "a.text", "stringValue"),
                        "with \"quotes\"\n\x1b and \xef\xbf\xbd");
    assert_null(json_object_get(first, "status"));

    const json_t *second = span_at(json, 1);
    assert_null(json_object_get(second, "parentSpanId"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(second, "status"), "code")),
                     2);
    assert_string_equal(text_of(json_object_get(second, "status"), "message"), "it took\ttoo long");
    assert_string_equal(text_of(json_object_get(span_at(json, 2), "status"), "message"),
                        err_text(ERR_TIMEOUT));
    json_decref(json);
}

static void values_and_attributes_are_bounded(void **state)
{
    (void)state;
    char longer[3 * TRACE_VALUE_MAX];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct trace_span *span = trace_root(&none, 1, "x", TRACE_SERVER);
    for (unsigned i = 0; i < 2 * TRACE_ATTRIBUTES_MAX; i++)
        trace_text(span, "k", longer);
    trace_end(span, ERR_INVALID, longer);
    json_t *json = written(1);
    assert_int_equal(json_array_size(json_object_get(span_at(json, 0), "attributes")),
                     TRACE_ATTRIBUTES_MAX);
    assert_int_equal(strlen(attribute_of(span_at(json, 0), "k", "stringValue")), TRACE_VALUE_MAX);
    json_decref(json);
}

static void a_clock_that_was_set_back_ends_no_span_before_it_began(void **state)
{
    (void)state;
    struct trace_span *span = trace_root(&none, 1, "x", TRACE_SERVER);
    trace_times(span, 2000, 1000);
    trace_end(span, 0, NULL);
    json_t *json = written(1);
    assert_string_equal(text_of(span_at(json, 0), "endTimeUnixNano"), "2000000");
    json_decref(json);
}

static void a_full_batch_of_the_largest_spans_fits_one_request(void **state)
{
    (void)state;
    char worst[TRACE_VALUE_MAX + 1];
    memset(worst, 1, sizeof worst - 1); /* six bytes each */
    worst[sizeof worst - 1] = '\0';
    struct trace_spans spans = STAILQ_HEAD_INITIALIZER(spans);
    for (unsigned i = 0; i < 512; i++) {
        struct trace_span *span = trace_root(&none, 1, "a name of some length", TRACE_SERVER);
        for (unsigned k = 0; k < TRACE_ATTRIBUTES_MAX; k++)
            trace_text(span, "clusterd.some.attribute", worst);
        trace_end(span, ERR_INVALID, worst);
    }
    struct buf out;
    assert_int_equal(trace_take(&spans, 512), 512);
    buf_init(&out, 1000); /* too small: an error, no more */
    assert_int_equal(trace_write(&out, &resource, &spans), ERR_TOO_LARGE);
    buf_done(&out);
    buf_init(&out, 16 << 20);
    assert_int_equal(trace_write(&out, &resource, &spans), 0);
    buf_done(&out);
    trace_free_all(&spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(contexts_travel_as_text, set_up),
        cmocka_unit_test_setup(later_versions_are_read_and_nonsense_is_none, set_up),
        cmocka_unit_test_setup(any_bytes_are_no_context_or_a_good_one, set_up),
        cmocka_unit_test_setup(nothing_is_recorded_while_it_is_off, set_up),
        cmocka_unit_test_setup(whoever_asks_decides_whether_it_is_recorded, set_up),
        cmocka_unit_test_setup(about_the_ratio_of_new_traces_is_recorded, set_up),
        cmocka_unit_test_setup(every_node_decides_alike_about_what_a_number_names, set_up),
        cmocka_unit_test_setup(what_does_not_fit_the_queue_is_counted, set_up),
        cmocka_unit_test_setup(spans_end_on_any_thread, set_up),
        cmocka_unit_test_setup(spans_are_written_as_otlp_json_has_them, set_up),
        cmocka_unit_test_setup(values_and_attributes_are_bounded, set_up),
        cmocka_unit_test_setup(a_clock_that_was_set_back_ends_no_span_before_it_began, set_up),
        cmocka_unit_test_setup(a_full_batch_of_the_largest_spans_fits_one_request, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    drain();
    return failed;
}
