/* A node of one that asks itself: SQL tasks by messages, real executors. */
#include "role/sql_worker_internal.h"

#include <signal.h>

#include "base/str.h"
#include "role/node_internal.h"
#include "tests/unit/executor_bed.h"

enum { SELF = 7, RUNS_MAX = 16 };

#define ENDLESS                                                                                    \
    "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1"

struct bed {
    struct executor_bed files; /* its loop and directories; no pool of its own */
    struct node *node;
    struct link_set *links;
    struct sql_worker *worker;
    struct node_options options;
    const char *paths[1];
    bool is_stopped;
    unsigned ended;         /* counts ends, for their order */
    struct loop_timer tick; /* a turn waits for an event, and what ends before it waits is none */
};

enum { TICK_MS = 5 };

static void on_tick(void *arg)
{
    loop_timer_start(&((struct bed *)arg)->tick, TICK_MS);
}

struct request {
    struct bed *bed;
    uint64_t call;
    struct buf rows;
    bool holds_credit;
    bool was_queued;
    bool is_running;
    unsigned batches;
    unsigned order; /* of its end; 0: not yet */
    int code;
    char *message;
};

static int setup(void **state)
{
    struct bed *bed = mem_zalloc(sizeof *bed);
    struct error e = {0};
    executor_bed_open(&bed->files);
    bed->options = (struct node_options){
        .name = "n7",
        .uuid = "",
        .data_dir = bed->files.dir,
        .version = "1",
        .cluster_id = "c",
        .id = SELF,
        .lake_place = bed->files.root,
        .sql_slots = 1,
        .sql_threads = 2,
        .sql_memory_bytes = 512 << 20,
        .sql_temp_bytes = 1 << 30,
        .sql_cache_bytes = 64 << 20,
    };
    bed->node = node_new(bed->files.loop, &bed->options, NULL, NULL, NULL, NULL);
    struct link_set_options links;
    link_set_options_init(&links);
    links.loop = bed->files.loop;
    links.identity = (struct link_identity){.cluster_id = "c",
                                            .node_id = SELF,
                                            .node_uuid = "",
                                            .name = "n7",
                                            .version = "1",
                                            .peer_address = "",
                                            .api_address = ""};
    links.ops = node_link_ops();
    links.arg = bed->node;
    bed->links = link_set_new(&links, &e);
    assert_non_null(bed->links);
    node_set_links(bed->node, bed->links);
    if (node_add_role(bed->node, &sql_worker_role, &e) < 0)
        fail_msg("%s", e.text);
    bed->worker = bed->node->roles[0].self;
    loop_timer_init(&bed->tick, bed->files.loop, on_tick, bed);
    on_tick(bed);
    *state = bed;
    return 0;
}

static void on_stopped(void *arg)
{
    ((struct bed *)arg)->is_stopped = true;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    node_stop(bed->node, on_stopped, bed);
    while (!bed->is_stopped)
        loop_turn(bed->files.loop);
    loop_timer_stop(&bed->tick);
    link_set_close(bed->links, NULL, NULL);
    node_free(bed->node);
    executor_bed_done(&bed->files);
    free(bed);
    return 0;
}

static void on_update(void *arg, int code, const ProtobufCMessage *message)
{
    struct request *r = arg;
    const Wire__SqlTaskUpdate *update = (const Wire__SqlTaskUpdate *)message;
    assert_int_equal(code, 0);
    assert_int_equal(r->order, 0);
    r->was_queued = r->was_queued || update->state == WIRE__SQL_TASK_STATE__SQL_TASK_STATE_QUEUED;
    r->is_running = r->is_running || update->state == WIRE__SQL_TASK_STATE__SQL_TASK_STATE_RUNNING;
    if (update->rows != NULL) {
        Wire__SqlCredit credit = WIRE__SQL_CREDIT__INIT;
        assert_int_equal(buf_append(&r->rows, update->rows->data.data, update->rows->data.len), 0);
        r->batches++;
        credit.call = r->call;
        credit.bytes = update->rows->data.len;
        if (!r->holds_credit)
            assert_int_equal(node_send(r->bed->node, SELF, WIRE_SQL_CREDIT, &credit.base), 0);
    }
    if (update->done != NULL) {
        r->order = ++r->bed->ended;
        if (update->done->error != NULL) {
            r->code = update->done->error->code;
            r->message = mem_strdup(update->done->error->message);
        }
        node_call_end(r->bed->node, r->call);
    }
}

static void ask(struct bed *bed, struct request *r, const char *session, const char *sql)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    *r = (struct request){.bed = bed};
    buf_init(&r->rows, 64 << 20);
    fragment.sql = (char *)(uintptr_t)sql;
    task.fragment = &fragment;
    task.session = (char *)(uintptr_t)session;
    task.credit = 1 << 20;
    r->call = node_call(bed->node, SELF, WIRE_SQL_RUN_TASK, &task.base, true, 0, on_update, r);
}

