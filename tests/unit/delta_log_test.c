#include "core/delta_log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/delta_checkpoint.h"
#include "core/delta_commit.h"
#include "core/delta_internal.h"
#include "tests/unit/generated.h"

#define PROTOCOL       "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define SCHEMA(fields) "{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" fields "]}"
#define FIELD(name, type)                                                                          \
    "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"" type                                        \
    "\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}"
#define METADATA(fields, partitions)                                                               \
    "{\"metaData\":{\"id\":\"5fba94ed-9794-4965-ba6e-6ee3c0d22af9\",\"format\":{\"provider\":"     \
    "\"parquet\",\"options\":{}},\"schemaString\":\"" SCHEMA(                                      \
        fields) "\",\"partitionColumns\":[" partitions                                             \
                "],\"configuration\":{},\"createdTime\":1587968585495}}\n"
#define PLAIN  METADATA(FIELD("id", "long") "," FIELD("s", "string"), "")
#define PARTED METADATA(FIELD("id", "long") "," FIELD("day", "date"), "\"day\"")

static struct delta_log *log_of(const char *const *entries, size_t n)
{
    struct delta_log *log = delta_log_new();
    for (size_t i = 0; i < n; i++) {
        struct error e;
        if (delta_log_apply(log, i, entries[i], strlen(entries[i]), &e) < 0)
            fail_msg("%s", e.text);
    }
    return log;
}

static struct delta_view *view_of(struct delta_log *log, uint64_t version)
{
    struct delta_view *view;
    assert_int_equal(delta_view_open(log, version, &view, NULL), 0);
    return view;
}

/* What a reader sees: paths with sizes and statistics, in order. */
static char *picture(const struct delta_view *view)
{
    struct delta_file file;
    struct buf b;
    buf_init(&b, 64 << 20);
    for (size_t at = 0; delta_view_next(view, &at, &file);) {
        buf_printf(&b, "%s %" PRIu64 " ", file.path, file.size);
        delta_file_format_stats(view, &file, &b);
        buf_append_str(&b, "\n");
    }
    buf_cstr(&b);
    return buf_steal(&b, NULL);
}

static void expect(struct delta_log *log, uint64_t version, const char *wanted)
{
    struct delta_view *view = view_of(log, version);
    char *seen = picture(view);
    assert_string_equal(seen, wanted);
    free(seen);
    delta_view_close(view);
}

/* As Spark writes it. */
static void a_log_of_another_writer_is_replayed(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "{\"commitInfo\":{\"timestamp\":1587968586154,\"operation\":\"WRITE\","
        "\"operationParameters\""
        ":{\"mode\":\"ErrorIfExists\",\"partitionBy\":\"[]\"},\"isBlindAppend\":true}}\n" PROTOCOL
            PLAIN
        "{\"add\":{\"path\":\"part-00000-a.snappy.parquet\",\"partitionValues\":{},\"size\":262,"
        "\"modificationTime\":1587968586000,\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":2,"
        "\\\"minValues\\\":{\\\"id\\\":1,\\\"s\\\":\\\"a\\\"},\\\"maxValues\\\":{\\\"id\\\":7,"
        "\\\"s\\\":\\\"b\\\"},\\\"nullCount\\\":{\\\"id\\\":0,\\\"s\\\":0}}\",\"unknown\":[{}]}}\n"
        "{\"cdc\":{\"path\":\"x\"}}\n{\"brandNew\":{\"a\":1}}\n",
        "{\"add\":{\"path\":\"part-00001-b.snappy.parquet\",\"partitionValues\":{},\"size\":10,"
        "\"modificationTime\":2,\"dataChange\":true}}\r\n"
        "{\"remove\":{\"path\":\"part-00000-a.snappy.parquet\",\"deletionTimestamp\":5,"
        "\"dataChange\":true,\"extendedFileMetadata\":true,\"partitionValues\":{},\"size\":262}}",
        "{\"txn\":{\"appId\":\"stream\",\"version\":364475,\"lastUpdated\":1}}\n",
    };
    struct delta_log *log = log_of(entries, 3);
    expect(log, 0,
           "part-00000-a.snappy.parquet 262 {\"numRecords\":2,\"minValues\":{\"id\":1,\"s\":\"a\"},"
           "\"maxValues\":{\"id\":7,\"s\":\"b\"},\"nullCount\":{\"id\":0,\"s\":0}}\n");
    expect(log, 1, "part-00001-b.snappy.parquet 10 \n");
    struct delta_view *view = view_of(log, DELTA_NO_VERSION);
    int64_t version;
    uint64_t rows;
    assert_true(delta_view_version(view) == 2);
    assert_true(delta_view_txn(view, "stream", &version) && version == 364475);
    assert_false(delta_view_txn(view, "other", &version));
    assert_false(delta_view_rows(view, &rows));
    assert_int_equal(delta_view_files(view), 1);
    assert_int_equal(delta_view_bytes(view), 10);
    delta_view_close(view);
    view = view_of(log, 1);
    assert_false(delta_view_txn(view, "stream", &version));
    delta_view_close(view);
    delta_log_free(log);
}

