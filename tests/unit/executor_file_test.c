/* Real executors with DuckDB: inputs and outputs that are files. */
#include <fcntl.h>
#include <jansson.h>
#include <zlib.h>

#include "base/str.h"
#include "tests/unit/executor_bed.h"

static int setup(void **state)
{
    struct executor_bed *bed = mem_zalloc(sizeof *bed);
    executor_bed_init(bed);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    executor_bed_done(*state);
    free(*state);
    return 0;
}

/* ---- tasks put together ---------------------------------------------------------------------- */

enum { PLAN_MAX = 1100 };

/* A fragment with one input and one output, from short texts. */
struct plan {
    Wire__SqlRunTask task;
    Wire__SqlFragment fragment;
    Wire__SqlInput input;
    Wire__SqlInput *inputs[1];
    Wire__SqlOutput output;
    Wire__SqlColumn in_columns[16];
    Wire__SqlColumn *in_column_ptrs[16];
    Wire__SqlColumn out_columns[16];
    Wire__SqlColumn *out_column_ptrs[16];
    Wire__SqlFile files[PLAN_MAX];
    Wire__SqlFile *file_ptrs[PLAN_MAX];
    Wire__SqlValue values[PLAN_MAX][2];
    Wire__SqlValue *value_ptrs[PLAN_MAX][2];
    Wire__SqlOption options[8];
    Wire__SqlOption *option_ptrs[8];
    char *paths[PLAN_MAX];
    uint32_t keys[4];
};

#define TEXT(s) ((char *)(uintptr_t)(s))

static struct plan *plan_new(struct executor_bed *bed, const char *sql)
{
    struct plan *p = mem_zalloc(sizeof *p);
    wire__sql_run_task__init(&p->task);
    wire__sql_fragment__init(&p->fragment);
    wire__sql_input__init(&p->input);
    wire__sql_output__init(&p->output);
    p->task.fragment = &p->fragment;
    p->fragment.sql = TEXT(sql);
    p->input.name = TEXT("t");
    p->input.root = bed->root;
    p->input.columns = p->in_column_ptrs;
    p->input.files = p->file_ptrs;
    p->input.options = p->option_ptrs;
    p->inputs[0] = &p->input;
    p->output.root = bed->root;
    p->output.columns = p->out_column_ptrs;
    p->output.paths = p->paths;
    p->output.keys = p->keys;
    return p;
}

static void plan_in_column(struct plan *p, const char *name, const char *type, bool partition)
{
    size_t n = p->input.n_columns++;
    wire__sql_column__init(&p->in_columns[n]);
    p->in_columns[n].name = TEXT(name);
    p->in_columns[n].type = TEXT(type);
    p->in_columns[n].partition = partition;
    p->in_column_ptrs[n] = &p->in_columns[n];
    p->fragment.inputs = p->inputs;
    p->fragment.n_inputs = 1;
}

/* `value` of the partition column: NULL for null; ignored when there is none. */
static void plan_file(struct plan *p, const char *path, const char *value)
{
    size_t n = p->input.n_files++;
    wire__sql_file__init(&p->files[n]);
    p->files[n].path = TEXT(path);
    p->file_ptrs[n] = &p->files[n];
    for (size_t i = 0; i < p->input.n_columns; i++)
        p->files[n].n_values += p->in_columns[i].partition;
    wire__sql_value__init(&p->values[n][0]);
    p->values[n][0].is_null = value == NULL;
    p->values[n][0].text = TEXT(value != NULL ? value : "");
    p->value_ptrs[n][0] = &p->values[n][0];
    p->files[n].values = p->value_ptrs[n];
    p->fragment.inputs = p->inputs;
    p->fragment.n_inputs = 1;
}

static void plan_option(struct plan *p, const char *name, const char *value)
{
    size_t n = p->input.n_options++;
    wire__sql_option__init(&p->options[n]);
    p->options[n].name = TEXT(name);
    p->options[n].value = TEXT(value);
    p->option_ptrs[n] = &p->options[n];
}

static void plan_out_column(struct plan *p, const char *name, const char *type)
{
    size_t n = p->output.n_columns++;
    wire__sql_column__init(&p->out_columns[n]);
    p->out_columns[n].name = TEXT(name);
    p->out_columns[n].type = TEXT(type);
    p->out_column_ptrs[n] = &p->out_columns[n];
}

static void plan_to(struct plan *p, Wire__SqlOutputKind kind, const char *path)
{
    p->output.kind = kind;
    p->fragment.output = &p->output;
    if (path != NULL)
        p->paths[p->output.n_paths++] = TEXT(path);
}

static void plan_run(struct executor_bed *bed, struct plan *p, struct executor_bed_run *run)
{
    executor_bed_run(bed, &p->task, run);
}

/* Runs it, expects it to succeed, frees both. */
static void plan_do(struct executor_bed *bed, struct plan *p)
{
    struct executor_bed_run run;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s: %s", p->fragment.sql, run.done->error->message);
    executor_bed_run_done(&run);
    free(p);
}

static void plan_gives(struct executor_bed *bed, struct plan *p, const char *expected)
{
    struct executor_bed_run run;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s: %s", p->fragment.sql, run.done->error->message);
    assert_string_equal(buf_cstr(&run.rows), expected);
    executor_bed_run_done(&run);
    free(p);
}

static void plan_fails(struct executor_bed *bed, struct plan *p, int code, const char *kind,
                       const char *part)
{
    struct executor_bed_run run;
    plan_run(bed, p, &run);
    const Wire__SqlError *error = run.done->error;
    if (error == NULL)
        fail_msg("%s: no error", p->fragment.sql);
    if (error->code != code || strcmp(error->kind, kind) != 0 ||
        strstr(error->message, part) == NULL)
        fail_msg("%s: %d %s: %s", p->fragment.sql, error->code, error->kind, error->message);
    assert_int_equal(run.done->n_files, 0);
    executor_bed_run_done(&run);
    free(p);
}

static char *path_of(struct executor_bed *bed, const char *name)
{
    return mem_printf("%s/%s", bed->store, name);
}