static void wait_for(struct request *r)
{
    while (r->order == 0)
        loop_turn(r->bed->files.loop);
}

static void wait_for_start(struct request *r)
{
    while (!r->is_running)
        loop_turn(r->bed->files.loop);
}

static void cancel(struct request *r)
{
    Wire__SqlCancelTask message = WIRE__SQL_CANCEL_TASK__INIT;
    message.call = r->call;
    assert_int_equal(node_send(r->bed->node, SELF, WIRE_SQL_CANCEL_TASK, &message.base), 0);
}

static void request_done(struct request *r)
{
    buf_done(&r->rows);
    free(r->message);
}

static void a_task_is_answered_with_its_rows(void **state)
{
    struct request r;
    ask(*state, &r, "s", "SELECT 1, 'x'");
    wait_for(&r);
    assert_int_equal(r.code, 0);
    assert_string_equal(buf_cstr(&r.rows), "[1,\"x\"]");
    assert_true(r.is_running);
    request_done(&r);
}

static void an_error_is_told(void **state)
{
    struct request r;
    ask(*state, &r, "s", "SELECT * FROM nowhere");
    wait_for(&r);
    assert_int_equal(r.code, ERR_NOT_FOUND);
    assert_non_null(strstr(r.message, "nowhere"));
    request_done(&r);
}

static void rows_flow_with_credit(void **state)
{
    struct bed *bed = *state;
    struct request r;
    ask(bed, &r, "s", "SELECT i, repeat('x', 1000) FROM range(20000) t(i)");
    wait_for(&r);
    assert_int_equal(r.code, 0);
    assert_true(r.rows.len > 20000000);
    request_done(&r);

    ask(bed, &r, "s", "SELECT i, repeat('x', 1000) FROM range(20000) t(i)");
    r.holds_credit = true;
    while (r.batches < 4)
        loop_turn(bed->files.loop);
    struct request other;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlParse parse = WIRE__SQL_PARSE__INIT;
    other = (struct request){.bed = bed};
    buf_init(&other.rows, 1 << 20);
    task.parse = &parse;
    other.call =
        node_call(bed->node, SELF, WIRE_SQL_RUN_TASK, &task.base, true, 0, on_update, &other);
    wait_for(&other);
    assert_true(r.rows.len <= (1 << 20) + EXECUTOR_ROWS_BYTES_MAX);
    cancel(&r);
    wait_for(&r);
    assert_int_equal(r.code, ERR_CANCELLED);
    request_done(&r);
    request_done(&other);
}

static void sessions_take_turns(void **state)
{
    struct bed *bed = *state;
    struct request first;
    struct request greedy[4];
    struct request modest[2];
    ask(bed, &first, "greedy", ENDLESS);
    wait_for_start(&first);
    for (unsigned i = 0; i < 4; i++)
        ask(bed, &greedy[i], "greedy", "SELECT 1");
    for (unsigned i = 0; i < 2; i++)
        ask(bed, &modest[i], i == 0 ? "modest" : "other", "SELECT 2");
    while (!modest[1].was_queued)
        loop_turn(bed->files.loop);
    cancel(&first);
    for (unsigned i = 0; i < 4; i++)
        wait_for(&greedy[i]);
    /* the first of each session, then the rest of the greedy one */
    assert_int_equal(greedy[0].order, first.order + 1);
    assert_int_equal(modest[0].order, first.order + 2);
    assert_int_equal(modest[1].order, first.order + 3);
    assert_int_equal(greedy[1].order, first.order + 4);
    assert_int_equal(greedy[3].order, first.order + 6);
    request_done(&first);
    for (unsigned i = 0; i < 4; i++)
        request_done(&greedy[i]);
    for (unsigned i = 0; i < 2; i++)
        request_done(&modest[i]);
}

static void what_waits_can_be_cancelled(void **state)
{
    struct bed *bed = *state;
    struct request running;
    struct request waiting;
    ask(bed, &running, "a", ENDLESS);
    ask(bed, &waiting, "b", "SELECT 1");
    while (!waiting.was_queued)
        loop_turn(bed->files.loop);
    cancel(&waiting);
    wait_for(&waiting);
    assert_int_equal(waiting.code, ERR_CANCELLED);
    assert_false(waiting.is_running);
    cancel(&running);
    wait_for(&running);
    request_done(&running);
    request_done(&waiting);
}

