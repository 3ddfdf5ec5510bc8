/* Tasks with files in a bucket, run by real executors over what was brought. */
#include "role/sql_remote.h"

#include <fcntl.h>

#include "run/http_client.h"
#include "run/object_cache.h"
#include "run/object_store.h"
#include "tests/lib/s3_server.h"
#include "tests/unit/executor_bed.h"

#define PLACE "s3://" S3_SERVER_BUCKET "/lake"

enum { ROWS = 300000 };

struct bed {
    struct executor_bed files;
    struct s3_server *server;
    struct http_client *http;
    struct object_store *store;
    struct object_cache *cache;
    struct loop_timer tick; /* a turn waits for an event, and what ends before it waits is none */
    char *scratch;
    uint64_t size; /* of the object */
    bool is_closed;
};

struct outcome {
    bool is_done;
    int code;
    char text[ERROR_TEXT_MAX];
};

#define TEXT(s) ((char *)(uintptr_t)(s))

static void on_tick(void *arg)
{
    loop_timer_start(&((struct bed *)arg)->tick, 5);
}

static void on_put(void *arg, const struct object_result *result)
{
    assert_int_equal(result->code, 0);
    *(bool *)arg = true;
}

/* Three columns in row groups of 20,480 rows, into the bucket. */
static void put_file(struct bed *bed)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    Wire__SqlOutput output = WIRE__SQL_OUTPUT__INIT;
    Wire__SqlOption option = WIRE__SQL_OPTION__INIT;
    Wire__SqlOption *options[] = {&option};
    char *paths[] = {TEXT("a.parquet")};
    struct executor_bed_run run;
    bool done = false;
    fragment.sql = TEXT(
        "SELECT i::BIGINT AS id, (i % 7)::INTEGER AS k, random() AS r FROM range(300000) t(i)");
    option.name = TEXT("row_group_size");
    option.value = TEXT("20480");
    output.kind = WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE;
    output.root = bed->files.root;
    output.paths = paths;
    output.n_paths = 1;
    output.options = options;
    output.n_options = 1;
    fragment.output = &output;
    task.fragment = &fragment;
    executor_bed_run(&bed->files, &task, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    bed->size = run.done->files[0]->bytes;
    executor_bed_run_done(&run);
    char *path = mem_printf("%s/a.parquet", bed->files.store);
    int fd = open(path, O_RDONLY);
    struct object_request request = {.verb = OBJECT_PUT,
                                     .place = PLACE,
                                     .key = "a.parquet",
                                     .from_fd = true,
                                     .body_fd = fd,
                                     .fd_len = bed->size,
                                     .on_done = on_put,
                                     .arg = &done};
    (void)object_store_call(bed->store, &request);
    while (!done)
        loop_turn(bed->files.loop);
    close(fd);
    (void)unlink(path);
    free(path);
}

static int setup(void **state)
{
    struct bed *bed = mem_zalloc(sizeof *bed);
    struct http_client_options http;
    executor_bed_init(&bed->files);
    bed->server = s3_server_new();
    http_client_options_init(&http);
    http.loop = loop_uv(bed->files.loop);
    bed->http = http_client_new(&http);
    struct object_store_options options = {.loop = bed->files.loop,
                                           .http = bed->http,
                                           .s3 = {.endpoint = s3_server_endpoint(bed->server),
                                                  .region = S3_SERVER_REGION,
                                                  .access_key = S3_SERVER_ACCESS,
                                                  .secret_key = S3_SERVER_SECRET,
                                                  .attempts_max = 2,
                                                  .backoff_ms = 1}};
    bed->store = object_store_new(&options);
    assert_int_equal(object_store_allow(bed->store, PLACE, NULL), 0);
    bed->scratch = mem_printf("%s/cache", bed->files.store);
    struct object_cache_options cache = {bed->files.loop, bed->store, bed->scratch, 64 << 20};
    assert_int_equal(object_cache_new(&cache, &bed->cache, NULL), 0);
    loop_timer_init(&bed->tick, bed->files.loop, on_tick, bed);
    on_tick(bed);
    put_file(bed);
    *state = bed;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct bed *)arg)->is_closed = true;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    object_cache_close(bed->cache, on_closed, bed);
    while (!bed->is_closed)
        loop_turn(bed->files.loop);
    bed->is_closed = false;
    object_store_close(bed->store, on_closed, bed);
    while (!bed->is_closed)
        loop_turn(bed->files.loop);
    loop_timer_stop(&bed->tick);
    http_client_close(bed->http, NULL, NULL);
    executor_bed_done(&bed->files);
    s3_server_free(bed->server);
    free(bed->scratch);
    free(bed);
    return 0;
}