static void a_broken_entry_is_named_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const entries[] = {PROTOCOL PLAIN};
    static const char good[] = "{\"add\":{\"path\":\"a\",\"partitionValues\":{},\"size\":1,"
                               "\"modificationTime\":2,\"dataChange\":true}}\n";
    static const struct {
        const char *line;
        int code;
        const char *says;
    } bad[] = {
        {"{\"add\":{\"path\":\"b\",\"partitionValues\":{}}}", ERR_CORRUPT, "no size"},
        {"{\"add\":{\"size\":1}}", ERR_CORRUPT, "no path"},
        {"{\"add\":{\"path\":\"a\",\"size\":1}}", ERR_CORRUPT, "twice"},
        {"{\"remove\":{\"path\":\"a\"}}", ERR_CORRUPT, "twice"},
        {"{\"add\":", ERR_CORRUPT, "malformed JSON"},
        {"nonsense", ERR_CORRUPT, "malformed JSON"},
        {"{\"metaData\":{\"id\":\"x\"}}", ERR_CORRUPT, "schemaString"},
        {"{\"protocol\":{\"minReaderVersion\":\"1\"}}", ERR_CORRUPT, "protocol"},
        {"{\"txn\":{\"appId\":\"x\"}}", ERR_CORRUPT, "txn"},
        {"{\"add\":{\"path\":\"b\",\"size\":1,\"deletionVector\":{\"storageType\":\"u\"}}}",
         ERR_UNSUPPORTED, "deletionVectors"},
        {"{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":"
         "[\"timestampNtz\",\"v2Checkpoint\"],\"writerFeatures\":[]}}",
         ERR_UNSUPPORTED, "v2Checkpoint"},
        {"{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}", ERR_UNSUPPORTED,
         "columnMapping"},
        {"{\"protocol\":{\"minReaderVersion\":9,\"minWriterVersion\":9}}", ERR_UNSUPPORTED,
         "version 9"},
    };
    struct delta_log *log = log_of(entries, 1);
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        struct error e = {0};
        char *text = mem_printf("%s%s\n", good, bad[i].line);
        int err = delta_log_apply(log, 1, text, strlen(text), &e);
        if (err != bad[i].code || strstr(e.text, bad[i].says) == NULL ||
            strstr(e.text, "entry 1 of the log, line 2") == NULL)
            fail_msg("%s: %s", bad[i].line, e.text);
        expect(log, DELTA_NO_VERSION, "");
        assert_true(delta_log_version(log) == 0);
        free(text);
    }
    assert_int_equal(delta_log_apply(log, 1, good, sizeof good - 1, NULL), 0);
    delta_log_free(log);
}

