/* The statements of SQL that clusterd knows, as core/sql_text.h reads them. */
#include "shell/topic.h"

const struct topic topic_sql[] = {
    {"SELECT",
     "query tables",
     "SELECT ... | WITH ... SELECT ... | FROM ... | VALUES ... | TABLE table\n"
     "PIVOT ... | UNPIVOT ... | SUMMARIZE ...\n"
     "table [AT (VERSION => n)] | table [AT (TIMESTAMP => 'time')]",
     "The dialect is DuckDB's, whole. On several nodes a query is cut into stages; what doesn't "
     "distribute, and what is smaller than sql.split_bytes, runs on one node. AT reads a table as "
     "it was "
     "at a version or a time. A file that sql.paths allows can be read as a table: FROM "
     "'/data/x.parquet'.\n\n"
     "The state of the cluster is there to read as cluster.nodes, cluster.jobs, cluster.tasks, "
     "cluster.tables, cluster.commits, cluster.metrics, cluster.settings, cluster.events, "
     "cluster.log, cluster.vitals, cluster.messages, cluster.elections and cluster.rollouts. Of "
     "events, log, vitals and messages only that is read which conditions on time (of messages "
     "also seq and channel) leave.",
     {{"SELECT k, count(*) FROM t GROUP BY k ORDER BY 2 DESC LIMIT 10;", "the ten most frequent"},
      {"SELECT * FROM t AT (VERSION => 3);", "the table as it was at version 3"},
      {"SELECT name, state FROM cluster.nodes WHERE state <> 'online';", "nodes in trouble"}}},
    {"EXPLAIN",
     "show how a query is run",
     "EXPLAIN query\n"
     "EXPLAIN ANALYZE query",
     "EXPLAIN shows the stages and their tasks without running them. EXPLAIN ANALYZE runs the "
     "query and "
     "shows rows, bytes and time of each stage instead of its rows.",
     {{"EXPLAIN ANALYZE SELECT count(*) FROM t WHERE x > 5;", "where the time goes"}}},
    {"CREATE TABLE",
     "make a table",
     "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table (column TYPE [NOT NULL], ...)\n"
     "    [PARTITIONED BY (column, ...)] [LOCATION 'url']\n"
     "CREATE [OR REPLACE] TABLE [IF NOT EXISTS] table\n"
     "    [PARTITIONED BY (column, ...)] [LOCATION 'url'] AS query\n"
     "CREATE TABLE [IF NOT EXISTS] table LOCATION 'url'",
     "A table is a Delta Lake table of Parquet files below sql.store, or at its LOCATION. The last "
     "form "
     "registers a Delta table that is there already. NOT NULL is the only constraint; there are no "
     "keys, "
     "defaults, views or indexes.",
     {{"CREATE TABLE t (id BIGINT NOT NULL, day DATE) PARTITIONED BY (day);", "an empty table"},
      {"CREATE TABLE u AS SELECT * FROM '/data/*.csv.gz';", "from files, below sql.paths"},
      {"CREATE TABLE v LOCATION 'file:/data/delta/v';", "one that another engine wrote"}}},
    {"DROP TABLE",
     "forget a table",
     "DROP TABLE [IF EXISTS] table",
     "The cluster forgets the table. Its files stay where they are: CREATE TABLE with their "
     "LOCATION brings "
     "it back.",
     {{"DROP TABLE IF EXISTS u;", "no error when there is none"}}},
    {"INSERT",
     "add rows",
     "INSERT INTO table [(column, ...)] [BY NAME] query\n"
     "INSERT INTO table [(column, ...)] VALUES (value, ...), ...",
     "All rows come in with one version of the table, seen whole or not at all. BY NAME goes by "
     "the names "
     "of the query's columns instead of their order.",
     {{"INSERT INTO t VALUES (1, '2025-01-31');", "one row"},
      {"INSERT INTO t BY NAME SELECT day, id FROM u;", "in whatever order"}}},
    {"COPY",
     "load and write files",
     "COPY table [(column, ...)] FROM 'path' [(option [value], ...)]\n"
     "COPY table | (query) TO 'path' [(option [value], ...)]",
     "Files are those that the nodes can reach below sql.paths, in CSV, JSON or Parquet, by their "
     "endings or FORMAT. Patterns such as *.csv.gz read many. Options are DuckDB's. For a file of "
     "yours "
     "use clustersh -o csv.",
     {{"COPY t FROM '/data/*.csv.gz' (HEADER true);", "all of them, as one version"},
      {"COPY (SELECT * FROM t WHERE x > 5) TO '/data/out.parquet';", "one file"}}},
    {"UPDATE",
     "change rows",
     "UPDATE table SET column = expression, ... [WHERE condition]",
     "Files in which rows match are written anew, at most 1,024 of them. When another statement "
     "took one "
     "of them away meanwhile, this one begins again on the newer version.",
     {{"UPDATE t SET x = x + 1 WHERE id = 1;", ""}}},
    {"DELETE",
     "remove rows",
     "DELETE FROM table [WHERE condition]",
     "Files in which rows match are written anew without them; files in which all do are only "
     "taken out. "
     "Older versions keep the rows until VACUUM.",
     {{"DELETE FROM t WHERE x IS NULL;", ""}}},
    {"SHOW TABLES",
     "list the tables",
     "SHOW TABLES",
     "Name, version, location, when it was made and last changed.",
     {{"SHOW TABLES;", ""}}},
    {"DESCRIBE",
     "show the columns of a table or query",
     "DESCRIBE table\n"
     "DESCRIBE query",
     "Names, types and whether NULL may stand there; also of cluster.nodes and the like.",
     {{"DESCRIBE cluster.jobs;", "what can be asked about jobs"}}},
    {"DESCRIBE HISTORY",
     "list the versions of a table",
     "DESCRIBE HISTORY table",
     "The newest first: when, who, which statement, files and rows that came and went.",
     {{"DESCRIBE HISTORY t;", ""}}},
    {"OPTIMIZE",
     "merge small files",
     "OPTIMIZE table [WHERE condition]",
     "Rows stay as they are and so do results. It runs beside other statements.",
     {{"OPTIMIZE t WHERE day = '2025-01-31';", "one partition"}}},
    {"VACUUM",
     "delete files that no version needs",
     "VACUUM table [RETAIN n HOURS] [DRY RUN]",
     "Deletes files that were taken out of the table longer ago than the retention, by default 168 "
     "hours, and old ones that no commit ever named. Versions that need them can't be read "
     "afterwards. DRY "
     "RUN only lists them.",
     {{"VACUUM t RETAIN 24 HOURS DRY RUN;", "what would go"}}},
    {.name = NULL},
};
