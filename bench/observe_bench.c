/* What it costs to be watched, call by call: nanoseconds of one count, one observation, a series
 * found by its labels, a trace that is not recorded, and a span from its begin to its line for the
 * collector. Prints one JSON object. */
#include <stdio.h>
#include <time.h>

#include "base/metric.h"
#include "base/trace.h"

enum { BENCH_TIMES = 2000000, BENCH_SPANS = 100000, BENCH_BATCH = 500 };

static double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void bench_count(unsigned i)
{
    metric_add(METRIC_HEARTBEATS_SENT, i & 1);
}

static void bench_observe(unsigned i)
{
    metric_observe(METRIC_RAFT_COMMIT, i % 5000);
}

static void bench_find(unsigned i)
{
    static const char *const peers[] = {"n1", "n2", "n3", "n4"};
    metric_series_add(metric_series(METRIC_LINK_BYTES, peers[i % 4], "in"), i);
}

static void bench_unrecorded(unsigned i)
{
    static const struct trace_context none;
    (void)i;
    trace_free(trace_root(&none, 0, "chat append", TRACE_SERVER));
}

static double bench_each_ns(void (*fn)(unsigned i))
{
    double begin = bench_now_ns();
    for (unsigned i = 0; i < BENCH_TIMES; i++)
        fn(i);
    return (bench_now_ns() - begin) / BENCH_TIMES;
}

static double bench_span_ns(void)
{
    static const struct trace_context none;
    static const struct trace_resource resource = {.service = "clusterd", .node = "n1"};
    double begin = bench_now_ns();
    for (unsigned i = 0; i < BENCH_SPANS; i++) {
        struct trace_span *span = trace_root(&none, 1, "task", TRACE_CONSUMER);
        trace_text(span, "clusterd.job.id", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
        trace_number(span, "clusterd.task.index", i);
        trace_number(span, "clusterd.task.attempt", 1);
        trace_end(span, 0, NULL);
        if (i % BENCH_BATCH < BENCH_BATCH - 1)
            continue;
        struct trace_spans batch = STAILQ_HEAD_INITIALIZER(batch);
        struct buf out;
        buf_init(&out, 4 << 20);
        (void)trace_take(&batch, BENCH_BATCH);
        (void)trace_write(&out, &resource, &batch);
        trace_free_all(&batch);
        buf_done(&out);
    }
    return (bench_now_ns() - begin) / BENCH_SPANS;
}

int main(void)
{
    trace_configure(true, 1);
    printf("{\"count_ns\":%.1f,\"observe_ns\":%.1f,\"find_ns\":%.1f,\"unrecorded_ns\":%.1f,"
           "\"span_ns\":%.1f}\n",
           bench_each_ns(bench_count), bench_each_ns(bench_observe), bench_each_ns(bench_find),
           bench_each_ns(bench_unrecorded), bench_span_ns());
    return 0;
}