static void write_file(struct executor_bed *bed, const char *name, const void *data, size_t len)
{
    char *path = path_of(bed, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
    free(path);
}

static void write_text(struct executor_bed *bed, const char *name, const char *text)
{
    write_file(bed, name, text, strlen(text));
}

static bool exists(struct executor_bed *bed, const char *name)
{
    char *path = path_of(bed, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Makes a Parquet file of a SELECT. */
static void make(struct executor_bed *bed, const char *name, const char *sql)
{
    struct plan *p = plan_new(bed, sql);
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, name);
    plan_do(bed, p);
}

/* Over files in `names`, NULL-terminated, of columns id INTEGER, name VARCHAR. */
static struct plan *over(struct executor_bed *bed, const char *sql, const char *const *names)
{
    struct plan *p = plan_new(bed, sql);
    plan_in_column(p, "id", "INTEGER", false);
    plan_in_column(p, "name", "VARCHAR", false);
    for (; *names != NULL; names++)
        plan_file(p, *names, NULL);
    return p;
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- parquet in ------------------------------------------------------------------------------ */

static void files_become_one_view(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "in/one.parquet", "SELECT 1 AS id, 'a' AS name");
    make(bed, "in/two.parquet", "SELECT i::BIGINT AS id, 'n' || i AS name FROM range(2, 4) t(i)");
    plan_gives(bed,
               over(bed, "SELECT * FROM t ORDER BY id", FILES("in/one.parquet", "in/two.parquet")),
               "[1,\"a\"],[2,\"n2\"],[3,\"n3\"]");
    plan_gives(bed,
               over(bed, "SELECT count(*), sum(id) FROM t WHERE name <> 'a'",
                    FILES("in/one.parquet", "in/two.parquet")),
               "[2,5]");
}

static void values_are_cast_to_the_types_of_the_input(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "cast.parquet", "SELECT 7::BIGINT AS id, DATE '2024-02-29' AS name");
    struct executor_bed_run run;
    struct plan *p = over(bed, "SELECT * FROM t", FILES("cast.parquet"));
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_string_equal(run.columns, "id INTEGER, name VARCHAR");
    assert_string_equal(buf_cstr(&run.rows), "[7,\"2024-02-29\"]");
    executor_bed_run_done(&run);
    free(p);
}

static void an_input_without_files_is_empty(void **state)
{
    plan_gives(*state,
               over(*state, "SELECT count(*), max(name) FROM t", (const char *const[]){NULL}),
               "[0,null]");
}

static void partition_values_come_from_the_task(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "p1.parquet", "SELECT i::INTEGER AS id FROM range(3) t(i)");
    make(bed, "p2.parquet", "SELECT i::INTEGER AS id FROM range(10, 12) t(i)");
    make(bed, "p3.parquet", "SELECT 100::INTEGER AS id");
    for (unsigned n = 1; n <= 3; n++) {
        static const char *const expected[] = {
            "[\"2024-01-01\",3]",
            "[\"2024-01-01\",3],[\"2024-02-01\",21]",
            "[\"2024-01-01\",3],[\"2024-02-01\",21],[null,100]",
        };
        struct plan *p =
            plan_new(bed, "SELECT day, sum(id) FROM t GROUP BY day ORDER BY day NULLS LAST");
        plan_in_column(p, "id", "INTEGER", false);
        plan_in_column(p, "day", "DATE", true);
        plan_file(p, "p1.parquet", "2024-01-01");
        if (n > 1)
            plan_file(p, "p2.parquet", "2024-02-01");
        if (n > 2)
            plan_file(p, "p3.parquet", NULL);
        plan_gives(bed, p, expected[n - 1]);
    }
}

static void names_of_files_may_hold_anything(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "odd [a-z]*?'\"é%20.parquet", "SELECT 5 AS id, 'odd' AS name");
    plan_gives(bed, over(bed, "SELECT id FROM t", FILES("odd [a-z]*?'\"é%20.parquet")), "[5]");
}

static void columns_that_files_lack_are_null(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "old.parquet", "SELECT 1 AS id");
    make(bed, "new.parquet", "SELECT 2 AS id, 'x' AS name");
    for (unsigned i = 0; i < 2; i++) {
        struct plan *p = over(bed, "SELECT * FROM t ORDER BY id",
                              i == 0 ? FILES("old.parquet", "new.parquet") : FILES("old.parquet"));
        p->input.mixed = true;
        plan_gives(bed, p, i == 0 ? "[1,null],[2,\"x\"]" : "[1,null]");
    }
}

static void a_missing_file_is_named(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "there.parquet", "SELECT 1 AS id, 'a' AS name");
    plan_fails(bed, over(bed, "SELECT * FROM t", FILES("missing.parquet")), ERR_NOT_FOUND, "file",
               "missing.parquet");
    plan_fails(bed, over(bed, "SELECT sum(id) FROM t", FILES("there.parquet", "missing.parquet")),
               ERR_NOT_FOUND, "file", "missing.parquet");
}

static void damaged_files_are_named(void **state)
{
    struct executor_bed *bed = *state;
    make(bed, "good.parquet",
         "SELECT i::INTEGER AS id, 'name ' || hash(i) AS name FROM range(50000) t(i)");
    char *path = path_of(bed, "good.parquet");
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *bytes = mem_alloc((size_t)st.st_size);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    free(path);

    write_file(bed, "cut.parquet", bytes, (size_t)st.st_size / 2);
    write_file(bed, "empty.parquet", "", 0);
    write_text(bed, "text.parquet", "this is no parquet file at all, it is only text\n");
    for (size_t i = 4; i < 9000; i++)
        bytes[i] ^= 0x5a;
    write_file(bed, "flipped.parquet", bytes, (size_t)st.st_size);
    free(bytes);
    static const char *const damaged[] = {"cut.parquet", "empty.parquet", "text.parquet",
                                          "flipped.parquet"};
    for (size_t i = 0; i < MEM_COUNT(damaged); i++) {
        plan_fails(bed,
                   over(bed, "SELECT sum(id), max(name) FROM t", FILES("good.parquet", damaged[i])),
                   ERR_CORRUPT, "file", damaged[i]);
        plan_fails(bed, over(bed, "SELECT sum(id), max(name) FROM t", FILES(damaged[i])),
                   ERR_CORRUPT, "file", damaged[i]);
    }
}

