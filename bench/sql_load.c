/* One statement again and again, by several clients at once.
 *
 * usage: sql_load [-n TIMES] [-c CLIENTS] ENDPOINT STATEMENT
 *
 * ENDPOINT is unix:PATH. Each client runs the statement TIMES times, one after the other; %u in it
 * is a number of its own each time. Prints one JSON object: times, failed, p50_ms, p99_ms, max_ms,
 * per_s, bytes, error (the first). */
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/sql_client.h"

enum { SQL_LOAD_CLIENTS_MAX = 256, SQL_LOAD_TIMES_MAX = 1000000 };

struct sql_load_client {
    pthread_t thread;
    const char *endpoint, *statement;
    unsigned index, times;
    double *ms;
    uint64_t bytes;
    unsigned failed;
    char error[512];
};

static char *sql_load_statement(const struct sql_load_client *c, unsigned i)
{
    const char *mark = strstr(c->statement, "%u");
    if (mark == NULL)
        return mem_strdup(c->statement);
    return mem_printf("%.*s%u%s", (int)(mark - c->statement), c->statement, c->index * c->times + i,
                      mark + 2);
}

static void *sql_load_run(void *arg)
{
    struct sql_load_client *c = arg;
    struct sql_client *client = sql_client_open(c->endpoint);
    struct sql_answer answer;
    for (unsigned i = 0; i < c->times; i++) {
        char *sql = sql_load_statement(c, i);
        sql_client_run(client, sql, &answer);
        free(sql);
        c->ms[i] = answer.ms;
        c->bytes += answer.bytes;
        if (answer.error[0] == '\0')
            continue;
        if (c->failed++ == 0)
            memcpy(c->error, answer.error, sizeof c->error);
    }
    sql_client_close(client);
    return NULL;
}

static int sql_load_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    unsigned times = 100, clients = 1;
    int option;
    while ((option = getopt(argc, argv, "n:c:")) != -1) {
        if (option == 'n')
            times = (unsigned)atoi(optarg);
        else if (option == 'c')
            clients = (unsigned)atoi(optarg);
        else
            return 2;
    }
    if (optind + 2 != argc || times < 1 || times > SQL_LOAD_TIMES_MAX || clients < 1 ||
        clients > SQL_LOAD_CLIENTS_MAX) {
        fprintf(stderr, "usage: sql_load [-n TIMES] [-c CLIENTS] ENDPOINT STATEMENT\n");
        return 2;
    }
    size_t all = (size_t)times * clients;
    double *ms = mem_calloc(all, sizeof *ms);
    struct sql_load_client *list = mem_calloc(clients, sizeof *list);
    int64_t begin_us = clock_mono_us();
    for (unsigned i = 0; i < clients; i++) {
        list[i] = (struct sql_load_client){.endpoint = argv[optind],
                                           .statement = argv[optind + 1],
                                           .index = i,
                                           .times = times,
                                           .ms = ms + (size_t)i * times};
        if (pthread_create(&list[i].thread, NULL, sql_load_run, &list[i]) != 0)
            return 1;
    }
    uint64_t bytes = 0;
    unsigned failed = 0;
    const char *error = "";
    for (unsigned i = 0; i < clients; i++) {
        pthread_join(list[i].thread, NULL);
        bytes += list[i].bytes;
        failed += list[i].failed;
        error = list[i].failed > 0 && error[0] == '\0' ? list[i].error : error;
    }
    double seconds = (double)(clock_mono_us() - begin_us) / 1e6;
    qsort(ms, all, sizeof *ms, sql_load_compare);
    json_t *out = json_pack("{s:I,s:I,s:f,s:f,s:f,s:f,s:I,s:s}", "times", (json_int_t)all, "failed",
                            (json_int_t)failed, "p50_ms", ms[all / 2], "p99_ms", ms[all * 99 / 100],
                            "max_ms", ms[all - 1], "per_s", (double)(all - failed) / seconds,
                            "bytes", (json_int_t)bytes, "error", error);
    json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    puts("");
    json_decref(out);
    free(ms);
    free(list);
    return failed > 0;
}
