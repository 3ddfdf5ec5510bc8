/* What clustertop's model costs, without a screen: events taken, a filter over many lines while
 * more come, moments of the past.
 *
 * usage: top_model [-n NODES] [-r ROUNDS]
 *
 * Prints one JSON object; times are medians of ROUNDS (default 5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "tui/model.h"

enum {
    TOP_LINES = 100 * 1000,
    TOP_PAST_S = 660, /* events are spread over so long */
    TOP_ROUNDS_MAX = 100,
    TOP_FRAME_MAX = 64 * 1024 * 1024,
    TOP_MORE = 100, /* lines that come while a filter works, after each slice */
};

#define TOP_T0_MS INT64_C(1800000000000)

static unsigned top_nodes = 1000, top_rounds = 5;

static double top_median(double *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && v[j] < v[j - 1]; j--) {
            double swap = v[j];
            v[j] = v[j - 1];
            v[j - 1] = swap;
        }
    return v[n / 2];
}

static char *top_frame(int64_t at_ms, size_t *len)
{
    char at[CLOCK_RFC3339_MAX];
    struct buf b;
    buf_init(&b, TOP_FRAME_MAX);
    (void)buf_printf(&b, "{\"at\":\"%s\",\"cursor\":\"c\",\"nodes\":[",
                     clock_format_rfc3339(at_ms, at));
    for (unsigned i = 0; i < top_nodes; i++)
        (void)buf_printf(
            &b,
            "%s{\"name\":\"n%u\",\"id\":%u,\"state\":\"online\",\"roles\":[\"worker\","
            "\"chat\"],\"address\":\"10.0.0.1:7400\",\"api_address\":\"10.0.0.1:7401\","
            "\"leader\":false,\"slots\":8,\"slots_used\":1,\"tasks_running\":1,"
            "\"cpu_percent\":12.5,\"load\":0.31,\"memory_total_bytes\":16000000000,"
            "\"memory_available_bytes\":1000000000,\"rtt_ms\":0.4,\"labels\":[],"
            "\"draining\":false,\"last_seen\":\"%s\",\"version\":\"0.1.0\"}",
            i > 0 ? "," : "", i, i, at);
    (void)buf_append_str(&b, "],\"routing\":[");
    for (unsigned i = 0; i < top_nodes; i++)
        (void)buf_printf(&b, "%s{\"node\":\"n%u\",\"service\":\"web\",\"version\":1}",
                         i > 0 ? "," : "", i);
    (void)buf_append_str(&b, "]}");
    return buf_steal(&b, len);
}

/* One of eight changes a node, the others are records of a log. */
static void top_event(struct model *model, struct prng *prng, unsigned i, int64_t at_ms)
{
    char at[CLOCK_RFC3339_MAX], line[1024];
    struct error e;
    unsigned node = (unsigned)prng_below(prng, top_nodes);
    (void)clock_format_rfc3339(at_ms, at);
    int n =
        i % 8 == 0
            ? snprintf(
                  line, sizeof line,
                  "{\"id\":\"n0:%u\",\"at\":\"%s\",\"kind\":\"node.change\",\"level\":\"info\","
                  "\"node\":\"n%u\",\"text\":\"n%u has load\",\"table\":\"nodes\",\"key\":"
                  "\"n%u\",\"row\":{\"load\":%u.5}}",
                  i + 1, at, node, node, node, i % 90)
            : snprintf(line, sizeof line,
                       "{\"id\":\"n0:%u\",\"at\":\"%s\",\"kind\":\"log.record\",\"level\":\"info\","
                       "\"node\":\"n%u\",\"text\":\"request %u of client %u took %u ms%s\"}",
                       i + 1, at, node, i, i % 997, i % 331, i % 100 == 1 ? ": timeout" : "");
    (void)model_read_event(model, line, (size_t)n, &e);
}