static void an_input_outside_the_allowed_directories_is_refused(void **state)
{
    struct executor_bed *bed = *state;
    struct plan *p = over(bed, "SELECT * FROM t", FILES("passwd"));
    p->input.root = TEXT("file:/etc");
    plan_fails(bed, p, ERR_FORBIDDEN, "permission", "/etc");
    p = over(bed, "SELECT * FROM t", FILES("../../etc/passwd"));
    plan_fails(bed, p, ERR_FORBIDDEN, "permission", "passwd");
    p = over(bed, "SELECT * FROM t", FILES("x"));
    p->input.root = TEXT("s3://bucket");
    plan_fails(bed, p, ERR_INVALID, "file", "s3://bucket");
}

static void links_lead_nowhere_outside(void **state)
{
    struct executor_bed *bed = *state;
    char *outside = mem_printf("%s/outside", bed->dir);
    char *link = path_of(bed, "link");
    char *file_link = path_of(bed, "link.csv");
    assert_int_equal(mkdir(outside, 0700), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(symlink("/etc/passwd", file_link), 0);
    struct plan *p = over(bed, "SELECT * FROM t", FILES("link.csv"));
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    plan_fails(bed, p, ERR_FORBIDDEN, "permission", "link.csv");
    p = plan_new(bed, "SELECT 1 AS a");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "link/escaped.parquet");
    plan_fails(bed, p, ERR_FORBIDDEN, "permission", "escaped.parquet");
    assert_false(exists(bed, "link/escaped.parquet"));
    free(outside);
    free(link);
    free(file_link);
}

static void outputs_outside_the_allowed_directories_are_refused(void **state)
{
    struct executor_bed *bed = *state;
    char *above = mem_printf("file:%s", bed->dir);
    char *sideways = mem_printf("%s/../store/../outside", bed->root);
    char *const roots[] = {TEXT("file:/tmp"), TEXT("/"), above, sideways};
    for (size_t i = 0; i < MEM_COUNT(roots); i++) {
        struct plan *p = plan_new(bed, "SELECT 1 AS a");
        plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "executor-escaped.parquet");
        p->output.root = roots[i];
        plan_fails(bed, p, ERR_FORBIDDEN, "permission", "no directory");
    }
    assert_int_not_equal(access("/tmp/executor-escaped.parquet", F_OK), 0);
    free(above);
    free(sideways);
}

static void a_type_that_is_none_is_refused(void **state)
{
    static const char *const types[] = {
        "INTEGER) AS x, (SELECT 1", "",         "INTEGER; DROP", "STRUCT(a",
        "INTEGER, VARCHAR",         "'INTEGER", "INTEGER -- x"};
    for (size_t i = 0; i < MEM_COUNT(types); i++) {
        struct plan *p = plan_new(*state, "SELECT * FROM t");
        plan_in_column(p, "a", types[i], false);
        plan_fails(*state, p, ERR_INVALID, "binder", "column a of t");
    }
}

static void progress_is_told(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    make(bed, "many.parquet", "SELECT i::INTEGER AS id, 'n' AS name FROM range(2000000) t(i)");
    struct plan *p = over(
        bed, "SELECT count(*) FROM t WHERE regexp_matches(repeat(id::VARCHAR, 20), '9+8+7+1+2+$')",
        FILES("many.parquet"));
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_true(run.progress > 0);
    executor_bed_run_done(&run);
    free(p);
}

static void a_profile_says_what_was_read(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    make(bed, "profile.parquet", "SELECT i::INTEGER AS id, 'n' AS name FROM range(1000) t(i)");
    struct plan *p = over(bed, "SELECT sum(id) FROM t", FILES("profile.parquet"));
    p->fragment.profile = true;
    p->files[0].bytes = 1234;
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_int_equal(run.done->profile->rows_scanned, 1000);
    assert_int_equal(run.done->profile->bytes_in, 1234);
    assert_int_equal(run.done->profile->files_in, 1);
    assert_true(run.done->profile->wall_us > 0);
    executor_bed_run_done(&run);
    free(p);
}

/* Profiled tasks have a connection of their own. */
static void time_is_in_utc_profiled_or_not(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct plan *p = plan_new(*state, "SELECT current_setting('TimeZone'), "
                                          "current_setting('Calendar'), "
                                          "TIMESTAMPTZ '2024-07-01 12:00:00+00'::VARCHAR");
        p->fragment.profile = i == 1;
        plan_gives(*state, p, "[\"UTC\",\"gregorian\",\"2024-07-01 12:00:00+00\"]");
    }
}

static void a_plan_is_explained(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    make(bed, "explain.parquet", "SELECT 1 AS id, 'n' AS name");
    for (unsigned i = 1; i <= 2; i++) {
        struct plan *p = over(bed, "SELECT sum(id) FROM t WHERE id > 0", FILES("explain.parquet"));
        p->fragment.explain = (Wire__SqlExplain)i;
        plan_run(bed, p, &run);
        assert_null(run.done->error);
        assert_non_null(strstr(run.done->text, "PARQUET"));
        assert_int_equal(strstr(run.done->text, "Total Time") != NULL, i == 2);
        executor_bed_run_done(&run);
        free(p);
    }
}

/* ---- csv, json, lines in --------------------------------------------------------------------- */

static struct plan *csv(struct executor_bed *bed, const char *sql, const char *const *names)
{
    struct plan *p = over(bed, sql, names);
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    return p;
}

