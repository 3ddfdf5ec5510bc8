#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tests/unit/generated.h"

static char *exposed(enum metric_format format)
{
    struct buf out;
    size_t len;
    buf_init(&out, METRIC_TEXT_MAX);
    assert_int_equal(metric_write(&out, format), 0);
    (void)buf_cstr(&out);
    return buf_steal(&out, &len);
}

static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

#define assert_line(text, line)                                                                    \
    do {                                                                                           \
        if (!has_line((text), (line)))                                                             \
            fail_msg("missing: %s", (line));                                                       \
    } while (0)

/* ---- the rows -------------------------------------------------------------------------------- */

static bool has_word(const char *name, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = name; (at = strstr(at, word)) != NULL; at++)
        if ((at == name || at[-1] == '_') && (at[len] == '_' || at[len] == '\0'))
            return true;
    return false;
}

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);
    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

static void check_name(const struct metric_row *row)
{
    static const char *const forbidden[] = {
        "counter", "gauge", "histogram", "summary", "ms",           "us",
        "ns",      "sec",   "s",         "b",       "kb",           "mb",
        "gb",      "h",     "d",         "m",       "minutes",      "hours",
        "days",    "weeks", "bits",      "percent", "milliseconds", "microseconds",
        "bucket",  "sum",   "count",     "created", "kibibytes"};
    for (size_t i = 0; i < MEM_COUNT(forbidden); i++)
        if (has_word(row->name, forbidden[i]))
            fail_msg("%s has the word %s", row->name, forbidden[i]);
    assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
    assert_true(str_starts_with(row->name, "clusterd_") || str_starts_with(row->name, "process_"));
    assert_int_equal(ends_with(row->name, "_total"), row->type == METRIC_COUNTER);
}

static void check_unit(const struct metric_row *row)
{
    static const char *const units[] = {"", "_seconds", "_bytes", "_ratio"};
    char suffix[32];
    (void)snprintf(suffix, sizeof suffix, "%s%s", units[row->unit],
                   row->type == METRIC_COUNTER ? "_total" : "");
    if (!ends_with(row->name, suffix))
        fail_msg("%s does not end in %s", row->name, suffix);
    for (unsigned unit = METRIC_SECONDS; unit <= METRIC_RATIO; unit++)
        if (unit != row->unit && has_word(row->name, units[unit] + 1))
            fail_msg("%s names another unit than its own", row->name);
}

static void rows_are_named_as_prometheus_advises(void **state)
{
    (void)state;
    for (unsigned m = 0; m < METRIC_N; m++) {
        const struct metric_row *row = metric_row((enum metric)m);
        check_name(row);
        check_unit(row);
        assert_false(row->help[0] >= 'a' && row->help[0] <= 'z');
        assert_true(strlen(row->help) > 10);
        assert_false(ends_with(row->help, "."));
        assert_null(strpbrk(row->help, "|\\\n"));
        assert_int_equal(row->type == METRIC_HISTOGRAM, row->buckets != METRIC_NO_BUCKETS);
        assert_false(has_word(row->labels, "le"));
        for (unsigned other = 0; other < m; other++)
            assert_string_not_equal(row->name, metric_row((enum metric)other)->name);
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static void what_is_counted_is_exposed(void **state)
{
    (void)state;
    metric_add(METRIC_HEARTBEATS_SENT, 2);
    metric_add(METRIC_HEARTBEATS_SENT, 1);
    metric_set(METRIC_DISK_FREE, 1.5e12);
    metric_series_add(metric_series(METRIC_LINK_BYTES, "n2", "in"), 7);
    metric_series_set(metric_series(METRIC_LINK_ROUND_TRIP, "n2"), 0.25);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "# TYPE clusterd_heartbeats_sent_total counter");
    assert_line(text, "# HELP clusterd_heartbeats_sent_total Heartbeats sent to the leader");
    assert_line(text, "clusterd_heartbeats_sent_total 3");
    assert_line(text, "clusterd_disk_free_bytes 1500000000000");
    assert_line(text, "clusterd_link_bytes_total{peer=\"n2\",direction=\"in\"} 7");
    assert_line(text, "clusterd_link_round_trip_seconds{peer=\"n2\"} 0.25");
    assert_null(strstr(text, "# EOF"));
    free(text);
}

static void openmetrics_names_families_and_units_and_ends(void **state)
{
    (void)state;
    metric_add(METRIC_HEARTBEATS_SENT, 1);
    metric_set_counter(METRIC_PROCESS_CPU_SECONDS, 2500000);
    char *text = exposed(METRIC_FORMAT_OPENMETRICS);
    assert_line(text, "# TYPE clusterd_heartbeats_sent counter");
    assert_line(text, "# UNIT process_cpu_seconds seconds");
    assert_line(text, "process_cpu_seconds_total 2.5");
    assert_true(ends_with(text, "\n# EOF\n"));
    free(text);
}

static void histograms_count_into_cumulative_buckets(void **state)
{
    (void)state;
    static const int64_t observed_us[] = {-5, 40, 50, 51, 900, 9999999, 60000000};
    for (size_t i = 0; i < MEM_COUNT(observed_us); i++)
        metric_observe(METRIC_RAFT_COMMIT, observed_us[i]);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "# TYPE clusterd_raft_commit_seconds histogram");
    assert_line(text, "clusterd_raft_commit_seconds_bucket{le=\"5e-05\"} 3");
    assert_line(text, "clusterd_raft_commit_seconds_bucket{le=\"0.0001\"} 4");
    assert_line(text, "clusterd_raft_commit_seconds_bucket{le=\"0.001\"} 5");
    assert_line(text, "clusterd_raft_commit_seconds_bucket{le=\"10\"} 6");
    assert_line(text, "clusterd_raft_commit_seconds_bucket{le=\"+Inf\"} 7");
    assert_line(text, "clusterd_raft_commit_seconds_sum 70.00104");
    assert_line(text, "clusterd_raft_commit_seconds_count 7");
    free(text);
}