/* A task over the columns id and k of the file, with a condition on id unless `op` is negative. */
static Wire__SqlRunTask *new_task(const struct bed *bed, const char *sql, int op, const char *value,
                                  uint64_t size)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    Wire__SqlInput input = WIRE__SQL_INPUT__INIT;
    Wire__SqlInput *inputs[] = {&input};
    Wire__SqlColumn id = WIRE__SQL_COLUMN__INIT, k = WIRE__SQL_COLUMN__INIT;
    Wire__SqlColumn *columns[] = {&id, &k};
    Wire__SqlFile file = WIRE__SQL_FILE__INIT;
    Wire__SqlFile *files[] = {&file};
    Wire__SqlCondition condition = WIRE__SQL_CONDITION__INIT;
    Wire__SqlCondition *conditions[] = {&condition};
    char *values[] = {TEXT(value)};
    (void)bed;
    id.name = TEXT("id");
    id.type = TEXT("BIGINT");
    k.name = TEXT("K"); /* names are compared without regard to case */
    k.type = TEXT("INTEGER");
    file.path = TEXT("a.parquet");
    file.bytes = size;
    input.name = TEXT("t");
    input.root = TEXT(PLACE);
    input.columns = columns;
    input.n_columns = 2;
    input.files = files;
    input.n_files = 1;
    condition.op = (Wire__SqlConditionOp)(op < 0 ? 0 : op);
    condition.values = values;
    condition.n_values = 1;
    input.conditions = conditions;
    input.n_conditions = op < 0 ? 0 : 1;
    fragment.inputs = inputs;
    fragment.n_inputs = 1;
    fragment.sql = TEXT(sql);
    task.fragment = &fragment;
    task.session = TEXT("");
    size_t len = wire__sql_run_task__get_packed_size(&task);
    uint8_t *packed = mem_alloc(len + 1);
    wire__sql_run_task__pack(&task, packed);
    Wire__SqlRunTask *copy = wire__sql_run_task__unpack(NULL, len, packed);
    free(packed);
    return copy;
}

static void on_brought(void *arg, int code, const struct error *e, bool elsewhere)
{
    struct outcome *o = arg;
    (void)elsewhere;
    o->is_done = true;
    o->code = code;
    snprintf(o->text, sizeof o->text, "%s", e->text);
}

static struct sql_remote *bring(struct bed *bed, Wire__SqlRunTask *task, struct outcome *o)
{
    struct sql_remote_options options = {.loop = bed->files.loop,
                                         .store = bed->store,
                                         .cache = bed->cache,
                                         .scratch = bed->files.store,
                                         .copy_bytes_max = 1 << 30};
    *o = (struct outcome){0};
    assert_true(sql_remote_is_needed(task));
    struct sql_remote *remote = sql_remote_new(&options, task, on_brought, o);
    assert_false(o->is_done);
    while (!o->is_done)
        loop_turn(bed->files.loop);
    return remote;
}

