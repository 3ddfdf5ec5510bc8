/* TPC-H through the API beside DuckDB by itself over the same files.
 *
 * usage: tpch_bench make SCALE DIR          writes DIR/TABLE-N.parquet and DIR/orders.csv
 *        tpch_bench run [-t THREADS] [-r ROUNDS] ENDPOINT FILES
 *        tpch_bench explain QUERY ENDPOINT  "true" when it has stages of several tasks
 *        tpch_bench copy [-t THREADS] CSV   DuckDB's own COPY of orders.csv to Parquet
 *
 * FILES has a line "TABLE PATH" for each file of each table. `run` prints for each query a JSON
 * object: query, ms and bare_ms (medians; both ran once before, then in turn), ratio (the median of
 * the rounds' own); `copy` prints ms. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "bench/sql_client.h"
#include "run/duck.h"
#include "tests/lib/tpch.h"

enum { TPCH_BENCH_PARTS = 4, TPCH_BENCH_ROUNDS_MAX = 100, TPCH_BENCH_TEXT_MAX = 1 << 20 };

static const char *const tpch_bench_orders =
    "{'o_orderkey':'BIGINT','o_custkey':'BIGINT','o_orderstatus':'VARCHAR','o_totalprice':"
    "'DECIMAL(15,2)','o_orderdate':'DATE','o_orderpriority':'VARCHAR','o_clerk':'VARCHAR',"
    "'o_shippriority':'INTEGER','o_comment':'VARCHAR'}";

static void tpch_bench_die(const char *what, const char *why)
{
    fprintf(stderr, "tpch_bench: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* ---- DuckDB ---------------------------------------------------------------------------------- */

static duckdb_connection tpch_bench_open(unsigned threads)
{
    struct error e = {0};
    duckdb_database db;
    duckdb_connection con;
    duckdb_config config;
    if (duck_load(NULL, &e) < 0)
        tpch_bench_die("DuckDB", e.text);
    if (duck.create_config(&config) != DuckDBSuccess ||
        duck.open_ext(NULL, &db, config, NULL) != DuckDBSuccess ||
        duck.connect(db, &con) != DuckDBSuccess)
        tpch_bench_die("DuckDB", "does not open");
    if (threads > 0) {
        duckdb_result result;
        char *sql = mem_printf("SET threads=%u; SET parquet_metadata_cache=true", threads);
        (void)duck.query(con, sql, &result);
        duck.destroy_result(&result);
        free(sql);
    }
    return con;
}

/* Milliseconds; the rows are fetched. */
static double tpch_bench_query(duckdb_connection con, const char *sql)
{
    duckdb_result result;
    duckdb_data_chunk chunk;
    int64_t begin_us = clock_mono_us();
    if (duck.query(con, sql, &result) != DuckDBSuccess)
        tpch_bench_die(sql, duck.result_error(&result));
    while ((chunk = duck.fetch_chunk(result)) != NULL)
        duck.destroy_data_chunk(&chunk);
    duck.destroy_result(&result);
    return (double)(clock_mono_us() - begin_us) / 1000;
}

static int tpch_bench_make(double scale, const char *dir)
{
    duckdb_connection con = tpch_bench_open(0);
    for (int i = 0; i < TPCH_TABLES; i++) {
        char *sql = tpch_create(i, scale);
        (void)tpch_bench_query(con, sql);
        free(sql);
        const char *name = tpch_tables[i];
        unsigned parts = i < 3 ? 1 : TPCH_BENCH_PARTS;
        for (unsigned p = 0; p < parts; p++) {
            sql = mem_printf("COPY (SELECT * FROM %s WHERE rowid * %u // (SELECT count(*) FROM %s) "
                             "= %u) TO '%s/%s-%u.parquet'",
                             name, parts, name, p, dir, name, p);
            (void)tpch_bench_query(con, sql);
            free(sql);
        }
    }
    char *sql = mem_printf("COPY orders TO '%s/orders.csv'", dir);
    (void)tpch_bench_query(con, sql);
    free(sql);
    return 0;
}

static int tpch_bench_copy(unsigned threads, const char *csv)
{
    duckdb_connection con = tpch_bench_open(threads);
    char *sql = mem_printf("COPY (SELECT * FROM read_csv('%s', header=true, columns=%s)) TO "
                           "'%s.parquet'",
                           csv, tpch_bench_orders, csv);
    printf("%.3f\n", tpch_bench_query(con, sql));
    free(sql);
    return 0;
}

/* The files of each table as a view. */
static void tpch_bench_views(duckdb_connection con, const char *path)
{
    char name[64], file[4096];
    for (int i = 0; i < TPCH_TABLES; i++) {
        struct buf sql;
        FILE *list = fopen(path, "re");
        unsigned n = 0;
        buf_init(&sql, TPCH_BENCH_TEXT_MAX);
        (void)buf_printf(&sql, "CREATE VIEW %s AS SELECT * FROM read_parquet([", tpch_tables[i]);
        while (list != NULL && fscanf(list, "%63s %4095s", name, file) == 2) {
            if (strcmp(name, tpch_tables[i]) == 0)
                (void)buf_printf(&sql, "%s'%s'", n++ > 0 ? ", " : "", file);
        }
        (void)buf_append_str(&sql, "])");
        if (list != NULL)
            fclose(list);
        if (n == 0)
            tpch_bench_die(path, "not every table has a file");
        (void)tpch_bench_query(con, buf_cstr(&sql));
        buf_done(&sql);
    }
}