static void tasks_end_with_the_link_of_their_requester(void **state)
{
    struct bed *bed = *state;
    struct request running;
    struct request waiting;
    struct request next;
    ask(bed, &running, "a", ENDLESS);
    wait_for_start(&running);
    ask(bed, &waiting, "b", ENDLESS);
    while (!waiting.was_queued)
        loop_turn(bed->files.loop);
    node_call_end(bed->node, running.call);
    node_call_end(bed->node, waiting.call);
    sql_worker_role.on_link(bed->worker, SELF, 0);
    assert_int_equal(HASH_COUNT(bed->worker->runs), 0);
    ask(bed, &next, "c", "SELECT 3"); /* the only slot is free again */
    wait_for(&next);
    assert_string_equal(buf_cstr(&next.rows), "[3]");
    assert_int_equal(running.order, 0);
    assert_int_equal(waiting.order, 0);
    request_done(&running);
    request_done(&waiting);
    request_done(&next);
}

static void a_bucket_is_refused_where_there_is_no_store(void **state)
{
    struct bed *bed = *state;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    Wire__SqlInput input = WIRE__SQL_INPUT__INIT;
    Wire__SqlInput *inputs[] = {&input};
    struct request r = {.bed = bed};
    buf_init(&r.rows, 1 << 20);
    input.name = (char *)"t";
    input.root = (char *)"s3://bucket/t";
    fragment.inputs = inputs;
    fragment.n_inputs = 1;
    fragment.sql = (char *)"SELECT 1";
    task.fragment = &fragment;
    r.call = node_call(bed->node, SELF, WIRE_SQL_RUN_TASK, &task.base, true, 0, on_update, &r);
    wait_for(&r);
    assert_int_equal(r.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(r.message, "buckets"));
    request_done(&r);
}

static void a_node_that_stops_says_so(void **state)
{
    struct bed *bed = *state;
    struct request r;
    ask(bed, &r, "s", ENDLESS);
    wait_for_start(&r);
    node_stop(bed->node, on_stopped, bed);
    wait_for(&r);
    assert_int_equal(r.code, ERR_UNAVAILABLE);
    request_done(&r);
}

static int teardown_stopped(void **state)
{
    struct bed *bed = *state;
    while (!bed->is_stopped)
        loop_turn(bed->files.loop);
    loop_timer_stop(&bed->tick);
    link_set_close(bed->links, NULL, NULL);
    node_free(bed->node);
    executor_bed_done(&bed->files);
    free(bed);
    return 0;
}

struct given {
    struct bed *bed;
    const ProtobufCMessage *message;
    bool came;
};

static void on_given(void *arg, int code, const ProtobufCMessage *message)
{
    struct given *g = arg;
    assert_int_equal(code, 0);
    assert_ptr_equal(message, g->message);
    ProtobufCMessage *taken = node_take_message(g->bed->node, message);
    assert_ptr_equal(taken, g->message);
    assert_null(node_take_message(g->bed->node, message));
    wire_free(taken);
    g->came = true;
}

/* A reply's type finds the call that it was sent as. */
static void what_is_given_to_this_node_is_not_copied(void **state)
{
    struct bed *bed = *state;
    Wire__SqlTaskUpdate *update = mem_alloc(sizeof *update);
    wire__sql_task_update__init(update);
    struct given g = {.bed = bed, .message = &update->base};
    uint64_t call =
        node_call_give(bed->node, SELF, WIRE_SQL_TASK_UPDATE, &update->base, true, 0, on_given, &g);
    while (!g.came)
        loop_turn(bed->files.loop);
    node_call_end(bed->node, call);
}

static void a_task_of_megabytes_is_given_and_answered(void **state)
{
    struct bed *bed = *state;
    enum { LONG = 5 * 1000 * 1000 };
    struct request r = {.bed = bed};
    Wire__SqlRunTask *task = mem_alloc(sizeof *task);
    wire__sql_run_task__init(task);
    task->fragment = mem_alloc(sizeof *task->fragment);
    wire__sql_fragment__init(task->fragment);
    char *text = mem_alloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    task->fragment->sql = mem_printf("SELECT length('%s')", text);
    task->session = mem_strdup("large");
    task->credit = 1 << 20;
    free(text);
    buf_init(&r.rows, 1 << 20);
    r.call =
        node_call_give(bed->node, SELF, WIRE_SQL_RUN_TASK, &task->base, true, 0, on_update, &r);
    wait_for(&r);
    assert_int_equal(r.code, 0);
    assert_string_equal(buf_cstr(&r.rows), "[5000000]");
    buf_done(&r.rows);
    free(r.message);
}

int main(int argc, char **argv)
{
    EXECUTOR_BED_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_task_is_answered_with_its_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_to_this_node_is_not_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_of_megabytes_is_given_and_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_flow_with_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_end_with_the_link_of_their_requester, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_bucket_is_refused_where_there_is_no_store, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_node_that_stops_says_so, setup, teardown_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
