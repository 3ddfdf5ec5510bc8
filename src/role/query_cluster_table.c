/* The tables of the cluster's state: their columns, and which requests of the API list them. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "role/query_cluster_internal.h"
#include "wire/cluster_rows.h"

#define COLUMN(name, type) {name, type, false},

static const struct sql_column query_nodes_columns[] = {CLUSTER_NODES_COLUMNS(COLUMN)};
static const struct sql_column query_jobs_columns[] = {CLUSTER_JOBS_COLUMNS(COLUMN)};
static const struct sql_column query_tasks_columns[] = {CLUSTER_TASKS_COLUMNS(COLUMN)};
static const struct sql_column query_tables_columns[] = {CLUSTER_TABLES_COLUMNS(COLUMN)};
static const struct sql_column query_commits_columns[] = {CLUSTER_COMMITS_COLUMNS(COLUMN)};
static const struct sql_column query_settings_columns[] = {CLUSTER_SETTINGS_COLUMNS(COLUMN)};
static const struct sql_column query_metrics_columns[] = {CLUSTER_METRICS_COLUMNS(COLUMN)};
static const struct sql_column query_events_columns[] = {CLUSTER_EVENTS_COLUMNS(COLUMN)};
static const struct sql_column query_log_columns[] = {CLUSTER_LOG_COLUMNS(COLUMN)};
static const struct sql_column query_vitals_columns[] = {CLUSTER_VITALS_COLUMNS(COLUMN)};
static const struct sql_column query_messages_columns[] = {CLUSTER_MESSAGES_COLUMNS(COLUMN)};
static const struct sql_column query_elections_columns[] = {CLUSTER_ELECTIONS_COLUMNS(COLUMN)};
static const struct sql_column query_rollouts_columns[] = {CLUSTER_ROLLOUTS_COLUMNS(COLUMN)};

static const struct query_cluster_list query_list_events = {"/api/events/rows", "after", "position",
                                                            1000};
static const struct query_cluster_list query_list_log = {"/api/events/rows?kind=log.record",
                                                         "after", "position", 1000};
/* Pages have whole steps: behind one with rows there may be another. */
static const struct query_cluster_list query_list_vitals = {"/api/vitals/rows", "after", "position",
                                                            1};
static const struct query_cluster_list query_list_messages = {"/api/chat/rows", "from", NULL, 4096};
static const struct query_cluster_list query_list_elections = {"/api/elections", NULL, NULL, 0};
static const struct query_cluster_list query_list_rollouts = {"/api/rollouts", NULL, NULL, 0};
static const struct query_cluster_list query_list_nodes = {"/api/nodes", NULL, NULL, 0};
static const struct query_cluster_list query_list_jobs = {"/api/jobs", "after", "seq", 500};
static const struct query_cluster_list query_list_tasks = {"/api/tasks", NULL, NULL, 2000};
static const struct query_cluster_list query_list_tables = {"/api/tables", NULL, NULL, 0};
static const struct query_cluster_list query_list_metrics = {"/api/metrics?nodes=all", NULL, NULL,
                                                             0};
static const struct query_cluster_list query_list_history = {"/history", "before", "version", 2000};

static const struct sql_range_columns query_range_events = {.time = "time"};
static const struct sql_range_columns query_range_messages = {"time", "seq", "channel"};

#define COLUMNS(list) (list), MEM_COUNT(list), NULL

static const struct query_cluster_table query_cluster_tables[] = {
    {"nodes", QUERY_CLUSTER_LEADER, &query_list_nodes, NULL, NULL, COLUMNS(query_nodes_columns)},
    {"jobs", QUERY_CLUSTER_LEADER, &query_list_jobs, NULL, NULL, COLUMNS(query_jobs_columns)},
    {"tasks", QUERY_CLUSTER_LEADER, &query_list_tasks, NULL, NULL, COLUMNS(query_tasks_columns)},
    {"tables", QUERY_CLUSTER_LEADER, &query_list_tables, NULL, NULL, COLUMNS(query_tables_columns)},
    {"commits", QUERY_CLUSTER_LEADER, &query_list_tables, "name", &query_list_history,
     COLUMNS(query_commits_columns)},
    {"metrics", QUERY_CLUSTER_ANY, &query_list_metrics, NULL, NULL, COLUMNS(query_metrics_columns)},
    {"settings", QUERY_CLUSTER_SELF, NULL, NULL, NULL, COLUMNS(query_settings_columns)},
    {"events", QUERY_CLUSTER_ANY, &query_list_events, NULL, NULL, query_events_columns,
     MEM_COUNT(query_events_columns), &query_range_events},
    {"log", QUERY_CLUSTER_ANY, &query_list_log, NULL, NULL, query_log_columns,
     MEM_COUNT(query_log_columns), &query_range_events},
    {"vitals", QUERY_CLUSTER_ANY, &query_list_vitals, NULL, NULL, query_vitals_columns,
     MEM_COUNT(query_vitals_columns), &query_range_events},
    {"messages", QUERY_CLUSTER_CHAT, &query_list_messages, NULL, NULL, query_messages_columns,
     MEM_COUNT(query_messages_columns), &query_range_messages},
    {"elections", QUERY_CLUSTER_ANY, &query_list_elections, NULL, NULL,
     COLUMNS(query_elections_columns)},
    {"rollouts", QUERY_CLUSTER_LEADER, &query_list_rollouts, NULL, NULL,
     COLUMNS(query_rollouts_columns)},
};

bool query_cluster_is(const char *schema)
{
    return schema != NULL && strcasecmp(schema, QUERY_CLUSTER_SCHEMA) == 0;
}

const struct query_cluster_table *query_cluster_find(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(query_cluster_tables); i++)
        if (strcasecmp(query_cluster_tables[i].name, name) == 0)
            return &query_cluster_tables[i];
    return NULL;
}

const char *query_cluster_names(void)
{
    return "cluster.nodes, cluster.jobs, cluster.tasks, cluster.tables, cluster.commits, "
           "cluster.metrics, cluster.settings, cluster.events, cluster.log, cluster.vitals, "
           "cluster.messages, cluster.elections and "
           "cluster.rollouts are there";
}

const struct sql_column *query_cluster_columns(const struct query_cluster_table *table, size_t *n)
{
    *n = table->columns_n;
    return table->columns;
}