static void csv_is_read_by_place(void **state)
{
    struct executor_bed *bed = *state;
    write_text(bed, "a.csv", "num,label\n1,one\n2,\"two, too\"\n3,\n");
    plan_gives(bed, csv(bed, "SELECT * FROM t", FILES("a.csv")),
               "[1,\"one\"],[2,\"two, too\"],[3,null]");
    write_text(bed, "b.csv", "4;vier\n5;NIL\n");
    struct plan *p = csv(bed, "SELECT * FROM t", FILES("b.csv"));
    plan_option(p, "HEADER", "false");
    plan_option(p, "delimiter", ";");
    plan_option(p, "null", "NIL");
    plan_gives(bed, p, "[4,\"vier\"],[5,null]");
    write_text(bed, "glob1.csv", "1,x\n");
    write_text(bed, "glob2.csv", "2,y\n");
    p = csv(bed, "SELECT * FROM t ORDER BY id", FILES("glob*.csv"));
    plan_option(p, "header", "false");
    plan_gives(bed, p, "[1,\"x\"],[2,\"y\"]");
}

static void packed_csv_is_read(void **state)
{
    struct executor_bed *bed = *state;
    char *path = path_of(bed, "packed.csv.gz");
    gzFile gz = gzopen(path, "wb");
    assert_true(gzputs(gz, "id,name\n1,packed\n") > 0);
    gzclose(gz);
    free(path);
    plan_gives(bed, csv(bed, "SELECT * FROM t", FILES("packed.csv.gz")), "[1,\"packed\"]");
}

static void a_bad_row_is_named_by_file_and_line(void **state)
{
    struct executor_bed *bed = *state;
    write_text(bed, "fine.csv", "id,name\n1,a\n2,b\n");
    write_text(bed, "bad.csv", "id,name\n1,a\n2,b\nthree,c\n4,d\n");
    write_text(bed, "wide.csv", "id,name\n1,a\n2,b,c,d\n");
    plan_fails(bed, csv(bed, "SELECT * FROM t", FILES("fine.csv", "bad.csv")), ERR_INVALID, "csv",
               "bad.csv, line 4: ");
    plan_fails(bed, csv(bed, "SELECT * FROM t", FILES("bad.csv")), ERR_INVALID, "csv", "three");
    plan_fails(bed, csv(bed, "SELECT * FROM t", FILES("wide.csv")), ERR_INVALID, "csv",
               "wide.csv, line 3: ");
    plan_fails(bed, csv(bed, "SELECT * FROM t", FILES("none.csv")), ERR_NOT_FOUND, "file",
               "none.csv");
    struct plan *p = csv(bed, "SELECT * FROM t", FILES("fine.csv"));
    plan_option(p, "store_rejects", "true");
    plan_fails(bed, p, ERR_INVALID, "binder", "store_rejects");
}

static void json_is_read_by_name(void **state)
{
    struct executor_bed *bed = *state;
    write_text(bed, "a.json", "{\"name\": \"x\", \"id\": 1}\n{\"id\": 2, \"more\": [1]}\n");
    write_text(bed, "b.json", "[{\"id\": 3, \"name\": \"y\"}]");
    write_text(bed, "bad.json", "{\"id\": 1}\n{\"id\": \"none\"}\n");
    struct plan *p = over(bed, "SELECT * FROM t ORDER BY id", FILES("a.json", "b.json"));
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    plan_gives(bed, p, "[1,\"x\"],[2,null],[3,\"y\"]");
    p = over(bed, "SELECT * FROM t ORDER BY id", FILES("bad.json"));
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_JSON;
    plan_fails(bed, p, ERR_INVALID, "json", "bad.json");
}

static void any_columns_are_what_the_file_has(void **state)
{
    struct executor_bed *bed = *state;
    write_text(bed, "any.csv", "when,n\n2024-02-29,1.5\n");
    struct executor_bed_run run;
    struct plan *p = plan_new(bed, "SELECT * FROM t");
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    p->input.any_columns = true;
    plan_file(p, "any.csv", NULL);
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_string_equal(run.columns, "when DATE, n DOUBLE");
    executor_bed_run_done(&run);
    free(p);
}

static void rows_can_come_with_the_task(void **state)
{
    struct executor_bed *bed = *state;
    struct plan *p = over(bed, "SELECT * FROM t ORDER BY id", (const char *const[]){NULL});
    static const char lines[] = "{\"id\":2,\"name\":\"zwei\"}\n{\"id\":1,\"name\":null}\n";
    p->input.format = WIRE__SQL_FORMAT__SQL_FORMAT_LINES;
    p->input.lines = (ProtobufCBinaryData){sizeof lines - 1, (uint8_t *)(uintptr_t)lines};
    plan_gives(bed, p, "[1,null],[2,\"zwei\"]");
}

/* ---- out ------------------------------------------------------------------------------------- */

static void a_file_is_written_in_the_format_asked_for(void **state)
{
    struct executor_bed *bed = *state;
    struct plan *p = plan_new(bed, "SELECT 1 AS id, 'x' AS name");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "deep/er/out.csv.gz");
    p->output.format = WIRE__SQL_FORMAT__SQL_FORMAT_CSV;
    struct executor_bed_run run;
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_int_equal(run.done->n_files, 1);
    assert_string_equal(run.done->files[0]->path, "deep/er/out.csv.gz");
    assert_int_equal(run.done->files[0]->rows, 1);
    assert_true(run.done->files[0]->bytes > 0);
    executor_bed_run_done(&run);
    free(p);
    plan_gives(bed, csv(bed, "SELECT * FROM t", FILES("deep/er/out.csv.gz")), "[1,\"x\"]");
    p = plan_new(bed, "SELECT 1");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "../out.csv");
    plan_fails(bed, p, ERR_INVALID, "file", "../out.csv");
}