/* A process of its own, so that nothing is shared: a query's number in, milliseconds out. */
static void tpch_bench_bare(unsigned threads, const char *files, int *to, int *from)
{
    int in[2], out[2];
    if (pipe(in) < 0 || pipe(out) < 0)
        tpch_bench_die("pipe", "none");
    pid_t pid = fork();
    if (pid < 0)
        tpch_bench_die("fork", "none");
    if (pid == 0) {
        unsigned char q;
        close(in[1]);
        close(out[0]);
        duckdb_connection con = tpch_bench_open(threads);
        tpch_bench_views(con, files);
        while (read(in[0], &q, 1) == 1) {
            double ms = tpch_bench_query(con, tpch_queries[q]);
            if (write(out[1], &ms, sizeof ms) != sizeof ms)
                break;
        }
        _exit(0);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
}

/* ---- both ------------------------------------------------------------------------------------ */

static int tpch_bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double tpch_bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, tpch_bench_compare);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double tpch_bench_ours(struct sql_client *client, const char *sql)
{
    struct sql_answer answer;
    sql_client_run(client, sql, &answer);
    if (answer.error[0] != '\0')
        tpch_bench_die(sql, answer.error);
    return answer.ms;
}

static double tpch_bench_theirs(int to, int from, unsigned char query)
{
    double ms;
    if (write(to, &query, 1) != 1 || read(from, &ms, sizeof ms) != sizeof ms)
        tpch_bench_die("DuckDB", "is gone");
    return ms;
}

static int tpch_bench_run(unsigned threads, unsigned rounds, const char *endpoint,
                          const char *files)
{
    int to, from;
    const char *only = getenv("TPCH_QUERY");
    tpch_bench_bare(threads, files, &to, &from);
    struct sql_client *client = sql_client_open(endpoint);
    for (unsigned char q = 0; q < TPCH_QUERIES; q++) {
        double ours[TPCH_BENCH_ROUNDS_MAX], theirs[TPCH_BENCH_ROUNDS_MAX];
        double ratios[TPCH_BENCH_ROUNDS_MAX];
        if (only != NULL && atoi(only) != q + 1)
            continue;
        (void)tpch_bench_ours(client, tpch_queries[q]);
        (void)tpch_bench_theirs(to, from, q);
        for (unsigned r = 0; r < rounds; r++) {
            ours[r] = tpch_bench_ours(client, tpch_queries[q]);
            theirs[r] = tpch_bench_theirs(to, from, q);
            ratios[r] = ours[r] / theirs[r];
        }
        printf("{\"query\":%u,\"ms\":%.3f,\"bare_ms\":%.3f,\"ratio\":%.4f}\n", q + 1U,
               tpch_bench_median(ours, rounds), tpch_bench_median(theirs, rounds),
               tpch_bench_median(ratios, rounds));
        fflush(stdout);
    }
    sql_client_close(client);
    close(to);
    (void)wait(NULL);
    return 0;
}

/* EXPLAIN says "N tasks" of such a stage. */
static int tpch_bench_explain(int query, const char *endpoint)
{
    struct sql_client *client = sql_client_open(endpoint);
    struct sql_answer answer;
    if (query < 1 || query > TPCH_QUERIES)
        return 2;
    char *sql = mem_printf("EXPLAIN %s", tpch_queries[query - 1]);
    sql_client_run(client, sql, &answer);
    if (answer.error[0] != '\0')
        tpch_bench_die(sql, answer.error);
    puts(answer.has_tasks ? "true" : "false");
    free(sql);
    sql_client_close(client);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned threads = 2, rounds = 3;
    int option;
    while ((option = getopt(argc, argv, "t:r:")) != -1) {
        if (option == 't')
            threads = (unsigned)atoi(optarg);
        else if (option == 'r')
            rounds = (unsigned)atoi(optarg);
        else
            return 2;
    }
    char **rest = argv + optind;
    int n = argc - optind;
    if (rounds < 1 || rounds > TPCH_BENCH_ROUNDS_MAX || threads < 1)
        return 2;
    if (n == 3 && strcmp(rest[0], "make") == 0)
        return tpch_bench_make(atof(rest[1]), rest[2]);
    if (n == 3 && strcmp(rest[0], "run") == 0)
        return tpch_bench_run(threads, rounds, rest[1], rest[2]);
    if (n == 3 && strcmp(rest[0], "explain") == 0)
        return tpch_bench_explain(atoi(rest[1]), rest[2]);
    if (n == 2 && strcmp(rest[0], "copy") == 0)
        return tpch_bench_copy(threads, rest[1]);
    fprintf(stderr,
            "usage: tpch_bench make SCALE DIR | run [-t THREADS] [-r ROUNDS] ENDPOINT FILES "
            "| explain QUERY ENDPOINT | copy [-t THREADS] CSV\n");
    return 2;
}