static void gaps_and_repetitions_are_refused(void **state)
{
    (void)state;
    static const char *const entries[] = {PROTOCOL PLAIN, ""};
    struct error e;
    struct delta_log *log = log_of(entries, 2);
    assert_int_equal(delta_log_apply(log, 1, "", 0, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "applied before"));
    assert_int_equal(delta_log_apply(log, 3, "", 0, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "entry 3 where 2"));
    delta_log_free(log);
    log = delta_log_new();
    assert_int_equal(delta_log_apply(log, 1, "", 0, &e), ERR_CORRUPT);
    assert_int_equal(delta_log_apply(log, 0, PROTOCOL, strlen(PROTOCOL), &e), ERR_CORRUPT);
    assert_int_equal(delta_log_apply(log, 0, PLAIN, strlen(PLAIN), &e), ERR_CORRUPT);
    assert_true(delta_log_version(log) == DELTA_NO_VERSION);
    delta_log_free(log);
}

static void partition_values_are_those_of_the_log(void **state)
{
    (void)state;
    static const char *const entries[] = {
        PROTOCOL PARTED
        "{\"add\":{\"path\":\"day=2024-01-02/a\",\"partitionValues\":{\"day\":\"2024-01-02\"},"
        "\"size\":1,\"modificationTime\":2}}\n"
        "{\"add\":{\"path\":\"b\",\"partitionValues\":{\"DAY\":null},\"size\":1}}\n"
        "{\"add\":{\"path\":\"c\",\"partitionValues\":{\"x\":\"y\",\"day\":\"\"},\"size\":1}}\n"};
    struct delta_log *log = log_of(entries, 1);
    struct delta_view *view = view_of(log, 0);
    struct delta_file file;
    assert_true(delta_view_find(view, "day=2024-01-02/a", &file));
    assert_string_equal(delta_file_partition(view, &file, 0), "2024-01-02");
    assert_true(delta_view_find(view, "b", &file));
    assert_null(delta_file_partition(view, &file, 0));
    assert_true(delta_view_find(view, "c", &file));
    assert_null(delta_file_partition(view, &file, 0));
    assert_false(delta_view_find(view, "d", &file));
    delta_view_close(view);
    struct error e;
    static const char missing[] = "{\"add\":{\"path\":\"d\",\"partitionValues\":{},\"size\":1}}";
    assert_int_equal(delta_log_apply(log, 1, missing, sizeof missing - 1, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "day"));
    delta_log_free(log);
}

static void writers_features_are_refused_for_writing_alone(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":["
        "\"appendOnly\",\"rowTracking\"]}}\n" PLAIN,
        "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":4}}\n", PROTOCOL};
    struct delta_log *log = log_of(entries, 3);
    static const char *const says[] = {"rowTracking", "changeDataFeed", NULL};
    for (uint64_t i = 0; i < 3; i++) {
        struct delta_view *view = view_of(log, i);
        struct error e = {0};
        int err =
            delta_protocol_check_write(delta_view_protocol(view), delta_view_metadata(view), &e);
        assert_int_equal(err, says[i] != NULL ? ERR_UNSUPPORTED : 0);
        if (says[i] != NULL)
            assert_non_null(strstr(e.text, says[i]));
        delta_view_close(view);
    }
    delta_log_free(log);
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

struct lines {
    char **lines;
    size_t n, cap;
};

static int keep_line(void *arg, const char *line, size_t len)
{
    struct lines *lines = arg;
    MEM_GROW(lines->lines, lines->cap, lines->n + 1);
    lines->lines[lines->n++] = mem_strndup(line, len);
    return 0;
}

static void lines_done(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        free(lines->lines[i]);
    free(lines->lines);
}