static void a_shuffle_splits_by_hash(void **state)
{
    struct executor_bed *bed = *state;
    static const char *const names[] = {"h/0.parquet", "h/1.parquet", "h/2.parquet", "h/3.parquet"};
    struct executor_bed_run run;
    struct plan *p = plan_new(
        bed, "SELECT (i % 100)::INTEGER AS id, 'n' || (i % 100) AS name FROM range(10000) t(i)");
    for (unsigned i = 0; i < 4; i++)
        plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH, names[i]);
    p->keys[0] = 0;
    p->keys[1] = 1;
    p->output.n_keys = 2;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.done->n_files, 4);
    assert_int_equal(run.done->rows, 10000);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(run.done->files[i]->path, names[run.done->files[i]->partition]);
    executor_bed_run_done(&run);
    free(p);
    /* every key is whole in one file */
    uint64_t keys = 0;
    for (size_t i = 0; i < 4; i++) {
        p = over(bed,
                 "SELECT count(DISTINCT id), min(n), max(n) FROM (SELECT id, count(*) n FROM t "
                 "GROUP BY id)",
                 FILES(names[i]));
        plan_run(bed, p, &run);
        unsigned n;
        assert_int_equal(sscanf(buf_cstr(&run.rows), "[%u,100,100]", &n), 1);
        keys += n;
        executor_bed_run_done(&run);
        free(p);
    }
    assert_int_equal(keys, 100);
}

/* Turns the statement into its tree, as other stages' fragments come. malloc'ed. */
static char *plan_tree(struct executor_bed *bed, struct plan *p)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlParse parse = WIRE__SQL_PARSE__INIT;
    struct executor_bed_run run;
    parse.sql = &p->fragment.sql;
    parse.n_sql = 1;
    task.parse = &parse;
    executor_bed_run(bed, &task, &run);
    assert_null(run.done->error);
    char *tree = mem_strdup(run.done->parsed[0]->json);
    executor_bed_run_done(&run);
    p->fragment.ast = tree;
    p->fragment.sql = (char *)(uintptr_t) "";
    return tree;
}

/* A stage's rows, by hash into `n` files below `dir`: their number, and what columns they are said
 * to have (a buffer). */
static uint64_t shuffle_tree(struct executor_bed *bed, const char *sql, const char *dir, unsigned n,
                             char columns[static 256])
{
    char *names[32];
    struct executor_bed_run run;
    struct plan *p = plan_new(bed, sql);
    char *tree = plan_tree(bed, p);
    for (unsigned i = 0; i < n; i++) {
        names[i] = mem_printf("%s/%u.parquet", dir, i);
        plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH, names[i]);
    }
    p->output.n_keys = 1;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s: %s", sql, run.done->error->message);
    for (size_t i = 0; i < run.done->n_files; i++) {
        assert_string_equal(run.done->files[i]->path, names[run.done->files[i]->partition]);
        assert_true(exists(bed, run.done->files[i]->path));
    }
    uint64_t rows = run.done->rows;
    (void)snprintf(columns, 256, "%s", run.columns);
    executor_bed_run_done(&run);
    for (unsigned i = 0; i < n; i++)
        free(names[i]);
    free(tree);
    free(p);
    return rows;
}

/* By way of memory with few partitions, else by COPY's own: the same rows in the same files. */
static void stages_shuffle_alike_by_way_of_memory_and_not(void **state)
{
    struct executor_bed *bed = *state;
    static const char sql[] = "SELECT (i % 100)::INTEGER AS id, 'n' || i AS name FROM "
                              "range(3000) t(i)";
    char columns[256];
    for (unsigned n = 1; n <= 32; n = n == 1 ? 16 : n * 2) {
        char *dir = mem_printf("alike%u", n);
        assert_int_equal(shuffle_tree(bed, sql, dir, n, columns), 3000);
        assert_string_equal(columns, "id INTEGER, name VARCHAR");
        for (unsigned i = 0; i < n; i++) {
            char *name = mem_printf("%s/%u.parquet", dir, i);
            char *check = mem_printf("SELECT count(*) FILTER (hash(id) %% %u <> %u) FROM t", n, i);
            if (exists(bed, name))
                plan_gives(bed, over(bed, check, FILES(name)), "[0]");
            free(check);
            free(name);
        }
        free(dir);
    }
}

static void stages_tell_the_same_types_by_way_of_memory_and_not(void **state)
{
    struct executor_bed *bed = *state;
    static const char *const texts[] = {
        "SELECT 1 AS id, NULL AS a, [] AS b, [NULL] AS c, {'INTEGER': NULL} AS d",
        "SELECT 1 AS id, row(1, 'x') AS a",
        "SELECT 1 AS id, sum(i) AS a, sum(i::DECIMAL(10,2)) AS b, MAP {'k': i} AS c FROM "
        "range(3) t(i) GROUP BY i",
        "SELECT 1 AS id, '1 day'::INTERVAL AS a, '101'::BIT AS b, now()::TIMESTAMPTZ AS c, "
        "'{}'::JSON AS d, 'a'::ENUM('a', 'b') AS e, 'x'::BLOB AS f, 1::UHUGEINT AS g",
    };
    for (size_t i = 0; i < MEM_COUNT(texts); i++) {
        char few[256], many[256];
        uint64_t rows = shuffle_tree(bed, texts[i], "few", 2, few);
        assert_int_equal(rows, shuffle_tree(bed, texts[i], "many", 32, many));
        assert_string_equal(few, many);
    }
}

static void partitions_without_rows_have_no_file(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    for (unsigned n = 1; n <= 8; n += 7) {
        char *names[8];
        struct plan *p = plan_new(bed, "SELECT 1 AS id, NULL::VARCHAR AS name WHERE false");
        for (unsigned i = 0; i < n; i++) {
            names[i] = mem_printf("none/%u.parquet", i);
            plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_HASH, names[i]);
        }
        p->output.n_keys = 1;
        plan_run(bed, p, &run);
        assert_null(run.done->error);
        assert_int_equal(run.done->n_files, 0);
        executor_bed_run_done(&run);
        free(p);
        for (unsigned i = 0; i < n; i++) {
            assert_false(exists(bed, names[i]));
            free(names[i]);
        }
    }
}

static const json_t *stat_of(const json_t *stats, const char *group, const char *column)
{
    return json_object_get(json_object_get(stats, group), column);
}