/* Runs it; gives the bytes that travelled. */
static size_t run_task(struct bed *bed, const char *sql, int op, const char *value,
                       const char *rows)
{
    struct outcome o;
    struct executor_bed_run run;
    size_t before = s3_server_bytes_sent(bed->server);
    struct sql_remote *remote = bring(bed, new_task(bed, sql, op, value, bed->size), &o);
    if (o.code < 0)
        fail_msg("%s", o.text);
    executor_bed_run(&bed->files, sql_remote_task(remote), &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_string_equal(buf_cstr(&run.rows), rows);
    executor_bed_run_done(&run);
    sql_remote_free(remote);
    return s3_server_bytes_sent(bed->server) - before;
}

static void only_the_columns_of_the_input_travel(void **state)
{
    struct bed *bed = *state;
    size_t bytes =
        run_task(bed, "SELECT count(*), sum(id), max(K) FROM t", -1, "", "[300000,44999850000,6]");
    assert_true(bytes > 0 && bytes < bed->size - 8 * ROWS + 64 * 1024); /* r is 8 bytes a row */
    assert_int_equal(
        run_task(bed, "SELECT count(*), sum(id), max(K) FROM t", -1, "", "[300000,44999850000,6]"),
        0);
}

/* Whatever the query asks, of what is left out nothing is read: DuckDB sees other row groups not at
 * all. */
static void row_groups_that_cannot_match_are_not_there(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct executor_bed_run run;
    size_t bytes = run_task(bed, "SELECT sum(id) FROM t WHERE id >= 290000",
                            WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GE, "290000", "[2949995000]");
    assert_true(bytes < bed->size / 4);
    struct sql_remote *remote =
        bring(bed,
              new_task(bed, "SELECT min(id) > 150000, max(id) FROM t",
                       WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GE, "290000", bed->size),
              &o);
    assert_int_equal(o.code, 0);
    executor_bed_run(&bed->files, sql_remote_task(remote), &run);
    assert_string_equal(buf_cstr(&run.rows), "[true,299999]");
    executor_bed_run_done(&run);
    sql_remote_free(remote);
    assert_int_equal(run_task(bed, "SELECT count(*) FROM t WHERE id < 0",
                              WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_LT, "0", "[0]"),
                     0);
}

static void what_is_not_as_the_log_says_is_an_error(void **state)
{
    struct bed *bed = *state;
    struct outcome o;
    struct sql_remote *remote = bring(bed, new_task(bed, "SELECT 1", -1, "", bed->size + 1), &o);
    assert_int_equal(o.code, ERR_CORRUPT);
    assert_non_null(strstr(o.text, PLACE "/a.parquet"));
    sql_remote_free(remote);
    s3_server_fail(bed->server, S3_FAULT_403, 0, 1);
    remote = bring(bed, new_task(bed, "SELECT 1", -1, "", bed->size), &o);
    assert_int_equal(o.code, ERR_FORBIDDEN);
    sql_remote_free(remote);
}

/* Given up at any moment: nothing of it stays, and the next one finds all in order. */
static void a_task_can_be_given_up_at_any_moment(void **state)
{
    struct bed *bed = *state;
    struct sql_remote_options options = {.loop = bed->files.loop,
                                         .store = bed->store,
                                         .cache = bed->cache,
                                         .scratch = bed->files.store,
                                         .copy_bytes_max = 1 << 30};
    for (unsigned turns = 0; turns < 40; turns++) {
        struct outcome o = {0};
        struct sql_remote *remote =
            sql_remote_new(&options, new_task(bed, "SELECT 1", -1, "", bed->size), on_brought, &o);
        for (unsigned i = 0; i < turns && !o.is_done; i++)
            loop_turn(bed->files.loop);
        sql_remote_free(remote);
    }
    (void)run_task(bed, "SELECT count(*), sum(id), max(K) FROM t", -1, "",
                   "[300000,44999850000,6]");
}

int main(int argc, char **argv)
{
    EXECUTOR_BED_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_columns_of_the_input_travel, setup, teardown),
        cmocka_unit_test_setup_teardown(row_groups_that_cannot_match_are_not_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_not_as_the_log_says_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_can_be_given_up_at_any_moment, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