static struct delta_log *log_of_checkpoint(const struct delta_view *view)
{
    struct lines lines = {0};
    struct delta_checkpoint_counts counts;
    struct error e;
    assert_int_equal(delta_checkpoint_write(view, 0, keep_line, &lines, &counts), 0);
    assert_int_equal(counts.actions, lines.n);
    struct delta_log *log = delta_log_new();
    delta_log_load_begin(log, delta_view_version(view));
    for (size_t i = 0; i < lines.n; i++)
        if (delta_log_load_line(log, lines.lines[i], strlen(lines.lines[i]), &e) < 0)
            fail_msg("%s", e.text);
    if (delta_log_load_end(log, counts.actions, counts.adds, &e) < 0)
        fail_msg("%s", e.text);
    lines_done(&lines);
    return log;
}

static void a_checkpoint_that_lies_is_found_out(void **state)
{
    (void)state;
    static const char protocol[] = PROTOCOL, metadata[] = PLAIN;
    static const char add[] = "{\"add\":{\"path\":\"a\",\"partitionValues\":{},\"size\":1}}";
    static const char remove[] = "{\"remove\":{\"path\":\"a\"}}";
    struct error e;
    static const struct {
        const char *lines[4];
        uint64_t size, adds;
        const char *says;
    } cases[] = {
        {{protocol, metadata, add, NULL}, 4, 1, "3 actions where _last_checkpoint says 4"},
        {{protocol, metadata, add, NULL}, 3, 2, "1 files where _last_checkpoint says 2"},
        {{protocol, NULL}, DELTA_NO_VERSION, DELTA_NO_VERSION, "no metaData"},
        {{metadata, NULL}, DELTA_NO_VERSION, DELTA_NO_VERSION, "no protocol"},
        {{protocol, metadata, add, add}, 4, 2, "row 4: a stands twice"},
        {{protocol, metadata, add, remove}, 4, 1, "row 4: a stands twice"},
        {{protocol, add, NULL}, 2, 1, "row 2: a file comes before metaData"},
        {{protocol, protocol, NULL}, 2, 1, "second protocol"},
        {{protocol, metadata, "{\"add\"", NULL}, 2, 1, "checkpoint 5, row 3: malformed"},
    };
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct delta_log *log = delta_log_new();
        int err = 0;
        delta_log_load_begin(log, 5);
        for (size_t j = 0; err == 0 && j < 4 && cases[i].lines[j] != NULL; j++)
            err = delta_log_load_line(log, cases[i].lines[j], strlen(cases[i].lines[j]), &e);
        if (err == 0)
            err = delta_log_load_end(log, cases[i].size, cases[i].adds, &e);
        if (err != ERR_CORRUPT || strstr(e.text, cases[i].says) == NULL)
            fail_msg("case %zu: %d %s", i, err, e.text);
        delta_log_free(log);
    }
}

static void last_checkpoint_is_written_and_read(void **state)
{
    (void)state;
    struct delta_last_checkpoint last = {.version = 10, .size = 13, .adds = 11}, back;
    char *text = delta_last_checkpoint_format(&last, 999);
    assert_int_equal(delta_last_checkpoint_parse(text, strlen(text), &back, NULL), 0);
    assert_true(back.version == 10 && back.size == 13 && back.adds == 11 && back.parts == 0);
    free(text);
    static const char spark[] =
        "{\"version\":20,\"size\":5,\"parts\":3,\"checkpointSchema\":{\"a\":"
        "[]},\"checksum\":\"6a92\"}";
    assert_int_equal(delta_last_checkpoint_parse(spark, sizeof spark - 1, &back, NULL), 0);
    assert_true(back.version == 20 && back.parts == 3 && back.adds == DELTA_NO_VERSION);
    static const char *const bad[] = {"", "{}", "{\"version\":-1}", "{\"version\":1", "[]"};
    for (size_t i = 0; i < MEM_COUNT(bad); i++)
        assert_int_equal(delta_last_checkpoint_parse(bad[i], strlen(bad[i]), &back, NULL),
                         ERR_CORRUPT);
}