static void a_file_of_a_table_has_statistics(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    struct plan *p = plan_new(
        bed, "SELECT i AS a, CASE WHEN i % 2 = 0 THEN 'text ' || i END AS b, i * 1.25 AS c, "
             "TIMESTAMP '2024-02-29 12:00:00.123456' + INTERVAL (i) HOUR AS d, "
             "DATE '2024-01-01' + i::INTEGER AS e, i / 4 AS f, repeat('é', 40) AS g, i > 3 AS h, "
             "CASE WHEN i = 3 THEN 'nan'::DOUBLE ELSE i END AS n, -i AS \"odd \"\"name\" FROM "
             "range(10) t(i)");
    static const char *const columns[][2] = {
        {"a", "BIGINT"}, {"b", "VARCHAR"},          {"c", "DECIMAL(18,2)"}, {"d", "TIMESTAMP"},
        {"e", "DATE"},   {"f", "DOUBLE"},           {"g", "VARCHAR"},       {"h", "BOOLEAN"},
        {"n", "DOUBLE"}, {"odd \"name", "INTEGER"},
    };
    for (size_t i = 0; i < MEM_COUNT(columns); i++)
        plan_out_column(p, columns[i][0], columns[i][1]);
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    p->output.durable = true;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.done->n_files, 1);
    const Wire__SqlOutputFile *file = run.done->files[0];
    assert_true(str_starts_with(file->path, "part-"));
    assert_true(exists(bed, file->path));
    json_t *stats = json_loads(file->stats, 0, NULL);
    if (stats == NULL)
        fail_msg("%s", file->stats);
    assert_int_equal(json_integer_value(json_object_get(stats, "numRecords")), 10);
    assert_int_equal(json_integer_value(stat_of(stats, "minValues", "a")), 0);
    assert_int_equal(json_integer_value(stat_of(stats, "maxValues", "a")), 9);
    assert_int_equal(json_integer_value(stat_of(stats, "nullCount", "b")), 5);
    assert_string_equal(json_string_value(stat_of(stats, "maxValues", "b")), "text 8");
    assert_true(json_number_value(stat_of(stats, "maxValues", "c")) == 11.25);
    assert_string_equal(json_string_value(stat_of(stats, "minValues", "d")),
                        "2024-02-29T12:00:00.123456Z");
    assert_string_equal(json_string_value(stat_of(stats, "maxValues", "d")),
                        "2024-02-29T21:00:00.123456Z");
    assert_string_equal(json_string_value(stat_of(stats, "maxValues", "e")), "2024-01-10");
    assert_true(json_number_value(stat_of(stats, "maxValues", "f")) == 2.25);
    assert_int_equal(strlen(json_string_value(stat_of(stats, "minValues", "g"))), 64);
    assert_string_equal(json_string_value(stat_of(stats, "maxValues", "g")) + 64,
                        "\xf4\x8f\xbf\xbf");
    assert_null(stat_of(stats, "minValues", "h"));
    assert_null(stat_of(stats, "maxValues", "n"));
    assert_int_equal(json_integer_value(stat_of(stats, "nullCount", "n")), 0);
    assert_int_equal(json_integer_value(stat_of(stats, "minValues", "odd \"name")), -9);
    json_decref(stats);
    executor_bed_run_done(&run);
    free(p);
}

static void statements_that_are_written_together_fail_alone(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    static const struct {
        const char *sql, *error;
        unsigned position;
    } rows[] = {
        {"VALUES (1, 'a')", NULL, 0},
        {"VALUES ('nope', 'b')", "column id: nope is no INTEGER", 0},
        {"VALUES (2, x)", "\"x\" was not found", 12},
        {"VALUES (3, 'c'), (4, NULL); -- two", NULL, 0},
        {"VALUES (NULL, 'd')", "column id takes no null", 0},
        {"VALUES (5)", "the query gives 1 columns, and 2 are needed", 0},
        {"DELETE FROM t", "no SELECT", 0},
        {"VALUES (6.4, 7)", NULL, 0},
    };
    char *parts[MEM_COUNT(rows)];
    struct plan *p = plan_new(bed, "");
    for (size_t i = 0; i < MEM_COUNT(rows); i++)
        parts[i] = TEXT(rows[i].sql);
    p->fragment.parts = parts;
    p->fragment.n_parts = MEM_COUNT(rows);
    plan_out_column(p, "id", "INTEGER");
    plan_out_column(p, "text", "VARCHAR");
    p->out_columns[0].not_null = true;
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.done->n_parts, MEM_COUNT(rows));
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        const Wire__SqlError *error = run.done->parts[i]->error;
        if ((error != NULL) != (rows[i].error != NULL) ||
            (error != NULL && strstr(error->message, rows[i].error) == NULL))
            fail_msg("%s: %s", rows[i].sql, error != NULL ? error->message : "no error");
        if (rows[i].position > 0)
            assert_int_equal(error->position, rows[i].position);
    }
    assert_int_equal(run.done->n_files, 1);
    assert_int_equal(run.done->rows, 4);
    char *path = mem_strdup(run.done->files[0]->path);
    executor_bed_run_done(&run);
    free(p);
    p = plan_new(bed, "SELECT string_agg(id || coalesce(text, '-'), ' ') FROM t");
    plan_in_column(p, "id", "INTEGER", false);
    plan_in_column(p, "text", "VARCHAR", false);
    plan_file(p, path, NULL);
    plan_gives(bed, p, "[\"1a 3c 4- 67\"]");
    free(path);
}

static void statements_that_all_fail_write_nothing(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    char *parts[] = {TEXT("VALUES ('x')"), TEXT("VALUES (y)")};
    struct plan *p = plan_new(bed, "");
    p->fragment.parts = parts;
    p->fragment.n_parts = 2;
    plan_out_column(p, "id", "INTEGER");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_int_equal(run.done->n_files, 0);
    assert_int_equal(run.done->n_parts, 2);
    assert_non_null(run.done->parts[0]->error);
    assert_non_null(run.done->parts[1]->error);
    executor_bed_run_done(&run);
    free(p);
}

