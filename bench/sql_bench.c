/* usage: sql_bench [--rows N] [--rounds N] [--selects N] [--result-bytes N] [--threads N] [--json]
 *
 * What an executor costs beside DuckDB itself, in the same run and on the same files:
 *   `select 1` through the pool, round trip;
 *   queries of the kind of TPC-H's over a table of N rows in Parquet, through the pool and by
 *   libduckdb in this process (forked), in turns: the ratio of the medians of each and their
 *   geometric mean;
 *   a large result streamed: bytes a second and how much memory this process (the daemon's part)
 * and the executor took for it. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/duck.h"
#include "run/executor.h"
#include "run/executor_child.h"
#include "run/executor_publish.h"

enum {
    SQL_BENCH_ROUNDS_MAX = 99,
    SQL_BENCH_SELECTS_MAX = 100000,
    SQL_BENCH_CREDIT = 1 << 20,
    SQL_BENCH_QUERIES = 6,
};

static const struct sql_bench_query {
    const char *name;
    const char *sql;
} sql_bench_queries[SQL_BENCH_QUERIES] = {
    {"q1", "SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), "
           "sum(l_extendedprice * (1 - l_discount)), "
           "sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), avg(l_quantity), "
           "avg(l_extendedprice), avg(l_discount), count(*) FROM lineitem "
           "WHERE l_shipdate <= DATE '1998-09-02' GROUP BY ALL ORDER BY ALL"},
    {"q6", "SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= DATE "
           "'1994-01-01' AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07 "
           "AND l_quantity < 24"},
    {"count", "SELECT count(*) FROM lineitem"},
    {"distinct", "SELECT count(DISTINCT l_orderkey) FROM lineitem"},
    {"top", "SELECT l_orderkey, l_extendedprice FROM lineitem ORDER BY l_extendedprice DESC, "
            "l_orderkey LIMIT 100"},
    {"join", "SELECT a.l_returnflag, count(*) FROM lineitem a JOIN (SELECT l_orderkey, "
             "max(l_quantity) q FROM lineitem WHERE l_discount > 0.09 GROUP BY 1) b ON "
             "a.l_orderkey = b.l_orderkey AND a.l_quantity = b.q GROUP BY 1 ORDER BY 1"},
};

static const char *const sql_bench_columns[][2] = {
    {"l_orderkey", "BIGINT"},
    {"l_quantity", "DECIMAL(12,2)"},
    {"l_extendedprice", "DECIMAL(12,2)"},
    {"l_discount", "DECIMAL(12,2)"},
    {"l_tax", "DECIMAL(12,2)"},
    {"l_returnflag", "VARCHAR"},
    {"l_linestatus", "VARCHAR"},
    {"l_shipdate", "DATE"},
};

/* A format: how many rows. */
static const char sql_bench_data[] =
    "SELECT i // 4 AS l_orderkey, (hash(i) %% 50 + 1)::DECIMAL(12,2) AS l_quantity, "
    "((hash(i, 1) %% 10000000) / 100)::DECIMAL(12,2) AS l_extendedprice, "
    "((hash(i, 2) %% 11) / 100)::DECIMAL(12,2) AS l_discount, "
    "((hash(i, 3) %% 9) / 100)::DECIMAL(12,2) AS l_tax, "
    "['A', 'N', 'R'][(hash(i, 4) %% 3)::BIGINT + 1] AS l_returnflag, "
    "['F', 'O'][(hash(i, 5) %% 2)::BIGINT + 1] AS l_linestatus, "
    "DATE '1992-01-01' + (hash(i, 6) %% 2500)::INTEGER AS l_shipdate FROM range(%" PRIu64 ") t(i)";

struct sql_bench {
    struct loop *loop;
    struct executor_pool *pool;
    char *dir;
    char *store;
    char *root;
    uint64_t rows;
    uint64_t result_bytes;
    unsigned rounds;
    unsigned selects;
    unsigned threads;
    bool has_json;
    bool is_closed;
};

/* One task, to its end. */
struct sql_bench_task {
    struct executor_job *job;
    uint64_t bytes;
    bool is_done;
};

