/* The metrics as text: Prometheus' format, OpenMetrics, and the table of the documentation. The
 * samples of a metric come in the order in which their series were made. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/metric_internal.h"
#include "base/str.h"

static const char *const metric_type_names[] = {"counter", "gauge", "histogram"};

/* ---- samples --------------------------------------------------------------------------------- */

/* Splits "a,b" of a row into names. */
static size_t metric_label_names(const struct metric_row *row,
                                 char names[METRIC_LABELS_MAX][METRIC_VALUE_MAX])
{
    size_t n = 0;
    const char *at = row->labels;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        assert(n < METRIC_LABELS_MAX && len < METRIC_VALUE_MAX);
        memcpy(names[n], at, len);
        names[n++][len] = '\0';
        at += len + (at[len] == ',');
    }
    return n;
}

static double metric_series_value(const struct metric_series *series, const struct metric_row *row)
{
    uint64_t word = __atomic_load_n(&series->word, __ATOMIC_RELAXED);
    double value;
    if (row->type == METRIC_GAUGE) {
        memcpy(&value, &word, sizeof value);
        return value;
    }
    return (double)word * metric_scale(row->unit);
}

static int metric_each_bucket(const struct metric_series *series, const struct metric_row *row,
                              struct metric_sample *sample,
                              int (*fn)(void *arg, const struct metric_sample *sample), void *arg)
{
    size_t n;
    const double *bounds = metric_bounds(row->buckets, &n);
    uint64_t count = 0;
    char bound[32];
    sample->suffix = "_bucket";
    sample->labels[sample->labels_n][0] = "le";
    sample->labels[sample->labels_n++][1] = bound;
    int err = 0;
    for (size_t i = 0; i <= n && err == 0; i++) {
        count += __atomic_load_n(&series->buckets[i], __ATOMIC_RELAXED);
        if (i < n)
            (void)snprintf(bound, sizeof bound, "%g", bounds[i]);
        else
            (void)snprintf(bound, sizeof bound, "+Inf");
        sample->value = (double)count;
        err = fn(arg, sample);
    }
    sample->labels_n--;
    sample->suffix = "_sum";
    sample->value = metric_series_value(series, row);
    if (err == 0)
        err = fn(arg, sample);
    sample->suffix = "_count";
    sample->value = (double)count;
    return err == 0 ? fn(arg, sample) : err;
}

static int metric_each_series(const struct metric_series *series,
                              int (*fn)(void *arg, const struct metric_sample *sample), void *arg)
{
    const struct metric_row *row = metric_row(series->metric);
    char names[METRIC_LABELS_MAX][METRIC_VALUE_MAX];
    struct metric_sample sample = {.metric = series->metric, .suffix = ""};
    sample.labels_n = metric_label_names(row, names);
    for (size_t i = 0; i < sample.labels_n; i++) {
        sample.labels[i][0] = names[i];
        sample.labels[i][1] = series->values[i];
    }
    if (row->type == METRIC_HISTOGRAM)
        return metric_each_bucket(series, row, &sample, fn, arg);
    sample.value = metric_series_value(series, row);
    return fn(arg, &sample);
}

static int metric_each_of(enum metric metric,
                          int (*fn)(void *arg, const struct metric_sample *sample), void *arg)
{
    const struct metric_series *all[METRIC_SERIES_MAX];
    size_t n = 0;
    const struct metric_series *series =
        __atomic_load_n(&metric_head(metric)->last, __ATOMIC_ACQUIRE);
    for (; series != NULL; series = series->made_before) {
        assert(n < METRIC_SERIES_MAX);
        all[n++] = series;
    }
    int err = 0;
    while (n-- > 0 && err == 0)
        if (__atomic_load_n(&all[n]->shown, __ATOMIC_RELAXED))
            err = metric_each_series(all[n], fn, arg);
    return err;
}

int metric_each(int (*fn)(void *arg, const struct metric_sample *sample), void *arg)
{
    int err = 0;
    for (unsigned m = 0; m < METRIC_N && err == 0; m++)
        err = metric_each_of((enum metric)m, fn, arg);
    return err;
}

/* ---- expositions ----------------------------------------------------------------------------- */

struct metric_text {
    struct buf *out;
    enum metric_format format;
    int described; /* metric whose head is written; -1: none */
};