static void a_table_is_written_by_partition(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    struct plan *p = plan_new(bed, "SELECT i::INTEGER, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN "
                                   "'a/b=c' ELSE 'd' END FROM range(9) t(i)");
    plan_out_column(p, "id", "INTEGER");
    plan_out_column(p, "key", "VARCHAR");
    p->out_columns[1].partition = true;
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.done->n_files, 3);
    unsigned seen = 0;
    for (size_t i = 0; i < 3; i++) {
        const Wire__SqlOutputFile *file = run.done->files[i];
        assert_int_equal(file->rows, 3);
        assert_int_equal(file->n_values, 1);
        assert_true(exists(bed, file->path));
        assert_true(str_starts_with(file->path, "key="));
        if (file->values[0]->is_null)
            seen |= str_starts_with(file->path, "key=__HIVE_DEFAULT_PARTITION__/") ? 1 : 0;
        else
            seen |= strcmp(file->values[0]->text, "a/b=c") == 0 ? 2 : 4;
        assert_non_null(strstr(file->stats, "\"id\""));
        assert_null(strstr(file->stats, "\"key\""));
    }
    assert_int_equal(seen, 7);
    executor_bed_run_done(&run);
    free(p);
}

static void files_of_a_table_end_at_their_target(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    struct plan *p = plan_new(bed, "SELECT i, hash(i)::VARCHAR FROM range(500000) t(i)");
    plan_out_column(p, "id", "BIGINT");
    plan_out_column(p, "name", "VARCHAR");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    p->output.file_target_bytes = 2 << 20;
    plan_run(bed, p, &run);
    assert_null(run.done->error);
    assert_true(run.done->n_files >= 2);
    assert_int_equal(run.done->rows, 500000);
    executor_bed_run_done(&run);
    free(p);
}

static void large_files_of_a_partition_become_several(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    struct plan *p = plan_new(bed, "SELECT i, hash(i)::VARCHAR, CASE WHEN i % 50 = 0 THEN 'small' "
                                   "ELSE 'l/arge' END FROM range(500000) t(i)");
    plan_out_column(p, "id", "BIGINT");
    plan_out_column(p, "name", "VARCHAR");
    plan_out_column(p, "k", "VARCHAR");
    p->out_columns[2].partition = true;
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
    p->output.file_target_bytes = 2 << 20;
    plan_run(bed, p, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    uint64_t rows = 0, small = 0;
    for (size_t i = 0; i < run.done->n_files; i++) {
        const Wire__SqlOutputFile *file = run.done->files[i];
        assert_true(exists(bed, file->path));
        assert_true(str_starts_with(file->path, "k="));
        assert_int_equal(file->n_values, 1);
        assert_non_null(strstr(file->stats, "\"id\""));
        rows += file->rows;
        if (strcmp(file->values[0]->text, "small") == 0)
            small += file->rows;
        else
            assert_string_equal(file->values[0]->text, "l/arge");
    }
    assert_true(run.done->n_files >= 3);
    assert_int_equal(rows, 500000);
    assert_int_equal(small, 10000);
    executor_bed_run_done(&run);
    free(p);
}

static void what_does_not_fit_the_table_is_named_by_column(void **state)
{
    struct executor_bed *bed = *state;
    static const struct {
        const char *sql;
        int code;
        const char *kind;
        const char *part;
    } cases[] = {
        {"SELECT 1, CASE WHEN i = 2 THEN 'two' ELSE '1' END FROM range(3) t(i)", ERR_INVALID,
         "conversion", "column amount: two"},
        {"SELECT 300, 1", ERR_INVALID, "conversion", "column small"},
        {"SELECT NULL, 1", ERR_INVALID, "constraint", "column small takes no null"},
        {"SELECT 1", ERR_INVALID, "binder", "1 columns, and 2"},
        {"SELECT 1, 2, 3", ERR_INVALID, "binder", "3 columns, and 2"},
        {"SELECT 1, 12345678901", ERR_INVALID, "conversion", "column amount"},
    };
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct plan *p = plan_new(bed, cases[i].sql);
        plan_out_column(p, "small", "TINYINT");
        plan_out_column(p, "amount", "DECIMAL(9,2)");
        p->out_columns[0].not_null = true;
        plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_TABLE, NULL);
        plan_fails(bed, p, cases[i].code, cases[i].kind, cases[i].part);
    }
}

static void a_task_that_fails_leaves_no_file(void **state)
{
    struct executor_bed *bed = *state;
    struct plan *p = plan_new(bed, "SELECT i, CASE WHEN i = 999999 THEN error('late') ELSE i END "
                                   "AS j FROM range(1000000) t(i)");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "late.parquet");
    plan_fails(bed, p, ERR_INVALID, "input", "late");
    assert_false(exists(bed, "late.parquet"));
    char *rows = executor_bed_rows(bed, "SELECT 1");
    free(rows);
    char *tasks = mem_printf("%s/sql/0/task", bed->dir);
    assert_int_not_equal(access(tasks, F_OK), 0);
    free(tasks);
}

