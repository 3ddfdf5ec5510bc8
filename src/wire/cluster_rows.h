/* The tables of the cluster's state in SQL: their columns, in order, with DuckDB's types. A node
 * fills them from what its leader answers, a console from a report (docs/events.md). */
#ifndef WIRE_CLUSTER_ROWS_H
#define WIRE_CLUSTER_ROWS_H

#define CLUSTER_SCHEMA "cluster"

#define CLUSTER_TEXT     "VARCHAR"
#define CLUSTER_TEXTS    "VARCHAR[]"
#define CLUSTER_INTEGER  "BIGINT"
#define CLUSTER_REAL     "DOUBLE"
#define CLUSTER_BOOLEAN  "BOOLEAN"
#define CLUSTER_TIME     "TIMESTAMP WITH TIME ZONE"
#define CLUSTER_TEXT_MAP "MAP(VARCHAR, VARCHAR)"

/* X(name, list of its columns) */
#define CLUSTER_TABLES(X)                                                                          \
    X(nodes, CLUSTER_NODES_COLUMNS)                                                                \
    X(jobs, CLUSTER_JOBS_COLUMNS)                                                                  \
    X(tasks, CLUSTER_TASKS_COLUMNS)                                                                \
    X(tables, CLUSTER_TABLES_COLUMNS)                                                              \
    X(commits, CLUSTER_COMMITS_COLUMNS)                                                            \
    X(metrics, CLUSTER_METRICS_COLUMNS)                                                            \
    X(settings, CLUSTER_SETTINGS_COLUMNS)                                                          \
    X(events, CLUSTER_EVENTS_COLUMNS)                                                              \
    X(log, CLUSTER_LOG_COLUMNS)                                                                    \
    X(vitals, CLUSTER_VITALS_COLUMNS)                                                              \
    X(messages, CLUSTER_MESSAGES_COLUMNS)                                                          \
    X(elections, CLUSTER_ELECTIONS_COLUMNS)                                                        \
    X(rollouts, CLUSTER_ROLLOUTS_COLUMNS)

/* X("name", type) of each */

#define CLUSTER_NODES_COLUMNS(X)                                                                   \
    X("name", CLUSTER_TEXT)                                                                        \
    X("id", CLUSTER_INTEGER)                                                                       \
    X("state", CLUSTER_TEXT)                                                                       \
    X("roles", CLUSTER_TEXTS)                                                                      \
    X("kind", CLUSTER_TEXT)                                                                        \
    X("leader", CLUSTER_BOOLEAN)                                                                   \
    X("address", CLUSTER_TEXT)                                                                     \
    X("api_address", CLUSTER_TEXT)                                                                 \
    X("slots", CLUSTER_INTEGER)                                                                    \
    X("slots_used", CLUSTER_INTEGER)                                                               \
    X("cpu_percent", CLUSTER_REAL)                                                                 \
    X("load", CLUSTER_REAL)                                                                        \
    X("memory_total_bytes", CLUSTER_INTEGER)                                                       \
    X("memory_available_bytes", CLUSTER_INTEGER)                                                   \
    X("disk_total_bytes", CLUSTER_INTEGER)                                                         \
    X("disk_free_bytes", CLUSTER_INTEGER)                                                          \
    X("disk_full", CLUSTER_BOOLEAN)                                                                \
    X("rss_bytes", CLUSTER_INTEGER)                                                                \
    X("tasks_running", CLUSTER_INTEGER)                                                            \
    X("tasks_queued", CLUSTER_INTEGER)                                                             \
    X("rtt_ms", CLUSTER_REAL)                                                                      \
    X("uptime_ms", CLUSTER_INTEGER)                                                                \
    X("labels", CLUSTER_TEXTS)                                                                     \
    X("draining", CLUSTER_BOOLEAN)                                                                 \
    X("drain_reason", CLUSTER_TEXT)                                                                \
    X("last_seen", CLUSTER_TIME)                                                                   \
    X("joined_at", CLUSTER_TIME)                                                                   \
    X("started_at", CLUSTER_TIME)                                                                  \
    X("version", CLUSTER_TEXT)

