#include "shell/gather.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"
#include "shell/shell.h"
#include "shell/text.h"

void gather_init(struct gather *g)
{
    *g = (struct gather){0};
}

void gather_done(struct gather *g)
{
    for (size_t i = 0; i < g->n; i++) {
        for (int s = 0; s < GATHER_STREAMS; s++)
            buf_done(&g->nodes[i]->output[s]);
        free(g->nodes[i]->name);
        free(g->nodes[i]->code);
        free(g->nodes[i]->text);
        free(g->nodes[i]);
    }
    free(g->nodes);
    *g = (struct gather){0};
}

struct gather_node *gather_node(struct gather *g, const char *name)
{
    if (g->last != NULL && strcmp(g->last->name, name) == 0)
        return g->last;
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->nodes[i]->name, name) == 0)
            return g->last = g->nodes[i];
    }
    if (g->n == GATHER_NODES_MAX)
        return NULL;
    struct gather_node *node = mem_zalloc(sizeof *node);
    node->name = mem_strdup(name);
    node->code = mem_strdup("");
    node->text = mem_strdup("");
    for (int s = 0; s < GATHER_STREAMS; s++)
        buf_init(&node->output[s], GATHER_BYTES_MAX);
    MEM_GROW(g->nodes, g->cap, g->n + 1);
    g->nodes[g->n++] = node;
    return g->last = node;
}

void gather_end(struct gather_node *node, const char *code, const char *text)
{
    free(node->code);
    free(node->text);
    node->code = mem_strdup(code != NULL ? code : "");
    node->text = mem_strdup(text != NULL ? text : "");
}

/* Groups */

static char *gather_fold(const struct gather_node *const *nodes, size_t n)
{
    struct nodeset set;
    nodeset_init(&set);
    for (size_t i = 0; i < n; i++)
        nodeset_add(&set, nodes[i]->name);
    char *folded = nodeset_fold(&set);
    nodeset_done(&set);
    return folded;
}

struct gather_group {
    const struct gather_node **nodes;
    size_t n;
};

static bool gather_same_output(const struct gather_node *a, const struct gather_node *b,
                               enum gather_stream stream)
{
    const struct buf *x = &a->output[stream];
    const struct buf *y = &b->output[stream];
    return x->len == y->len && (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
}

static bool gather_same_end(const struct gather_node *a, const struct gather_node *b)
{
    return a->failed == b->failed && a->exit_code == b->exit_code &&
           strcmp(a->code, b->code) == 0 && strcmp(a->text, b->text) == 0;
}

/* Puts the node into the group of its like, or a new one behind the others. */
static void gather_group_add(struct gather_group *groups, size_t *n_groups, size_t n_nodes,
                             const struct gather_node *node, int stream)
{
    size_t k = 0;
    while (k < *n_groups &&
           !(stream < 0 ? gather_same_end(groups[k].nodes[0], node)
                        : gather_same_output(groups[k].nodes[0], node, (enum gather_stream)stream)))
        k++;
    if (k == *n_groups) {
        groups[k] = (struct gather_group){mem_calloc(n_nodes, sizeof *groups[k].nodes), 0};
        ++*n_groups;
    }
    groups[k].nodes[groups[k].n++] = node;
}

static void gather_groups_done(struct gather_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(groups[i].nodes);
    free(groups);
}

static int gather_compare_groups(const void *a, const void *b)
{
    const struct gather_group *x = a;
    const struct gather_group *y = b;
    return (x->n < y->n) - (x->n > y->n);
}

static void gather_format_group(const struct gather_group *group, enum gather_stream stream,
                                bool has_color, bool on_terminal, struct buf *b)
{
    static const char rule[] = "---------------\n";
    const struct buf *output = &group->nodes[0]->output[stream];
    char *folded = gather_fold(group->nodes, group->n);
    char *clean = str_printable(folded, strlen(folded), false);
    (void)buf_append_str(b, rule);
    (void)buf_printf(b, "%s%s%s", has_color ? "\033[1m" : "", clean, has_color ? "\033[0m" : "");
    if (group->n > 1)
        (void)buf_printf(b, " (%zu)", group->n);
    (void)buf_append_str(b, stream == GATHER_STDERR ? ": standard error\n" : "\n");
    (void)buf_append_str(b, rule);
    if (on_terminal) {
        struct text_stream whole = {.n = 0};
        char *text = text_stream_clean(&whole, (const char *)output->data, output->len, true);
        (void)buf_append_str(b, text);
        free(text);
    } else {
        (void)buf_append(b, output->data, output->len);
    }
    if (output->data[output->len - 1] != '\n')
        (void)buf_append_byte(b, '\n');
    if (group->nodes[0]->is_cut)
        (void)buf_printf(b, "(cut at %d MiB: use --live)\n", GATHER_BYTES_MAX >> 20);
    free(clean);
    free(folded);
}

void gather_format(const struct gather *g, enum gather_stream stream, bool has_color,
                   bool on_terminal, struct buf *b)
{
    struct gather_group *groups = mem_calloc(g->n + 1, sizeof *groups);
    size_t n_groups = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (g->nodes[i]->output[stream].len > 0)
            gather_group_add(groups, &n_groups, g->n, g->nodes[i], stream);
    }
    qsort(groups, n_groups, sizeof *groups, gather_compare_groups);
    for (size_t k = 0; k < n_groups; k++)
        gather_format_group(&groups[k], stream, has_color, on_terminal, b);
    gather_groups_done(groups, n_groups);
}