static void a_directory_that_cannot_be_written_is_an_error(void **state)
{
    struct executor_bed *bed = *state;
    write_text(bed, "plain", "a file, no directory");
    struct plan *p = plan_new(bed, "SELECT 1 AS a");
    plan_to(p, WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE, "plain/x.parquet");
    plan_fails(bed, p, -ENOTDIR, "disk", "plain/x.parquet");
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void a_checkpoint_reads_back_as_it_was(void **state)
{
    struct executor_bed *bed = *state;
    static const char *const lines[] = {
        "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}",
        "{\"metaData\":{\"id\":\"af23\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
        "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\"}\",\"partitionColumns\":[\"d\"],"
        "\"configuration\":{\"k\":\"v\"},\"createdTime\":1700000000000}}",
        "{\"txn\":{\"appId\":\"app\",\"version\":7}}",
        "{\"add\":{\"path\":\"d=1/"
        "part-0.parquet\",\"partitionValues\":{\"d\":\"1\"},\"size\":9007199254740993,"
        "\"modificationTime\":1,\"dataChange\":false,\"stats\":\"{\\\"numRecords\\\":1}\"}}",
        "{\"add\":{\"path\":\"d=2/part-1.parquet\",\"partitionValues\":{\"d\":null},\"size\":2,"
        "\"modificationTime\":1,\"dataChange\":false}}",
        "{\"remove\":{\"path\":\"part-2.parquet\",\"deletionTimestamp\":5,\"dataChange\":true}}",
    };
    struct buf text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < MEM_COUNT(lines); i++)
        assert_int_equal(buf_printf(&text, "%s\n", lines[i]), 0);
    char *source = mem_printf("%s/actions.json", executor_pool_scratch(bed->pool));
    int fd = open(source, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, text.data, text.len), text.len);
    close(fd);

    struct executor_bed_run run;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlCheckpointWrite w = WIRE__SQL_CHECKPOINT_WRITE__INIT;
    w.lines_path = source;
    w.root = bed->root;
    w.path = TEXT("_delta_log/00000000000000000010.checkpoint.parquet");
    task.checkpoint_write = &w;
    executor_bed_run(bed, &task, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.done->n_files, 1);
    assert_int_equal(run.done->files[0]->rows, MEM_COUNT(lines));
    assert_true(run.done->files[0]->bytes > 0);
    executor_bed_run_done(&run);

    Wire__SqlCheckpointRead r = WIRE__SQL_CHECKPOINT_READ__INIT;
    char *paths[] = {w.path};
    r.root = bed->root;
    r.paths = paths;
    r.n_paths = 1;
    task.checkpoint_write = NULL;
    task.checkpoint_read = &r;
    executor_bed_run(bed, &task, &run);
    if (run.done->error != NULL)
        fail_msg("%s", run.done->error->message);
    assert_int_equal(run.rows_n, MEM_COUNT(lines));
    char *save = (char *)(uintptr_t)buf_cstr(&run.rows);
    for (size_t i = 0; i < MEM_COUNT(lines); i++) {
        char *line = strsep(&save, "\n");
        json_t *was = json_loads(lines[i], 0, NULL);
        json_t *is = json_loads(line, 0, NULL);
        const char *action = json_object_iter_key(json_object_iter(was));
        const char *key;
        json_t *value;
        assert_non_null(is);
        assert_int_equal(json_object_size(is), 1);
        json_object_foreach(
            json_object_get(was, action), key,
            value) if (!json_equal(json_object_get(json_object_get(is, action), key), value))
            fail_msg("%s: %s", lines[i], line);
        json_decref(was);
        json_decref(is);
    }
    executor_bed_run_done(&run);

    paths[0] = TEXT("_delta_log/00000000000000000020.checkpoint.parquet");
    executor_bed_run(bed, &task, &run);
    assert_int_equal(run.done->error->code, ERR_NOT_FOUND);
    executor_bed_run_done(&run);
    free(source);
    buf_done(&text);
}

static void many_small_files_are_one_table(void **state)
{
    struct executor_bed *bed = *state;
    static char names[PLAN_MAX][32];
    static char values[PLAN_MAX][16];
    make(bed, "small.parquet", "SELECT 1::INTEGER AS id");
    char *from = path_of(bed, "small.parquet");
    struct plan *p =
        plan_new(bed, "SELECT count(*), sum(id), count(DISTINCT part), sum(part) FROM t");
    plan_in_column(p, "id", "INTEGER", false);
    plan_in_column(p, "part", "INTEGER", true);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(names[i], sizeof names[i], "small-%u.parquet", i);
        (void)snprintf(values[i], sizeof values[i], "%u", i);
        char *to = path_of(bed, names[i]);
        assert_int_equal(link(from, to), 0);
        free(to);
        plan_file(p, names[i], values[i]);
    }
    free(from);
    plan_gives(bed, p, "[1000,1000,1000,499500]");
}

int main(int argc, char **argv)
{
    EXECUTOR_BED_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_become_one_view),
        cmocka_unit_test(values_are_cast_to_the_types_of_the_input),
        cmocka_unit_test(an_input_without_files_is_empty),
        cmocka_unit_test(partition_values_come_from_the_task),
        cmocka_unit_test(names_of_files_may_hold_anything),
        cmocka_unit_test(columns_that_files_lack_are_null),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(damaged_files_are_named),
        cmocka_unit_test(an_input_outside_the_allowed_directories_is_refused),
        cmocka_unit_test(links_lead_nowhere_outside),
        cmocka_unit_test(outputs_outside_the_allowed_directories_are_refused),
        cmocka_unit_test(a_type_that_is_none_is_refused),
        cmocka_unit_test(progress_is_told),
        cmocka_unit_test(a_profile_says_what_was_read),
        cmocka_unit_test(time_is_in_utc_profiled_or_not),
        cmocka_unit_test(a_plan_is_explained),
        cmocka_unit_test(csv_is_read_by_place),
        cmocka_unit_test(packed_csv_is_read),
        cmocka_unit_test(a_bad_row_is_named_by_file_and_line),
        cmocka_unit_test(json_is_read_by_name),
        cmocka_unit_test(any_columns_are_what_the_file_has),
        cmocka_unit_test(rows_can_come_with_the_task),
        cmocka_unit_test(a_file_is_written_in_the_format_asked_for),
        cmocka_unit_test(a_shuffle_splits_by_hash),
        cmocka_unit_test(stages_shuffle_alike_by_way_of_memory_and_not),
        cmocka_unit_test(stages_tell_the_same_types_by_way_of_memory_and_not),
        cmocka_unit_test(partitions_without_rows_have_no_file),
        cmocka_unit_test(a_file_of_a_table_has_statistics),
        cmocka_unit_test(a_table_is_written_by_partition),
        cmocka_unit_test(files_of_a_table_end_at_their_target),
        cmocka_unit_test(large_files_of_a_partition_become_several),
        cmocka_unit_test(what_does_not_fit_the_table_is_named_by_column),
        cmocka_unit_test(statements_that_are_written_together_fail_alone),
        cmocka_unit_test(statements_that_all_fail_write_nothing),
        cmocka_unit_test(a_task_that_fails_leaves_no_file),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_an_error),
        cmocka_unit_test(a_checkpoint_reads_back_as_it_was),
        cmocka_unit_test(many_small_files_are_one_table),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