static void values_of_labels_are_escaped_and_bounded(void **state)
{
    (void)state;
    char longer[2 * METRIC_VALUE_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(longer + METRIC_VALUE_MAX - 1, "\xc3\xa4", 2); /* a character over the limit */
    metric_series_add(metric_series(METRIC_JOBS_ENDED, "a\"b\\c\nd"), 1);
    metric_series_add(metric_series(METRIC_JOBS_ENDED, longer), 1);
    assert_ptr_equal(metric_series(METRIC_JOBS_ENDED, longer),
                     metric_series(METRIC_JOBS_ENDED, longer));
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "clusterd_jobs_ended_total{state=\"a\\\"b\\\\c\\nd\"} 1");
    longer[METRIC_VALUE_MAX - 1] = '\0';
    char *line = mem_printf("clusterd_jobs_ended_total{state=\"%s\"} 1", longer);
    assert_line(text, line);
    free(line);
    free(text);
}

static void too_many_series_become_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * METRIC_SERIES_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        metric_series_add(metric_series(METRIC_HEARTBEATS_RECEIVED, name), 1);
    }
    unsigned lines = 0;
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    for (const char *at = text; (at = strstr(at, "\nclusterd_heartbeats_received_total{")) != NULL;
         at++)
        lines++;
    assert_int_equal(lines, METRIC_SERIES_MAX);
    char *line =
        mem_printf("clusterd_heartbeats_received_total{peer=\"other\"} %u", METRIC_SERIES_MAX + 1);
    assert_line(text, line);
    free(line);
    free(text);
}

static void cleared_gauges_show_again_when_set(void **state)
{
    (void)state;
    metric_series_set(metric_series(METRIC_NODES, "online"), 3);
    metric_series_set(metric_series(METRIC_NODES, "suspect"), 1);
    metric_clear(METRIC_NODES);
    metric_series_set(metric_series(METRIC_NODES, "online"), 2);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "clusterd_nodes{state=\"online\"} 2");
    assert_null(strstr(text, "suspect"));
    free(text);
}

static void counters_kept_elsewhere_never_go_back(void **state)
{
    (void)state;
    metric_set_counter(METRIC_LOOP_TURNS, 9);
    metric_set_counter(METRIC_LOOP_TURNS, 4);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "clusterd_loop_turns_total 9");
    free(text);
}

static unsigned collected;

static void collect(void *arg)
{
    collected += *(const unsigned *)arg;
}