#define CLUSTER_JOBS_COLUMNS(X)                                                                    \
    X("id", CLUSTER_TEXT)                                                                          \
    X("seq", CLUSTER_INTEGER)                                                                      \
    X("name", CLUSTER_TEXT)                                                                        \
    X("user", CLUSTER_TEXT)                                                                        \
    X("state", CLUSTER_TEXT)                                                                       \
    X("reason", CLUSTER_TEXT)                                                                      \
    X("elements", CLUSTER_INTEGER)                                                                 \
    X("running", CLUSTER_INTEGER)                                                                  \
    X("completed", CLUSTER_INTEGER)                                                                \
    X("failed", CLUSTER_INTEGER)                                                                   \
    X("cancelled", CLUSTER_INTEGER)                                                                \
    X("pending", CLUSTER_INTEGER)                                                                  \
    X("priority", CLUSTER_INTEGER)                                                                 \
    X("submitted_at", CLUSTER_TIME)                                                                \
    X("started_at", CLUSTER_TIME)                                                                  \
    X("ended_at", CLUSTER_TIME)                                                                    \
    X("wall_ms", CLUSTER_INTEGER)                                                                  \
    X("array", CLUSTER_TEXT)                                                                       \
    X("array_limit", CLUSTER_INTEGER)                                                              \
    X("commands", CLUSTER_TEXTS)                                                                   \
    X("argv", CLUSTER_TEXTS)                                                                       \
    X("selector", CLUSTER_TEXT)                                                                    \
    X("cpus", CLUSTER_INTEGER)                                                                     \
    X("memory_bytes", CLUSTER_INTEGER)                                                             \
    X("time_limit_ms", CLUSTER_INTEGER)                                                            \
    X("retries", CLUSTER_INTEGER)                                                                  \
    X("after", CLUSTER_TEXTS)                                                                      \
    X("idempotency_key", CLUSTER_TEXT)

#define CLUSTER_TASKS_COLUMNS(X)                                                                   \
    X("id", CLUSTER_TEXT)                                                                          \
    X("job", CLUSTER_TEXT)                                                                         \
    X("index", CLUSTER_INTEGER)                                                                    \
    X("attempt", CLUSTER_INTEGER)                                                                  \
    X("state", CLUSTER_TEXT)                                                                       \
    X("node", CLUSTER_TEXT)                                                                        \
    X("code", CLUSTER_TEXT)                                                                        \
    X("reason", CLUSTER_TEXT)                                                                      \
    X("exit_code", CLUSTER_INTEGER)                                                                \
    X("signal", CLUSTER_INTEGER)                                                                   \
    X("assigned_at", CLUSTER_TIME)                                                                 \
    X("started_at", CLUSTER_TIME)                                                                  \
    X("ended_at", CLUSTER_TIME)                                                                    \
    X("wall_ms", CLUSTER_INTEGER)                                                                  \
    X("user_ms", CLUSTER_INTEGER)                                                                  \
    X("system_ms", CLUSTER_INTEGER)                                                                \
    X("rss_max_bytes", CLUSTER_INTEGER)                                                            \
    X("stdout_bytes", CLUSTER_INTEGER)                                                             \
    X("stderr_bytes", CLUSTER_INTEGER)

#define CLUSTER_TABLES_COLUMNS(X)                                                                  \
    X("name", CLUSTER_TEXT)                                                                        \
    X("id", CLUSTER_TEXT)                                                                          \
    X("place", CLUSTER_TEXT)                                                                       \
    X("version", CLUSTER_INTEGER)                                                                  \
    X("published", CLUSTER_INTEGER)                                                                \
    X("owned", CLUSTER_BOOLEAN)                                                                    \
    X("created_at", CLUSTER_TIME)                                                                  \
    X("changed_at", CLUSTER_TIME)                                                                  \
    X("read_only", CLUSTER_TEXT)

#define CLUSTER_COMMITS_COLUMNS(X)                                                                 \
    X("table_name", CLUSTER_TEXT)                                                                  \
    X("version", CLUSTER_INTEGER)                                                                  \
    X("at", CLUSTER_TIME)                                                                          \
    X("operation", CLUSTER_TEXT)                                                                   \
    X("user", CLUSTER_TEXT)                                                                        \
    X("txn_id", CLUSTER_TEXT)                                                                      \
    X("files_added", CLUSTER_INTEGER)                                                              \
    X("files_removed", CLUSTER_INTEGER)                                                            \
    X("rows_added", CLUSTER_INTEGER)                                                               \
    X("bytes_added", CLUSTER_INTEGER)

#define CLUSTER_METRICS_COLUMNS(X)                                                                 \
    X("node", CLUSTER_TEXT)                                                                        \
    X("name", CLUSTER_TEXT)                                                                        \
    X("labels", CLUSTER_TEXT_MAP)                                                                  \
    X("value", CLUSTER_REAL)

#define CLUSTER_SETTINGS_COLUMNS(X)                                                                \
    X("node", CLUSTER_TEXT)                                                                        \
    X("name", CLUSTER_TEXT)                                                                        \
    X("value", CLUSTER_TEXT)                                                                       \
    X("description", CLUSTER_TEXT)