const char *metric_format_type(enum metric_format format)
{
    return format == METRIC_FORMAT_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* The weight "q=0.5" of a media range that ends at `end`; 1 without. */
static double metric_weight(const char *range, const char *end)
{
    const char *q = range;
    while (q < end && (q = memchr(q, ';', (size_t)(end - q))) != NULL) {
        q++;
        while (q < end && *q == ' ')
            q++;
        if (end - q >= 2 && (q[0] | 32) == 'q' && q[1] == '=')
            return strtod(q + 2, NULL);
    }
    return 1;
}

enum metric_format metric_format_accepted(const char *accept)
{
    double open = 0, plain = 0;
    while (accept != NULL && *accept != '\0') {
        const char *end = accept + strcspn(accept, ",");
        accept += strspn(accept, " \t");
        double weight = metric_weight(accept, end);
        if (str_starts_with(accept, "application/openmetrics-text"))
            open = weight > open ? weight : open;
        else if (str_starts_with(accept, "text/plain") || str_starts_with(accept, "*/*"))
            plain = weight > plain ? weight : plain;
        accept = end + (*end == ',');
    }
    return open > 0 && open >= plain ? METRIC_FORMAT_OPENMETRICS : METRIC_FORMAT_PROMETHEUS;
}

static int metric_append_escaped(struct buf *out, const char *s, bool quotes)
{
    int err = 0;
    while (*s != '\0' && err == 0) {
        size_t plain = strcspn(s, quotes ? "\\\n\"" : "\\\n");
        err = buf_append(out, s, plain);
        s += plain;
        if (*s == '\0' || err < 0)
            break;
        err = buf_append_str(out, *s == '\\' ? "\\\\" : *s == '\n' ? "\\n" : "\\\"");
        s++;
    }
    return err;
}

static int metric_append_number(struct buf *out, double value)
{
    if (isnan(value))
        return buf_append_str(out, "NaN");
    if (isinf(value))
        return buf_append_str(out, value > 0 ? "+Inf" : "-Inf");
    char text[32];
    bool whole = fabs(value) < 9007199254740992.0 && trunc(value) == value;
    int len = whole ? snprintf(text, sizeof text, "%lld", (long long)value)
                    : snprintf(text, sizeof text, "%.12g", value);
    return buf_append(out, text, (size_t)len);
}

static const char *metric_unit_name(enum metric_unit unit)
{
    static const char *const names[] = {"", "seconds", "bytes", "ratio"};
    return names[unit];
}

/* # HELP, # TYPE, # UNIT: of a counter OpenMetrics names the family, without _total. */
static int metric_describe(struct metric_text *text, const struct metric_row *row)
{
    char name[128];
    bool open = text->format == METRIC_FORMAT_OPENMETRICS;
    size_t len = strlen(row->name);
    (void)snprintf(name, sizeof name, "%s", row->name);
    if (open && row->type == METRIC_COUNTER)
        name[len - strlen("_total")] = '\0';
    int err = buf_printf(text->out, "# HELP %s ", name);
    if (err == 0)
        err = metric_append_escaped(text->out, row->help, open);
    if (err == 0)
        err = buf_printf(text->out, "\n# TYPE %s %s\n", name, metric_type_names[row->type]);
    if (err == 0 && open && row->unit != METRIC_NONE)
        err = buf_printf(text->out, "# UNIT %s %s\n", name, metric_unit_name(row->unit));
    return err;
}

static int metric_write_sample(void *arg, const struct metric_sample *sample)
{
    struct metric_text *text = arg;
    const struct metric_row *row = metric_row(sample->metric);
    int err = 0;
    if (text->described != (int)sample->metric)
        err = metric_describe(text, row);
    text->described = (int)sample->metric;
    if (err == 0)
        err = buf_append_str(text->out, row->name);
    if (err == 0)
        err = buf_append_str(text->out, sample->suffix);
    for (size_t i = 0; i < sample->labels_n && err == 0; i++) {
        err = buf_append_byte(text->out, i == 0 ? '{' : ',');
        if (err == 0)
            err = buf_append_str(text->out, sample->labels[i][0]);
        if (err == 0)
            err = buf_append_str(text->out, "=\"");
        if (err == 0)
            err = metric_append_escaped(text->out, sample->labels[i][1], true);
        if (err == 0)
            err = buf_append_byte(text->out, '"');
    }
    if (err == 0)
        err = buf_append_str(text->out, sample->labels_n > 0 ? "} " : " ");
    if (err == 0)
        err = metric_append_number(text->out, sample->value);
    return err == 0 ? buf_append_byte(text->out, '\n') : err;
}

int metric_write(struct buf *out, enum metric_format format)
{
    struct metric_text text = {.out = out, .format = format, .described = -1};
    int err = metric_each(metric_write_sample, &text);
    if (err == 0 && format == METRIC_FORMAT_OPENMETRICS)
        err = buf_append_str(out, "# EOF\n");
    return err;
}

int metric_write_reference(struct buf *out)
{
    int err = buf_append_str(out, "| metric | type | labels | what |\n|---|---|---|---|\n");
    for (unsigned m = 0; m < METRIC_N && err == 0; m++) {
        const struct metric_row *row = metric_row((enum metric)m);
        err = buf_printf(out, "| `%s` | %s | %s | %s |\n", row->name, metric_type_names[row->type],
                         row->labels, row->help);
    }
    return err;
}