static void sql_bench_die(const char *what)
{
    fprintf(stderr, "sql_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static int sql_bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double sql_bench_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, sql_bench_compare);
    return values[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* ---- through the pool ------------------------------------------------------------------------ */

static void sql_bench_on_update(void *arg, const Wire__SqlTaskUpdate *update)
{
    struct sql_bench_task *task = arg;
    if (update->rows != NULL) {
        task->bytes += update->rows->data.len;
        executor_credit(task->job, update->rows->data.len);
    }
    if (update->done == NULL)
        return;
    if (update->done->error != NULL)
        sql_bench_die(update->done->error->message);
    task->is_done = true;
}

/* Milliseconds. */
static double sql_bench_run(struct sql_bench *b, Wire__SqlRunTask *request, uint64_t *bytes)
{
    struct sql_bench_task task = {0};
    int64_t begin_us = clock_mono_us();
    request->credit = SQL_BENCH_CREDIT;
    if (executor_run(b->pool, request, sql_bench_on_update, &task, &task.job) < 0)
        sql_bench_die("the pool takes no task");
    while (!task.is_done)
        loop_turn(b->loop);
    if (bytes != NULL)
        *bytes = task.bytes;
    return (double)(clock_mono_us() - begin_us) / 1000;
}

static double sql_bench_select(struct sql_bench *b, const char *sql, uint64_t *bytes)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    fragment.sql = (char *)(uintptr_t)sql;
    task.fragment = &fragment;
    return sql_bench_run(b, &task, bytes);
}

static double sql_bench_query(struct sql_bench *b, const char *sql)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    Wire__SqlInput input = WIRE__SQL_INPUT__INIT;
    Wire__SqlFile file = WIRE__SQL_FILE__INIT;
    Wire__SqlInput *inputs[] = {&input};
    Wire__SqlFile *files[] = {&file};
    Wire__SqlColumn columns[MEM_COUNT(sql_bench_columns)];
    Wire__SqlColumn *column_ptrs[MEM_COUNT(sql_bench_columns)];
    for (size_t i = 0; i < MEM_COUNT(sql_bench_columns); i++) {
        wire__sql_column__init(&columns[i]);
        columns[i].name = (char *)(uintptr_t)sql_bench_columns[i][0];
        columns[i].type = (char *)(uintptr_t)sql_bench_columns[i][1];
        column_ptrs[i] = &columns[i];
    }
    file.path = (char *)"lineitem.parquet";
    input.name = (char *)"lineitem";
    input.root = b->root;
    input.columns = column_ptrs;
    input.n_columns = MEM_COUNT(columns);
    input.files = files;
    input.n_files = 1;
    fragment.inputs = inputs;
    fragment.n_inputs = 1;
    fragment.sql = (char *)(uintptr_t)sql;
    task.fragment = &fragment;
    return sql_bench_run(b, &task, NULL);
}

static void sql_bench_make_data(struct sql_bench *b)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    Wire__SqlOutput output = WIRE__SQL_OUTPUT__INIT;
    char *paths[] = {(char *)"lineitem.parquet"};
    fragment.sql = mem_printf(sql_bench_data, b->rows);
    output.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE;
    output.root = b->root;
    output.paths = paths;
    output.n_paths = 1;
    fragment.output = &output;
    task.fragment = &fragment;
    (void)sql_bench_run(b, &task, NULL);
    free(fragment.sql);
}

/* ---- DuckDB by itself: a forked process that answers one byte with the time that a query took ---
 */

struct sql_bench_bare {
    pid_t pid;
    int to[2];
    int from[2];
};

static double sql_bench_bare_query(duckdb_connection con, const char *sql)
{
    duckdb_result result;
    duckdb_data_chunk chunk;
    int64_t begin_us = clock_mono_us();
    if (duck.query(con, sql, &result) != DuckDBSuccess)
        sql_bench_die(duck.result_error(&result));
    while ((chunk = duck.fetch_chunk(result)) != NULL)
        duck.destroy_data_chunk(&chunk);
    duck.destroy_result(&result);
    return (double)(clock_mono_us() - begin_us) / 1000;
}

static void sql_bench_bare_serve(struct sql_bench *b, struct sql_bench_bare *bare)
{
    struct error e = {0};
    duckdb_database db;
    duckdb_connection con;
    duckdb_config config;
    uint8_t query;
    if (duck_load(NULL, &e) < 0)
        sql_bench_die(e.text);
    if (duck.create_config(&config) != DuckDBSuccess ||
        duck.open_ext(NULL, &db, config, NULL) != DuckDBSuccess ||
        duck.connect(db, &con) != DuckDBSuccess)
        sql_bench_die("DuckDB does not open");
    char *sql = mem_printf("SET threads=%u; SET parquet_metadata_cache=true; CREATE VIEW lineitem "
                           "AS SELECT * FROM read_parquet('%s/lineitem.parquet')",
                           b->threads, b->store);
    (void)sql_bench_bare_query(con, sql);
    free(sql);
    while (read(bare->to[0], &query, 1) == 1) {
        double ms = sql_bench_bare_query(
            con, query == SQL_BENCH_QUERIES ? "SELECT 1" : sql_bench_queries[query].sql);
        if (write(bare->from[1], &ms, sizeof ms) != sizeof ms)
            break;
    }
    _exit(0);
}