#define CLUSTER_EVENTS_COLUMNS(X)                                                                  \
    X("time", CLUSTER_TIME)                                                                        \
    X("id", CLUSTER_TEXT)                                                                          \
    X("kind", CLUSTER_TEXT)                                                                        \
    X("level", CLUSTER_TEXT)                                                                       \
    X("node", CLUSTER_TEXT)                                                                        \
    X("text", CLUSTER_TEXT)                                                                        \
    X("by", CLUSTER_TEXT)                                                                          \
    X("cause", CLUSTER_TEXT)                                                                       \
    X("table_name", CLUSTER_TEXT)                                                                  \
    X("key", CLUSTER_TEXT)                                                                         \
    X("row", CLUSTER_TEXT)

#define CLUSTER_LOG_COLUMNS(X)                                                                     \
    X("time", CLUSTER_TIME)                                                                        \
    X("node", CLUSTER_TEXT)                                                                        \
    X("level", CLUSTER_TEXT)                                                                       \
    X("role", CLUSTER_TEXT)                                                                        \
    X("job", CLUSTER_TEXT)                                                                         \
    X("task", CLUSTER_TEXT)                                                                        \
    X("peer", CLUSTER_TEXT)                                                                        \
    X("code", CLUSTER_TEXT)                                                                        \
    X("text", CLUSTER_TEXT)

#define CLUSTER_MESSAGES_COLUMNS(X)                                                                \
    X("seq", CLUSTER_INTEGER)                                                                      \
    X("time", CLUSTER_TIME)                                                                        \
    X("channel", CLUSTER_TEXT)                                                                     \
    X("sender", CLUSTER_TEXT)                                                                      \
    X("text", CLUSTER_TEXT)

#define CLUSTER_ELECTIONS_COLUMNS(X)                                                               \
    X("group", CLUSTER_TEXT)                                                                       \
    X("leader", CLUSTER_TEXT)                                                                      \
    X("term", CLUSTER_INTEGER)                                                                     \
    X("since", CLUSTER_TIME)                                                                       \
    X("state", CLUSTER_TEXT)                                                                       \
    X("reason", CLUSTER_TEXT)                                                                      \
    X("elections", CLUSTER_INTEGER)                                                                \
    X("members", CLUSTER_INTEGER)

#define CLUSTER_ROLLOUTS_COLUMNS(X)                                                                \
    X("id", CLUSTER_TEXT)                                                                          \
    X("kind", CLUSTER_TEXT)                                                                        \
    X("service", CLUSTER_TEXT)                                                                     \
    X("model", CLUSTER_TEXT)                                                                       \
    X("state", CLUSTER_TEXT)                                                                       \
    X("step", CLUSTER_INTEGER)                                                                     \
    X("steps_n", CLUSTER_INTEGER)                                                                  \
    X("steps", CLUSTER_TEXT)                                                                       \
    X("weight", CLUSTER_INTEGER)                                                                   \
    X("by", CLUSTER_TEXT)                                                                          \
    X("reason", CLUSTER_TEXT)                                                                      \
    X("text", CLUSTER_TEXT)                                                                        \
    X("txid", CLUSTER_TEXT)                                                                        \
    X("began_at", CLUSTER_TIME)                                                                    \
    X("since", CLUSTER_TIME)                                                                       \
    X("ended_at", CLUSTER_TIME)                                                                    \
    X("switch_us", CLUSTER_INTEGER)

/* What nodes measured of themselves, a row for each node and step. */
#define CLUSTER_VITALS_COLUMNS(X)                                                                  \
    X("time", CLUSTER_TIME)                                                                        \
    X("node", CLUSTER_TEXT)                                                                        \
    X("step_ms", CLUSTER_INTEGER)                                                                  \
    X("cpu_percent", CLUSTER_REAL)                                                                 \
    X("load", CLUSTER_REAL)                                                                        \
    X("memory_percent", CLUSTER_REAL)                                                              \
    X("disk_percent", CLUSTER_REAL)                                                                \
    X("tasks_running", CLUSTER_REAL)                                                               \
    X("rtt_ms", CLUSTER_REAL)                                                                      \
    X("beat_ms", CLUSTER_REAL)                                                                     \
    X("beat_jitter_ms", CLUSTER_REAL)

/* Texts of an event (docs/events.md), and their columns of cluster.events and cluster.log; ended by
 * NULLs. Its patch, "row", is the column "row" as text. */
struct cluster_event_field {
    const char *key, *column;
};

extern const struct cluster_event_field cluster_event_fields[];

#endif
