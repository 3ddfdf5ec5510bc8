/* The tables of the cluster's state: their columns, and which requests of the API list them. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "role/query_cluster_internal.h"

#define TEXT     "VARCHAR"
#define TEXTS    "VARCHAR[]"
#define INTEGER  "BIGINT"
#define REAL     "DOUBLE"
#define BOOLEAN  "BOOLEAN"
#define TIME     "TIMESTAMP WITH TIME ZONE"
#define TEXT_MAP "MAP(VARCHAR, VARCHAR)"

static const struct sql_column query_nodes_columns[] = {
    {"name", TEXT, false},
    {"id", INTEGER, false},
    {"state", TEXT, false},
    {"roles", TEXTS, false},
    {"kind", TEXT, false},
    {"leader", BOOLEAN, false},
    {"address", TEXT, false},
    {"api_address", TEXT, false},
    {"slots", INTEGER, false},
    {"slots_used", INTEGER, false},
    {"cpu_percent", REAL, false},
    {"load", REAL, false},
    {"memory_total_bytes", INTEGER, false},
    {"memory_available_bytes", INTEGER, false},
    {"disk_total_bytes", INTEGER, false},
    {"disk_free_bytes", INTEGER, false},
    {"disk_full", BOOLEAN, false},
    {"rss_bytes", INTEGER, false},
    {"tasks_running", INTEGER, false},
    {"tasks_queued", INTEGER, false},
    {"rtt_ms", REAL, false},
    {"uptime_ms", INTEGER, false},
    {"labels", TEXTS, false},
    {"draining", BOOLEAN, false},
    {"drain_reason", TEXT, false},
    {"last_seen", TIME, false},
    {"joined_at", TIME, false},
    {"started_at", TIME, false},
    {"version", TEXT, false},
};

static const struct sql_column query_jobs_columns[] = {
    {"id", TEXT, false},
    {"seq", INTEGER, false},
    {"name", TEXT, false},
    {"user", TEXT, false},
    {"state", TEXT, false},
    {"reason", TEXT, false},
    {"elements", INTEGER, false},
    {"running", INTEGER, false},
    {"completed", INTEGER, false},
    {"failed", INTEGER, false},
    {"cancelled", INTEGER, false},
    {"pending", INTEGER, false},
    {"priority", INTEGER, false},
    {"submitted_at", TIME, false},
    {"started_at", TIME, false},
    {"ended_at", TIME, false},
    {"wall_ms", INTEGER, false},
    {"array", TEXT, false},
    {"array_limit", INTEGER, false},
    {"commands", TEXTS, false},
    {"argv", TEXTS, false},
    {"selector", TEXT, false},
    {"cpus", INTEGER, false},
    {"memory_bytes", INTEGER, false},
    {"time_limit_ms", INTEGER, false},
    {"retries", INTEGER, false},
    {"after", TEXTS, false},
    {"idempotency_key", TEXT, false},
};

static const struct sql_column query_tasks_columns[] = {
    {"id", TEXT, false},
    {"job", TEXT, false},
    {"index", INTEGER, false},
    {"attempt", INTEGER, false},
    {"state", TEXT, false},
    {"node", TEXT, false},
    {"code", TEXT, false},
    {"reason", TEXT, false},
    {"exit_code", INTEGER, false},
    {"signal", INTEGER, false},
    {"assigned_at", TIME, false},
    {"started_at", TIME, false},
    {"ended_at", TIME, false},
    {"wall_ms", INTEGER, false},
    {"user_ms", INTEGER, false},
    {"system_ms", INTEGER, false},
    {"rss_max_bytes", INTEGER, false},
    {"stdout_bytes", INTEGER, false},
    {"stderr_bytes", INTEGER, false},
};

static const struct sql_column query_tables_columns[] = {
    {"name", TEXT, false},       {"id", TEXT, false},           {"place", TEXT, false},
    {"version", INTEGER, false}, {"published", INTEGER, false}, {"owned", BOOLEAN, false},
    {"created_at", TIME, false}, {"changed_at", TIME, false},   {"read_only", TEXT, false},
};

static const struct sql_column query_commits_columns[] = {
    {"table_name", TEXT, false},
    {"version", INTEGER, false},
    {"at", TIME, false},
    {"operation", TEXT, false},
    {"user", TEXT, false},
    {"txn_id", TEXT, false},
    {"files_added", INTEGER, false},
    {"files_removed", INTEGER, false},
    {"rows_added", INTEGER, false},
    {"bytes_added", INTEGER, false},
};

static const struct sql_column query_settings_columns[] = {
    {"node", TEXT, false},
    {"name", TEXT, false},
    {"value", TEXT, false},
    {"description", TEXT, false},
};

static const struct sql_column query_metrics_columns[] = {
    {"node", TEXT, false},
    {"name", TEXT, false},
    {"labels", TEXT_MAP, false},
    {"value", REAL, false},
};

static const struct sql_column query_events_columns[] = {
    {"time", TIME, false},  {"id", TEXT, false},    {"kind", TEXT, false},
    {"level", TEXT, false}, {"node", TEXT, false},  {"text", TEXT, false},
    {"by", TEXT, false},    {"cause", TEXT, false}, {"table_name", TEXT, false},
    {"key", TEXT, false},   {"row", TEXT, false},
};

static const struct sql_column query_log_columns[] = {
    {"time", TIME, false}, {"node", TEXT, false}, {"level", TEXT, false},
    {"role", TEXT, false}, {"job", TEXT, false},  {"task", TEXT, false},
    {"peer", TEXT, false}, {"code", TEXT, false}, {"text", TEXT, false},
};

static const struct sql_column query_messages_columns[] = {
    {"seq", INTEGER, false}, {"time", TIME, false}, {"channel", TEXT, false},
    {"sender", TEXT, false}, {"text", TEXT, false},
};

static const struct sql_column query_elections_columns[] = {
    {"group", TEXT, false},        {"leader", TEXT, false},     {"term", INTEGER, false},
    {"since", TIME, false},        {"state", TEXT, false},      {"reason", TEXT, false},
    {"elections", INTEGER, false}, {"members", INTEGER, false},
};

static const struct sql_column query_rollouts_columns[] = {
    {"id", TEXT, false},         {"kind", TEXT, false},         {"service", TEXT, false},
    {"model", TEXT, false},      {"state", TEXT, false},        {"step", INTEGER, false},
    {"steps_n", INTEGER, false}, {"steps", TEXT, false},        {"weight", INTEGER, false},
    {"by", TEXT, false},         {"reason", TEXT, false},       {"text", TEXT, false},
    {"txid", TEXT, false},       {"began_at", TIME, false},     {"since", TIME, false},
    {"ended_at", TIME, false},   {"switch_us", INTEGER, false},
};

static const struct query_cluster_list query_list_events = {"/api/events/rows", "after", "position",
                                                            1000};
static const struct query_cluster_list query_list_log = {"/api/events/rows?kind=log.record",
                                                         "after", "position", 1000};
static const struct query_cluster_list query_list_messages = {"/api/chat/rows", "from", NULL, 4096};
static const struct query_cluster_list query_list_elections = {"/api/elections", NULL, NULL, 0};
static const struct query_cluster_list query_list_rollouts = {"/api/rollouts", NULL, NULL, 0};
static const struct query_cluster_list query_list_nodes = {"/api/nodes", NULL, NULL, 0};
static const struct query_cluster_list query_list_jobs = {"/api/jobs", "after", "seq", 500};
const struct query_cluster_list query_list_tasks = {"/tasks?attempts=all", "after", "index", 2000};
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
    {"tasks", QUERY_CLUSTER_LEADER, &query_list_jobs, "id", &query_list_tasks,
     COLUMNS(query_tasks_columns)},
    {"tables", QUERY_CLUSTER_LEADER, &query_list_tables, NULL, NULL, COLUMNS(query_tables_columns)},
    {"commits", QUERY_CLUSTER_LEADER, &query_list_tables, "name", &query_list_history,
     COLUMNS(query_commits_columns)},
    {"metrics", QUERY_CLUSTER_LEADER, &query_list_metrics, NULL, NULL,
     COLUMNS(query_metrics_columns)},
    {"settings", QUERY_CLUSTER_SELF, NULL, NULL, NULL, COLUMNS(query_settings_columns)},
    {"events", QUERY_CLUSTER_LEADER, &query_list_events, NULL, NULL, query_events_columns,
     MEM_COUNT(query_events_columns), &query_range_events},
    {"log", QUERY_CLUSTER_LEADER, &query_list_log, NULL, NULL, query_log_columns,
     MEM_COUNT(query_log_columns), &query_range_events},
    {"messages", QUERY_CLUSTER_CHAT, &query_list_messages, NULL, NULL, query_messages_columns,
     MEM_COUNT(query_messages_columns), &query_range_messages},
    {"elections", QUERY_CLUSTER_LEADER, &query_list_elections, NULL, NULL,
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
           "cluster.metrics, cluster.settings, cluster.events, cluster.log, "
           "cluster.messages, cluster.elections and "
           "cluster.rollouts are there";
}

const struct sql_column *query_cluster_columns(const struct query_cluster_table *table, size_t *n)
{
    *n = table->columns_n;
    return table->columns;
}