static void what_nobody_needs_may_be_deleted(void **state)
{
    (void)state;
    static const char *const entries[] = {
        PROTOCOL PLAIN
        "{\"add\":{\"path\":\"live%20one\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"old\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"young\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"when\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"again\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"file:/t/whole\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"add\":{\"path\":\"file:///t/sub/below\",\"partitionValues\":{},\"size\":1}}\n",
        "{\"remove\":{\"path\":\"old\",\"deletionTimestamp\":100}}\n"
        "{\"remove\":{\"path\":\"when\"}}\n"
        "{\"remove\":{\"path\":\"again\",\"deletionTimestamp\":100}}\n"
        "{\"add\":{\"path\":\"file:/t/again\",\"partitionValues\":{},\"size\":1}}\n"
        "{\"remove\":{\"path\":\"young\",\"deletionTimestamp\":5000}}\n"};
    struct delta_log *log = log_of(entries, 2);
    struct delta_view *view = view_of(log, 1);
    struct delta_vacuum *vacuum = delta_vacuum_new(view, "file:/t", 1000, 900);
    assert_false(delta_vacuum_wants(vacuum, "live one", 10));
    assert_true(delta_vacuum_wants(vacuum, "old", 10));
    assert_false(delta_vacuum_wants(vacuum, "young", 10));
    assert_true(delta_vacuum_wants(vacuum, "orphan", 10));
    assert_true(delta_vacuum_wants(vacuum, "orphan", 899));
    assert_false(delta_vacuum_wants(vacuum, "orphan", 900));
    assert_true(delta_vacuum_wants(vacuum, "old", 2000));
    assert_false(delta_vacuum_wants(vacuum, "whole", 10));
    assert_false(delta_vacuum_wants(vacuum, "sub/below", 10));
    assert_false(delta_vacuum_wants(vacuum, "again", 10));
    assert_true(delta_vacuum_wants(vacuum, "when", 10));
    assert_false(delta_vacuum_wants(vacuum, "when", 950));
    assert_false(delta_vacuum_wants(vacuum, "_delta_log/0.json", 10));
    assert_false(delta_vacuum_wants(vacuum, ".hidden", 10));
    assert_false(delta_vacuum_wants(vacuum, "a/_x/y", 10));
    assert_true(delta_vacuum_wants(vacuum, "_col=1/y", 10));
    delta_vacuum_free(vacuum);
    delta_view_close(view);
    delta_log_free(log);
}

/* ---- generated histories ----------------------------------------------------------------------
 */

enum { MODEL_FILES = 24, MODEL_VERSIONS = 16 };

/* Which of a few files live in each version, with their sizes. */
struct model {
    uint64_t size[MODEL_VERSIONS][MODEL_FILES]; /* 0: not there */
    char *entries[MODEL_VERSIONS];
    unsigned n;
};

static void model_entry(struct generated *g, struct model *m)
{
    struct buf b;
    unsigned v = m->n;
    buf_init(&b, 1 << 20);
    if (v == 0)
        buf_append_str(&b, PROTOCOL PARTED);
    else
        memcpy(m->size[v], m->size[v - 1], sizeof m->size[v]);
    if (v > 0 && prng_chance(&g->prng, 1, 8))
        buf_append_str(&b, PARTED);
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        if (!prng_chance(&g->prng, 1, 5))
            continue;
        if (m->size[v][i] > 0 && prng_chance(&g->prng, 2, 3)) {
            m->size[v][i] = 0;
            buf_printf(&b, "{\"remove\":{\"path\":\"f%u\",\"deletionTimestamp\":%u}}\n", i, v);
            continue;
        }
        m->size[v][i] = 1 + prng_below(&g->prng, 1000);
        buf_printf(&b,
                   "{\"add\":{\"path\":\"f%u\",\"partitionValues\":{\"day\":%s},\"size\":%" PRIu64
                   ",\"modificationTime\":%u%s}}\n",
                   i, i % 3 == 0 ? "null" : "\"2024-01-01\"", m->size[v][i], v,
                   i % 2 == 0 ? ",\"stats\":\"{\\\"numRecords\\\":3,\\\"minValues\\\":{\\\"id\\\":"
                                "-5},\\\"nullCount\\\":{\\\"id\\\":1}}\""
                              : "");
    }
    buf_cstr(&b);
    m->entries[m->n++] = buf_steal(&b, NULL);
}