/* Progress and ends */

static bool gather_is_over(const struct gather_node *node)
{
    return node->ended || node->failed;
}

size_t gather_count_over(const struct gather *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        n += gather_is_over(g->nodes[i]);
    return n;
}

void gather_waiting(const struct gather *g, char *out, size_t max)
{
    const struct gather_node **nodes = mem_calloc(g->n + 1, sizeof *nodes);
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (!gather_is_over(g->nodes[i]))
            nodes[n++] = g->nodes[i];
    }
    char *folded = gather_fold(nodes, n);
    (void)snprintf(out, max, "%s", folded);
    free(folded);
    free(nodes);
}

static bool gather_is_good(const struct gather_node *node)
{
    return node->ended && !node->failed && node->exit_code == 0 && strcmp(node->code, "ok") == 0;
}

void gather_failures(const struct gather *g, struct buf *b)
{
    struct gather_group *groups = mem_calloc(g->n + 1, sizeof *groups);
    size_t n_groups = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (gather_is_over(g->nodes[i]) && !gather_is_good(g->nodes[i]))
            gather_group_add(groups, &n_groups, g->n, g->nodes[i], -1);
    }
    for (size_t k = 0; k < n_groups; k++) {
        const struct gather_node *node = groups[k].nodes[0];
        char *folded = gather_fold(groups[k].nodes, groups[k].n);
        if (node->exit_code > 128)
            (void)buf_printf(b, "%s: killed by signal %d\n", folded, node->exit_code - 128);
        else if (node->exit_code != 0)
            (void)buf_printf(b, "%s: exit status %d\n", folded, node->exit_code);
        else
            (void)buf_printf(b, "%s: %s\n", folded,
                             node->text[0] != '\0' ? node->text : node->code);
        free(folded);
    }
    gather_groups_done(groups, n_groups);
}

int gather_status(const struct gather *g)
{
    int status = SHELL_STATUS_OK;
    for (size_t i = 0; i < g->n; i++) {
        const struct gather_node *node = g->nodes[i];
        int one = gather_is_good(node)   ? SHELL_STATUS_OK
                  : node->exit_code != 0 ? node->exit_code
                                         : SHELL_STATUS_FAILED;
        status = one > status ? one : status;
    }
    return status > 255 ? 255 : status;
}

/* JSON */

static json_t *gather_text(const struct buf *output)
{
    const char *bytes = output->data != NULL ? (const char *)output->data : "";
    json_t *text = json_stringn(bytes, output->len);
    if (text != NULL)
        return text;
    char *clean = str_printable(bytes, output->len, true);
    text = json_string(clean);
    free(clean);
    return text;
}

json_t *gather_node_json(const struct gather_node *node)
{
    const char *state = node->failed ? "failed" : node->ended ? "ended" : "running";
    json_t *row =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:I, s:o, s:o}", "node", node->name, "state", state,
                  "exit_code", node->exit_code, "code", node->code, "text", node->text, "wall_ms",
                  (json_int_t)node->wall_ms, "stdout", gather_text(&node->output[GATHER_STDOUT]),
                  "stderr", gather_text(&node->output[GATHER_STDERR]));
    assert(row != NULL);
    return row;
}

json_t *gather_json(const struct gather *g)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < g->n; i++)
        (void)json_array_append_new(rows, gather_node_json(g->nodes[i]));
    return rows;
}