static void sql_bench_bare_start(struct sql_bench *b, struct sql_bench_bare *bare)
{
    if (pipe(bare->to) < 0 || pipe(bare->from) < 0)
        sql_bench_die("no pipe");
    bare->pid = fork();
    if (bare->pid < 0)
        sql_bench_die("no process");
    if (bare->pid == 0) {
        close(bare->to[1]);
        sql_bench_bare_serve(b, bare);
    }
    close(bare->to[0]);
    close(bare->from[1]);
}

static double sql_bench_bare_run(struct sql_bench_bare *bare, uint8_t query)
{
    double ms;
    if (write(bare->to[1], &query, 1) != 1 || read(bare->from[0], &ms, sizeof ms) != sizeof ms)
        sql_bench_die("the bare process is gone");
    return ms;
}

static void sql_bench_bare_stop(struct sql_bench_bare *bare)
{
    close(bare->to[1]);
    close(bare->from[0]);
    (void)waitpid(bare->pid, NULL, 0);
}

/* ---- what is measured ------------------------------------------------------------------------ */

static void sql_bench_figure(const struct sql_bench *b, const char *name, double value,
                             const char *unit)
{
    if (b->has_json)
        printf("\"%s\":%.4g,", name, value);
    else
        printf("%-28s %12.4g %s\n", name, value, unit);
}

static void sql_bench_selects(struct sql_bench *b)
{
    double *ms = mem_calloc(b->selects, sizeof *ms);
    for (unsigned i = 0; i < b->selects; i++)
        ms[i] = sql_bench_select(b, "SELECT 1", NULL);
    sql_bench_figure(b, "select1_p50_ms", sql_bench_quantile(ms, b->selects, 0.5), "ms");
    sql_bench_figure(b, "select1_p99_ms", sql_bench_quantile(ms, b->selects, 0.99), "ms");
    free(ms);
}

static void sql_bench_compare_queries(struct sql_bench *b)
{
    struct sql_bench_bare bare;
    double sum = 0;
    sql_bench_bare_start(b, &bare);
    for (uint8_t q = 0; q < SQL_BENCH_QUERIES; q++) {
        double ours[SQL_BENCH_ROUNDS_MAX];
        double theirs[SQL_BENCH_ROUNDS_MAX];
        char name[64];
        (void)sql_bench_query(b, sql_bench_queries[q].sql); /* both warm */
        (void)sql_bench_bare_run(&bare, q);
        for (unsigned i = 0; i < b->rounds; i++) {
            ours[i] = sql_bench_query(b, sql_bench_queries[q].sql);
            theirs[i] = sql_bench_bare_run(&bare, q);
        }
        double our_ms = sql_bench_quantile(ours, b->rounds, 0.5);
        double their_ms = sql_bench_quantile(theirs, b->rounds, 0.5);
        (void)snprintf(name, sizeof name, "%s_ms", sql_bench_queries[q].name);
        sql_bench_figure(b, name, our_ms, "ms");
        (void)snprintf(name, sizeof name, "%s_bare_ms", sql_bench_queries[q].name);
        sql_bench_figure(b, name, their_ms, "ms");
        (void)snprintf(name, sizeof name, "%s_ratio", sql_bench_queries[q].name);
        sql_bench_figure(b, name, our_ms / their_ms, "x");
        sum += log(our_ms / their_ms);
    }
    sql_bench_figure(b, "geomean_ratio", exp(sum / SQL_BENCH_QUERIES), "x");
    sql_bench_bare_stop(&bare);
}