static void model_check(struct generated *g, const struct model *m, struct delta_view *view)
{
    uint64_t v = delta_view_version(view);
    uint64_t bytes = 0;
    size_t files = 0;
    struct delta_file file;
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        char path[16];
        snprintf(path, sizeof path, "f%u", i);
        bool there = delta_view_find(view, path, &file);
        generated_check(g, there == (m->size[v][i] > 0), "%s in version %" PRIu64, path, v);
        if (!there)
            continue;
        generated_check(g, file.size == m->size[v][i], "%s in version %" PRIu64, path, v);
        files++;
        bytes += file.size;
    }
    generated_check(g, delta_view_files(view) == files, "%zu files", files);
    generated_check(g, delta_view_bytes(view) == bytes, "%" PRIu64 " bytes", bytes);
    size_t seen = 0;
    for (size_t at = 0; delta_view_next(view, &at, &file);)
        seen++;
    generated_check(g, seen == files, "%zu of %zu files", seen, files);
}

static void same(struct generated *g, struct delta_log *a, struct delta_log *b, uint64_t version)
{
    struct delta_view *left = view_of(a, version), *right = view_of(b, version);
    struct delta_file file, other;
    generated_check(g, delta_view_files(left) == delta_view_files(right), "in %" PRIu64, version);
    for (size_t at = 0; delta_view_next(left, &at, &file);) {
        bool found = delta_view_find(right, file.path, &other);
        generated_check(g, found, "%s", file.path);
        struct buf x, y;
        buf_init(&x, 10000);
        buf_init(&y, 10000);
        delta_file_format_stats(left, &file, &x);
        delta_file_format_stats(right, &other, &y);
        const char *p = delta_file_partition(left, &file, 0);
        const char *q = delta_file_partition(right, &other, 0);
        generated_check(g,
                        strcmp(buf_cstr(&x), buf_cstr(&y)) == 0 && file.size == other.size &&
                            strcmp(p != NULL ? p : "-", q != NULL ? q : "-") == 0,
                        "%s", file.path);
        buf_done(&x);
        buf_done(&y);
    }
    delta_view_close(left);
    delta_view_close(right);
}

/* Q13: replay is deterministic, only logged files are visible, snapshots are isolated; a checkpoint
 * with the entries behind it, and a trimmed log, are the same table. */
static void replay_gives_what_the_log_says_at_every_version(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct model m = {0};
        struct delta_log *log = delta_log_new(), *again = delta_log_new(), *from_checkpoint = NULL;
        struct delta_view *views[MODEL_VERSIONS];
        unsigned n = 1 + (unsigned)prng_below(&g.prng, MODEL_VERSIONS);
        unsigned checkpoint = (unsigned)prng_below(&g.prng, n);
        unsigned trim = (unsigned)prng_below(&g.prng, n);
        while (m.n < n) {
            unsigned v = m.n;
            model_entry(&g, &m);
            struct error e;
            int err = delta_log_apply(log, v, m.entries[v], strlen(m.entries[v]), &e);
            generated_check(&g, err == 0, "%s", e.text);
            err = delta_log_apply(again, v, m.entries[v], strlen(m.entries[v]), &e);
            generated_check(&g, err == 0, "%s", e.text);
            views[v] = view_of(log, v);
            if (from_checkpoint != NULL)
                delta_log_apply(from_checkpoint, v, m.entries[v], strlen(m.entries[v]), NULL);
            if (v == checkpoint)
                from_checkpoint = log_of_checkpoint(views[v]);
            if (v == trim)
                delta_log_trim(log, prng_below(&g.prng, v + 1));
        }
        for (unsigned v = 0; v < n; v++) {
            model_check(&g, &m, views[v]);
            delta_view_close(views[v]);
            if (v >= delta_log_oldest(log))
                same(&g, log, again, v);
            if (v >= checkpoint)
                same(&g, from_checkpoint, again, v);
            free(m.entries[v]);
        }
        delta_log_free(log);
        delta_log_free(again);
        delta_log_free(from_checkpoint);
    }
}

