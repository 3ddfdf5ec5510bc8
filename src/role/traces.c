#include "role/traces.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/trace.h"
#include "role/node.h"
#include "run/trace_export.h"

struct traces {
    struct node *node;
    struct trace_export *export; /* NULL: nothing is traced */
};

static void traces_on_joined(void *self)
{
    struct traces *traces = self;
    if (traces->export != NULL)
        trace_export_set_cluster(traces->export, node_cluster_id(traces->node));
}

/* Splits "A=b, C=d" of `text`, which is cut up; as many as fit. */
static size_t traces_headers(char *text, const char *headers[TRACE_EXPORT_HEADERS_MAX + 1])
{
    size_t n = 0;
    char *save = NULL;
    for (char *item = strtok_r(text, ",", &save); item != NULL && n <= TRACE_EXPORT_HEADERS_MAX;
         item = strtok_r(NULL, ",", &save))
        headers[n++] = item + strspn(item, " ");
    return n;
}

static int traces_start(struct node *node, void **self, struct error *e)
{
    const struct node_options *options = node_options(node);
    struct traces *traces = mem_zalloc(sizeof *traces);
    traces->node = node;
    *self = traces;
    if (options->trace.endpoint[0] == '\0')
        return 0;
    const char *headers[TRACE_EXPORT_HEADERS_MAX + 1];
    char *text = mem_strdup(options->trace.headers);
    struct trace_export_options export = {
        .loop = node_loop(node),
        .http = node_http(node),
        .url = options->trace.endpoint,
        .token = options->trace.token,
        .headers = headers,
        .headers_n = traces_headers(text, headers),
        .resource = {.service = "clusterd",
                     .version = options->version,
                     .instance = options->uuid,
                     .node = options->name,
                     .cluster = node_cluster_id(node)},
    };
    int err = trace_export_new(&export, &traces->export, e);
    trace_configure(err == 0, options->trace.sample);
    free(text);
    return err;
}

static void traces_on_finished(void *arg)
{
    struct traces *traces = arg;
    node_role_stopped(traces->node);
}

/* The roles that stand on this one are being stopped: what they ended goes to the collector. */
static void traces_stop(void *self)
{
    struct traces *traces = self;
    trace_configure(false, 0);
    if (traces->export != NULL)
        trace_export_finish(traces->export, traces_on_finished, traces);
    else
        node_role_stopped(traces->node);
}

static void traces_free(void *self)
{
    struct traces *traces = self;
    trace_export_free(traces->export);
    free(traces);
}

const struct role traces_role = {
    .name = "traces",
    .start = traces_start,
    .stop = traces_stop,
    .free = traces_free,
    .on_joined = traces_on_joined,
};