static double sql_bench_resident_mb(int pid, const char *field)
{
    char line[256];
    double kb = 0;
    char *path = mem_printf("/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtod(line + strlen(field) + 1, NULL);
    if (f != NULL)
        fclose(f);
    free(path);
    return kb / 1024;
}

static void sql_bench_stream(struct sql_bench *b)
{
    struct executor_stats stats;
    uint64_t bytes;
    char *sql =
        mem_printf("SELECT i, hash(i) h, i / 7 AS d, 'row number ' || i AS s, repeat('x', 60) x "
                   "FROM range(%" PRIu64 ") t(i)",
                   b->result_bytes / 120);
    double before = sql_bench_resident_mb(getpid(), "VmRSS:");
    double ms = sql_bench_select(b, sql, &bytes);
    executor_pool_get_stats(b->pool, &stats);
    sql_bench_figure(b, "result_mb", (double)bytes / 1e6, "MB");
    sql_bench_figure(b, "result_mb_per_s", (double)bytes / 1e3 / ms, "MB/s");
    sql_bench_figure(b, "daemon_grew_mb", sql_bench_resident_mb(getpid(), "VmHWM:") - before, "MB");
    sql_bench_figure(b, "executor_mb", sql_bench_resident_mb(stats.pid_last, "VmRSS:"), "MB");
    free(sql);
}

/* ---- start and end --------------------------------------------------------------------------- */

static void sql_bench_options(struct sql_bench *b, int argc, char **argv)
{
    static const struct option options[] = {
        {"rows", required_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},
        {"selects", required_argument, NULL, 's'},
        {"result-bytes", required_argument, NULL, 'b'},
        {"threads", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int c;
    *b = (struct sql_bench){
        .rows = 6000000, .rounds = 5, .selects = 2000, .result_bytes = 1000000000, .threads = 2};
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            b->rows = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            b->rounds = (unsigned)atoi(optarg);
            break;
        case 's':
            b->selects = (unsigned)atoi(optarg);
            break;
        case 'b':
            b->result_bytes = strtoull(optarg, NULL, 10);
            break;
        case 't':
            b->threads = (unsigned)atoi(optarg);
            break;
        case 'j':
            b->has_json = true;
            break;
        default:
            exit(2);
        }
    }
    if (b->rounds < 1 || b->rounds > SQL_BENCH_ROUNDS_MAX || b->selects < 1 ||
        b->selects > SQL_BENCH_SELECTS_MAX || b->threads < 1 || b->rows < 1)
        sql_bench_die("an option is out of range");
}

static void sql_bench_on_closed(void *arg)
{
    ((struct sql_bench *)arg)->is_closed = true;
}

static void sql_bench_open(struct sql_bench *b)
{
    struct error e = {0};
    const char *tmp = getenv("TMPDIR");
    b->dir = mem_printf("%s/sql-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(b->dir) == NULL)
        sql_bench_die("no directory for the data");
    b->store = mem_printf("%s/store", b->dir);
    b->root = mem_printf("file:%s", b->store);
    if (mkdir(b->store, 0700) < 0)
        sql_bench_die("no directory for the data");
    char *scratch = mem_printf("%s/sql", b->dir);
    const char *const allowed[] = {b->store};
    struct executor_pool_options options = {
        .loop = b->loop,
        .dir = scratch,
        .slots = 1,
        .threads = b->threads,
        .memory_bytes_max = UINT64_C(4) << 30,
        .temp_bytes_max = UINT64_C(16) << 30,
        .allowed = allowed,
        .allowed_n = 1,
    };
    if (executor_pool_new(&options, &b->pool, &e) < 0)
        sql_bench_die(e.text);
    free(scratch);
}

static void sql_bench_close(struct sql_bench *b)
{
    executor_pool_close(b->pool, sql_bench_on_closed, b);
    while (!b->is_closed)
        loop_turn(b->loop);
    loop_free(b->loop);
    executor_publish_remove(b->dir);
    free(b->dir);
    free(b->store);
    free(b->root);
}

int main(int argc, char **argv)
{
    struct sql_bench b;
    if (argc > 1 && strcmp(argv[1], "executor") == 0)
        return executor_main(EXECUTOR_FD);
    sql_bench_options(&b, argc, argv);
    b.loop = loop_new();
    sql_bench_open(&b);
    (void)sql_bench_select(&b, "SELECT 1", NULL); /* the executor has started */
    if (b.has_json)
        printf("{");
    sql_bench_selects(&b);
    if (b.result_bytes > 0)
        sql_bench_stream(&b);
    sql_bench_make_data(&b);
    sql_bench_compare_queries(&b);
    if (b.has_json)
        printf("\"rows\":%" PRIu64 "}\n", b.rows);
    sql_bench_close(&b);
    return EXIT_SUCCESS;
}