static void an_entry_tells_what_it_changes(void **state)
{
    (void)state;
    struct delta_change append, meta;
    static const char add[] =
        "{\"add\":{\"path\":\"a\",\"size\":1,\"stats\":\"{\\\"numRecords\\\":7}"
        "\"}}\n{\"commitInfo\":{\"timestamp\":5,\"operation\":\"WRITE\"}}";
    assert_int_equal(delta_change_parse(add, sizeof add - 1, &append, NULL), 0);
    assert_int_equal(delta_change_parse(PLAIN, strlen(PLAIN), &meta, NULL), 0);
    assert_true(meta.metadata && !append.metadata);
    assert_int_equal(append.rows_added, 7);
    assert_int_equal(append.bytes_added, 1);
    assert_string_equal(append.operation, "WRITE");
    assert_int_equal(append.at_ms, 5);
    assert_true(append.data);
    delta_change_done(&append);
    delta_change_done(&meta);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct buf b;
    struct delta_metadata metadata = {.id = (char *)"5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
                                      .name = (char *)"t \"x\"",
                                      .created_ms = 7};
    assert_int_equal(delta_schema_add(&metadata.schema, "id", "BIGINT", false, NULL), 0);
    assert_int_equal(delta_schema_add(&metadata.schema, "p", "VARCHAR", true, NULL), 0);
    assert_int_equal(delta_schema_add(&metadata.schema, "at", "TIMESTAMP", true, NULL), 0);
    size_t partitions[] = {1};
    struct delta_property property = {(char *)"delta.appendOnly", (char *)"true"};
    metadata.partitions = partitions;
    metadata.partitions_n = 1;
    metadata.properties = &property;
    metadata.properties_n = 1;
    buf_init(&b, 1 << 20);
    assert_int_equal(
        delta_write_info(&b, &(struct delta_commit_info){.at_ms = 3,
                                                         .operation = "CREATE TABLE",
                                                         .txn_id = "x",
                                                         .read_version = DELTA_NO_VERSION}),
        0);
    assert_int_equal(delta_write_protocol(&b, &metadata.schema), 0);
    assert_int_equal(delta_write_metadata(&b, &metadata), 0);
    const char *value = "a\n\"b\"";
    struct delta_new_file file = {.path = "p=a%250A/x.parquet",
                                  .partition_values = &value,
                                  .size = 5,
                                  .modified_ms = 6,
                                  .stats = "{\"numRecords\":1}"};
    assert_int_equal(delta_write_add(&b, &metadata, &file, true), 0);
    struct delta_log *log = delta_log_new();
    struct error e;
    if (delta_log_apply(log, 0, buf_cstr(&b), b.len, &e) < 0)
        fail_msg("%s", e.text);
    struct delta_view *view = view_of(log, 0);
    const struct delta_metadata *back = delta_view_metadata(view);
    assert_true(delta_schema_equal(&back->schema, &metadata.schema));
    assert_string_equal(back->name, metadata.name);
    assert_int_equal(back->created_ms, 7);
    assert_string_equal(delta_metadata_property(back, "delta.appendonly"), "true");
    assert_int_equal(delta_view_protocol(view)->min_reader, 3);
    struct delta_file found;
    assert_true(delta_view_find(view, file.path, &found));
    assert_string_equal(delta_file_partition(view, &found, 0), value);
    assert_true(found.rows == 1);
    buf_clear(&b);
    assert_int_equal(delta_write_remove(&b, view, &found, 77, true), 0);
    assert_int_equal(delta_log_apply(log, 1, buf_cstr(&b), b.len, &e), 0);
    expect(log, 1, "");
    delta_view_close(view);
    delta_log_free(log);
    delta_schema_done(&metadata.schema);
    buf_done(&b);
}