static void collectors_run_until_they_are_removed(void **state)
{
    (void)state;
    unsigned one = 1, ten = 10;
    metric_add_collector(collect, &one);
    metric_add_collector(collect, &ten);
    metric_collect();
    assert_int_equal(collected, 11);
    metric_remove_collector(collect, &one);
    metric_collect();
    assert_int_equal(collected, 21);
    metric_remove_collector(collect, &ten);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS); /* what never happened is there, too */
    assert_line(text, "clusterd_links_silent_total 0");
    assert_line(text, "clusterd_sql_query_seconds_count 0");
    free(text);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *count(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", i % 97);
        metric_series_add(metric_series(METRIC_CHAT_SUBMITS, name), 1);
        metric_observe(METRIC_RAFT_BATCH, i % 50);
        if (i % 1000 == 0)
            free(exposed(METRIC_FORMAT_PROMETHEUS));
    }
    return NULL;
}

static int add_submits(void *arg, const struct metric_sample *sample)
{
    double *sum = arg;
    if (sample->metric == METRIC_CHAT_SUBMITS)
        *sum += sample->value;
    return 0;
}

static void nothing_counted_on_several_threads_is_lost(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    double sum = 0;
    assert_int_equal(metric_each(add_submits, &sum), 0);
    assert_true(sum == (double)THREADS * ROUNDS);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_line(text, "clusterd_raft_batch_changes_count 80000");
    free(text);
}

static void the_format_follows_the_accept_header(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum metric_format format;
    } rows[] = {
        {NULL, METRIC_FORMAT_PROMETHEUS},
        {"", METRIC_FORMAT_PROMETHEUS},
        {"*/*", METRIC_FORMAT_PROMETHEUS},
        {"text/plain;version=0.0.4", METRIC_FORMAT_PROMETHEUS},
        {"application/openmetrics-text", METRIC_FORMAT_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9",
         METRIC_FORMAT_PROMETHEUS},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8,text/plain;version=0.0.4;q=0.5"
         ",*/*;q=0.1",
         METRIC_FORMAT_OPENMETRICS},
        {"application/openmetrics-text;q=", METRIC_FORMAT_PROMETHEUS},
        {";;;q=,,,;q=x", METRIC_FORMAT_PROMETHEUS},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++)
        if (metric_format_accepted(rows[i].accept) != rows[i].format)
            fail_msg("%s", rows[i].accept);
}

static void promtool_finds_nothing_to_say(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    metric_collect();
    for (unsigned m = 0; m < METRIC_N; m++) {
        const struct metric_row *row = metric_row((enum metric)m);
        static const char *const values[] = {"a", "b", "c"};
        size_t n = row->labels[0] != '\0';
        for (const char *c = row->labels; *c != '\0'; c++)
            n += *c == ',';
        (void)metric_find((enum metric)m, values, n);
    }
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    char *text = exposed(METRIC_FORMAT_PROMETHEUS);
    assert_true(fputs(text, promtool) >= 0);
    free(text);
    assert_int_equal(pclose(promtool), 0);
}

static void the_documentation_is_of_these_rows(void **state)
{
    (void)state;
    const char *top = getenv("TOP_SRCDIR");
    char *path = mem_printf("%s/docs/metrics.md", top != NULL ? top : "..");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    static char text[256 * 1024];
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    struct buf table;
    buf_init(&table, METRIC_TEXT_MAX);
    assert_int_equal(metric_write_reference(&table), 0);
    if (strstr(text, buf_cstr(&table)) == NULL)
        fail_msg("%s is not what `clusterd metrics` prints", path);
    buf_done(&table);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_named_as_prometheus_advises),
        cmocka_unit_test(what_is_counted_is_exposed),
        cmocka_unit_test(openmetrics_names_families_and_units_and_ends),
        cmocka_unit_test(histograms_count_into_cumulative_buckets),
        cmocka_unit_test(values_of_labels_are_escaped_and_bounded),
        cmocka_unit_test(too_many_series_become_one),
        cmocka_unit_test(cleared_gauges_show_again_when_set),
        cmocka_unit_test(counters_kept_elsewhere_never_go_back),
        cmocka_unit_test(collectors_run_until_they_are_removed),
        cmocka_unit_test(nothing_counted_on_several_threads_is_lost),
        cmocka_unit_test(the_format_follows_the_accept_header),
        cmocka_unit_test(promtool_finds_nothing_to_say),
        cmocka_unit_test(the_documentation_is_of_these_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
