#include "shell/complete_live.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "shell/jobs.h"
#include "shell/shell.h"
#include "wire/cluster_rows.h"

enum { COMPLETE_LIVE_ID_BYTES = 8 };

static void complete_live_add_groups(const json_t *nodes, struct complete *complete)
{
    size_t i;
    size_t k;
    json_t *node;
    json_t *item;
    complete_add(complete, "@all", "every node");
    complete_add(complete, "@online", "nodes that are up");
    json_array_foreach(nodes, i, node)
    {
        json_array_foreach(json_object_get(node, "roles"), k, item)
        {
            char *text = mem_printf("@%s", json_is_string(item) ? json_string_value(item) : "");
            complete_add(complete, text, "role");
            free(text);
        }
        json_array_foreach(json_object_get(node, "labels"), k, item)
        {
            char *text =
                mem_printf("@label=%s", json_is_string(item) ? json_string_value(item) : "");
            complete_add(complete, text, "label");
            free(text);
        }
    }
}

static void complete_live_add_jobs(const json_t *jobs, struct complete *complete)
{
    size_t i;
    json_t *job;
    complete_add(complete, "last", "the job that you submitted last");
    json_array_foreach(jobs, i, job)
    {
        const char *id = jobs_text(job, "id");
        bool is_long = strlen(complete->prefix) > COMPLETE_LIVE_ID_BYTES;
        char *text = is_long ? mem_strdup(id) : mem_printf("%.*s", COMPLETE_LIVE_ID_BYTES, id);
        char *about =
            mem_printf("%s%s%s", jobs_text(job, "name"),
                       jobs_text(job, "name")[0] != '\0' ? " " : "", jobs_text(job, "state"));
        complete_add(complete, text, about);
        free(about);
        free(text);
    }
}

/* Tables as SQL writes them. */
static void complete_live_add_table(struct complete *complete, const char *name, const char *about)
{
    char *shown = NULL;
    bool plain = name[0] != '\0' && !isdigit((unsigned char)name[0]);
    for (const char *c = name; *c != '\0'; c++)
        plain = plain && (isalnum((unsigned char)*c) || *c == '_' || *c == '.');
    shown = plain ? mem_strdup(name) : sql_quote_name(name);
    complete_add(complete, shown, about);
    free(shown);
}

static void complete_live_add_sql(struct shell *shell, enum complete_names kind,
                                  struct complete *complete)
{
#define STATE_TABLE(name, columns) CLUSTER_SCHEMA "." #name,
    static const char *const state[] = {CLUSTER_TABLES(STATE_TABLE)};
#undef STATE_TABLE
    size_t i;
    json_t *row;
    bool is_table = kind == COMPLETE_NAMES_TABLES;
    const json_t *rows = is_table ? live_get(&shell->live, LIVE_TABLES, LIVE_WAIT_MS)
                                  : live_get_columns(&shell->live, complete->of, LIVE_WAIT_MS);
    json_array_foreach(rows, i, row)
    {
        complete_live_add_table(complete, jobs_text(row, "name"),
                                is_table ? NULL : jobs_text(row, "type"));
    }
    bool is_cluster = shell->replay == NULL; /* a report lists all that it holds */
    for (i = 0; is_table && is_cluster && i < MEM_COUNT(state); i++)
        complete_add(complete, state[i], NULL);
}

/* Rows' texts of a key, each once, as complete_add() takes them. */
static void complete_live_add_key(const json_t *rows, const char *key, const char *about,
                                  struct complete *complete)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *text = about != NULL ? jobs_text(row, about) : "";
        complete_add(complete, jobs_text(row, key), text[0] != '\0' ? text : NULL);
    }
}

/* Those that a rollout is or was of, and those that only changed with another one. */
static void complete_live_add_services(struct live *live, struct complete *complete)
{
    size_t i;
    json_t *row;
    const json_t *routing = live_get(live, LIVE_ROUTING, LIVE_WAIT_MS);
    complete_live_add_key(live_get(live, LIVE_ROLLOUTS, LIVE_WAIT_MS), "service", "state",
                          complete);
    json_array_foreach(routing, i, row)
    {
        const char *service = jobs_text(row, "service");
        bool is_new = service[0] != '\0';
        for (size_t k = 0; k < complete->n && is_new; k++)
            is_new = strcmp(complete->items[k].text, service) != 0;
        if (is_new)
            complete_add(complete, service, jobs_text(row, "status"));
    }
}

/* "4f12_" names a job: its elements. */
static void complete_live_add_tasks(const json_t *jobs, struct complete *complete)
{
    size_t i;
    json_t *job;
    size_t len = strcspn(complete->prefix, "_");
    json_array_foreach(jobs, i, job)
    {
        json_int_t elements = json_integer_value(json_object_get(job, "elements"));
        if (len < 4 || strncmp(jobs_text(job, "id"), complete->prefix, len) != 0)
            continue;
        for (json_int_t k = 0; k < elements && k < COMPLETE_ITEMS_MAX; k++) {
            char *text = mem_printf("%.*s_%lld", (int)len, complete->prefix, (long long)k);
            complete_add(complete, text, NULL);
            free(text);
        }
    }
}

static void complete_live_add_variables(const struct shell *shell, struct complete *complete)
{
    for (size_t i = 0; i < shell->vars.n; i++)
        complete_add(complete, shell->vars.items[i].name, shell->vars.items[i].value);
}

static const struct {
    enum live_kind kind;
    const char *key;
    const char *about;
} complete_live_lists[] = {
    [COMPLETE_NAMES_NODES] = {LIVE_NODES, "name", "state"},
    [COMPLETE_NAMES_KEYS] = {LIVE_KEYS, "key", NULL},
    [COMPLETE_NAMES_FUNCTIONS] = {LIVE_FUNCTIONS, "name", "type"},
    [COMPLETE_NAMES_KEYWORDS] = {LIVE_KEYWORDS, "name", NULL},
    [COMPLETE_NAMES_MODELS] = {LIVE_MODELS, "id", "url"},
    [COMPLETE_NAMES_CHANNELS] = {LIVE_MESSAGES, "channel", NULL},
    [COMPLETE_NAMES_TXNS] = {LIVE_INDOUBT, "txid", "state"},
    [COMPLETE_NAMES_QUERIES] = {LIVE_QUERIES, "query", "sql"},
};

void complete_live_names(void *arg, enum complete_names kind, struct complete *complete)
{
    struct shell *shell = arg;
    struct live *live = &shell->live;
    switch (kind) {
    case COMPLETE_NAMES_TABLES:
    case COMPLETE_NAMES_COLUMNS:
        complete_live_add_sql(shell, kind, complete);
        break;
    case COMPLETE_NAMES_GROUPS:
        complete_live_add_groups(live_get(live, LIVE_NODES, LIVE_WAIT_MS), complete);
        break;
    case COMPLETE_NAMES_JOBS:
        complete_live_add_jobs(live_get(live, LIVE_JOBS, LIVE_WAIT_MS), complete);
        break;
    case COMPLETE_NAMES_TASKS:
        complete_live_add_tasks(live_get(live, LIVE_JOBS, LIVE_WAIT_MS), complete);
        break;
    case COMPLETE_NAMES_SERVICES:
        complete_live_add_services(live, complete);
        break;
    case COMPLETE_NAMES_VARIABLES:
        complete_live_add_variables(shell, complete);
        break;
    default:
        complete_live_add_key(live_get(live, complete_live_lists[kind].kind, LIVE_WAIT_MS),
                              complete_live_lists[kind].key, complete_live_lists[kind].about,
                              complete);
        break;
    }
}