static double top_filter(struct model *model, struct prng *prng, const char *pattern,
                         bool ignore_case, unsigned *next)
{
    struct model_filter *filter;
    struct error e;
    int64_t began_us = clock_mono_us();
    if (model_filter_new(
            model_live_events(model),
            &(struct model_filter_spec){.pattern = pattern, .ignore_case = ignore_case}, &filter,
            &e) != 0)
        exit(EXIT_FAILURE);
    bool is_done = false;
    while (!is_done) {
        is_done = model_filter_run(filter, 4000);
        for (unsigned i = 0; i < TOP_MORE && !is_done; i++, (*next)++)
            top_event(model, prng, *next, model_live_ms(model));
    }
    double ms = (double)(clock_mono_us() - began_us) / 1000;
    model_filter_free(filter);
    return ms;
}

static double top_seek(struct model *model, struct prng *prng)
{
    int64_t back_ms = (int64_t)prng_between(prng, 500, 600) * 1000;
    int64_t began_us = clock_mono_us();
    if (model_seek(model, model_live_ms(model) - back_ms) != 0) {
        fprintf(stderr, "top_model: the model does not reach so far\n");
        exit(EXIT_FAILURE);
    }
    double ms = (double)(clock_mono_us() - began_us) / 1000;
    model_go_live(model);
    return ms;
}

static double top_seek_frame(struct model *model, const char *frame, size_t len)
{
    struct error e;
    int64_t began_us = clock_mono_us();
    if (model_seek_frame(model, TOP_T0_MS, frame, len, &e) != 0)
        exit(EXIT_FAILURE);
    double ms = (double)(clock_mono_us() - began_us) / 1000;
    model_go_live(model);
    return ms;
}

int main(int argc, char **argv)
{
    double word[TOP_ROUNDS_MAX], regex[TOP_ROUNDS_MAX], fold[TOP_ROUNDS_MAX];
    double seek[TOP_ROUNDS_MAX], server[TOP_ROUNDS_MAX];
    struct prng prng;
    int option;
    size_t len;
    struct error e;
    while ((option = getopt(argc, argv, "n:r:")) != -1) {
        if (option == 'n')
            top_nodes = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            top_rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            return EXIT_FAILURE;
    }
    if (top_rounds == 0 || top_rounds > TOP_ROUNDS_MAX || top_nodes == 0)
        return EXIT_FAILURE;
    prng_init(&prng, 1);
    struct model *model = model_new();
    char *frame = top_frame(TOP_T0_MS, &len);
    if (model_read_frame(model, frame, len, &e) != 0)
        return EXIT_FAILURE;
    int64_t began_us = clock_mono_us();
    unsigned next = 0;
    for (; next < TOP_LINES; next++)
        top_event(model, &prng, next, TOP_T0_MS + (int64_t)next * TOP_PAST_S * 1000 / TOP_LINES);
    double per_s = TOP_LINES / ((double)(clock_mono_us() - began_us) / 1e6);
    for (unsigned i = 0; i < top_rounds; i++) {
        word[i] = top_filter(model, &prng, "timeout", false, &next);
        regex[i] = top_filter(model, &prng, "took (1|2)[0-9]+ ms", false, &next);
        fold[i] = top_filter(model, &prng, "TIMEOUT|n17 ", true, &next);
        seek[i] = top_seek(model, &prng);
        server[i] = top_seek_frame(model, frame, len);
    }
    printf("{\"nodes\":%u,\"events_per_s\":%.0f,\"filter_word_ms\":%.1f,\"filter_regex_ms\":%.1f,"
           "\"filter_fold_ms\":%.1f,\"seek_ms\":%.1f,\"seek_frame_ms\":%.1f,\"bytes\":%zu}\n",
           top_nodes, per_s, top_median(word, top_rounds), top_median(regex, top_rounds),
           top_median(fold, top_rounds), top_median(seek, top_rounds),
           top_median(server, top_rounds), model_bytes(model));
    free(frame);
    model_free(model);
    return EXIT_SUCCESS;
}