static void any_bytes_as_an_entry_are_safe(void **state)
{
    (void)state;
    static const char *const words[] = {
        "{\"add\":{",
        "\"path\":\"a\",",
        "\"size\":1",
        "}}\n",
        "{\"remove\":{\"path\":\"b\"}}\n",
        "\"stats\":\"{\\\"minValues\\\":{\\\"id\\\":1,\\\"s\\\":[]}}\",",
        PROTOCOL,
        PLAIN,
        "{",
        "\"partitionValues\":{},",
        "null",
        "\"stats\":\"x\",",
        "\xff",
        "{\"txn\":{}}\n"};
    static const char *const entries[] = {PROTOCOL PLAIN};
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        char text[8192] = "";
        struct delta_log *log = log_of(entries, 1);
        size_t n = prng_below(&g.prng, 9);
        for (size_t i = 0; i < n; i++)
            strcat(text, words[prng_below(&g.prng, MEM_COUNT(words))]);
        if (delta_log_apply(log, 1, text, strlen(text), NULL) < 0)
            expect(log, DELTA_NO_VERSION, "");
        delta_log_free(log);
    }
}

#define ADD(path)                                                                                  \
    "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{},\"size\":7,\"modificationTime\":1,"    \
    "\"dataChange\":true}}\n"

/* What a thread reads must not move under it. */
static void a_pinned_view_stays_where_it_is_while_the_log_goes_on(void **unused)
{
    static const char *const entries[] = {PROTOCOL PLAIN ADD("a"), ADD("b"), ADD("c")};
    (void)unused;
    struct delta_log *log = log_of(entries, 2);
    struct delta_view *view = view_of(log, 1);
    struct delta_state *read = view->state;
    char *before = picture(view);
    delta_view_pin(view);
    assert_int_equal(delta_log_apply(log, 2, entries[2], strlen(entries[2]), NULL), 0);
    assert_ptr_equal(view->state, read);
    assert_ptr_not_equal(log->state, read);
    assert_int_equal(read->version, 1);
    delta_view_unpin(view);
    struct delta_view *after = view_of(log, 2), *old = view_of(log, 1);
    char *again = picture(old);
    assert_string_equal(before, again);
    assert_int_equal(delta_view_files(after), 3);
    struct delta_state *now = log->state;
    const char *more = ADD("d");
    assert_int_equal(delta_log_apply(log, 3, more, strlen(more), NULL), 0);
    assert_ptr_equal(log->state, now); /* nobody reads it elsewhere */
    free(before);
    free(again);
    delta_view_close(old);
    delta_view_close(after);
    delta_view_close(view);
    delta_log_free(log);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_of_another_writer_is_replayed),
        cmocka_unit_test(a_broken_entry_is_named_and_changes_nothing),
        cmocka_unit_test(gaps_and_repetitions_are_refused),
        cmocka_unit_test(partition_values_are_those_of_the_log),
        cmocka_unit_test(writers_features_are_refused_for_writing_alone),
        cmocka_unit_test(a_checkpoint_that_lies_is_found_out),
        cmocka_unit_test(last_checkpoint_is_written_and_read),
        cmocka_unit_test(what_nobody_needs_may_be_deleted),
        cmocka_unit_test(replay_gives_what_the_log_says_at_every_version),
        cmocka_unit_test(an_entry_tells_what_it_changes),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(any_bytes_as_an_entry_are_safe),
        cmocka_unit_test(a_pinned_view_stays_where_it_is_while_the_log_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
