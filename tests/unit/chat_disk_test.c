/* Records reach the disk in their order, whatever file each needs, and are found again. */
#include "role/chat_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/journal_format.h"
#include "tests/unit/generated.h"
#include "tests/unit/wal_fixture.h"

struct fixture {
    char dir[WAL_FIXTURE_PATH_MAX];
    struct loop *loop;
    struct chat_disk *disk;
    struct chat_disk_found found;
    uint64_t record;    /* the last that was given */
    uint64_t persisted; /* and the last that is */
    uint64_t next;
    int failures;
    bool closed;
};

static void on_persisted(void *arg, uint64_t record)
{
    struct fixture *f = arg;
    assert_true(record > f->persisted && record <= f->record);
    f->persisted = record;
}

static void on_space(void *arg, int code)
{
    (void)arg;
    (void)code;
}

static void on_failed(void *arg, const struct error *e)
{
    struct fixture *f = arg;
    assert_true(e->code < 0);
    f->failures++;
}

static void on_trimmed(void *arg, uint64_t seq)
{
    (void)arg;
    (void)seq;
}

static void must_open(struct fixture *f)
{
    struct error e;
    const struct chat_disk_options options = {
        .dir = f->dir,
        .on_persisted = on_persisted,
        .on_space = on_space,
        .on_failed = on_failed,
        .on_trimmed = on_trimmed,
        .arg = f,
    };
    if (chat_disk_open(&f->disk, f->loop, &options, &f->found, &e) < 0)
        fail_msg("%s", e.text);
    f->record = f->persisted = 0;
}

static void init(struct fixture *f)
{
    *f = (struct fixture){.next = 1};
    snprintf(f->dir, sizeof f->dir, "%s/clusterd-chat-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->loop = loop_new();
    must_open(f);
}

static void on_closed(void *arg)
{
    ((struct fixture *)arg)->closed = true;
}

static void close_disk(struct fixture *f)
{
    f->closed = false;
    chat_disk_close(f->disk, on_closed, f);
    while (!f->closed)
        loop_turn(f->loop);
    chat_disk_found_done(&f->found);
}

static void done(struct fixture *f)
{
    close_disk(f);
    loop_free(f->loop);
    wal_fixture_remove(f->dir);
}

static void wait_for_all(struct fixture *f)
{
    while (f->persisted < f->record)
        loop_turn(f->loop);
}

static void append(struct fixture *f, unsigned n)
{
    struct order_entry *entries = mem_calloc(n, sizeof *entries);
    const struct order_entry **pointers = mem_calloc(n, sizeof *pointers);
    for (unsigned i = 0; i < n; i++) {
        entries[i] = (struct order_entry){
            .seq = f->next++,
            .term = 1,
            .type = ORDER_ENTRY_MESSAGE,
            .wall_ms = 1764333000000,
            .client = {{1}},
            .number = f->next,
            .channel = "general",
            .channel_len = 7,
            .sender = "me",
            .sender_len = 2,
            .payload = "text",
            .payload_len = 4,
        };
        pointers[i] = &entries[i];
    }
    struct order_record record = {
        .record = ++f->record, .type = ORDER_RECORD_APPEND, .entries = pointers, .entries_n = n};
    chat_disk_write(f->disk, 3, &record, 1);
    free(pointers);
    free(entries);
}

static void write_meta(struct fixture *f, uint64_t term)
{
    struct order_record record = {.record = ++f->record,
                                  .type = ORDER_RECORD_META,
                                  .meta = {.group = 9, .term = term, .promised_to = 2}};
    chat_disk_write(f->disk, 3, &record, 1);
}

static void truncate_behind(struct fixture *f, uint64_t seq)
{
    struct order_record record = {.record = ++f->record, .type = ORDER_RECORD_TRUNCATE, .seq = seq};
    chat_disk_write(f->disk, 3, &record, 1);
    f->next = seq + 1;
}

static void beat(struct fixture *f)
{
    struct order_record record = {.record = ++f->record, .type = ORDER_RECORD_BEAT};
    chat_disk_write(f->disk, 3, &record, 1);
}

static void a_new_disk_holds_nothing(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    assert_int_equal(f.found.id, 0);
    assert_int_equal(f.found.meta.group, 0);
    assert_int_equal(f.found.snapshot.len, 0);
    assert_int_equal(f.found.trimmed_seq, 0);
    assert_int_equal(chat_disk_last(f.disk), 0);
    done(&f);
}

static void what_was_persisted_is_found_again(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    write_meta(&f, 5);
    append(&f, 10);
    wait_for_all(&f);
    close_disk(&f);
    must_open(&f);
    assert_int_equal(f.found.id, 3);
    assert_int_equal(f.found.meta.group, 9);
    assert_int_equal(f.found.meta.term, 5);
    assert_int_equal(f.found.meta.promised_to, 2);
    assert_false(f.found.meta.damaged);
    assert_int_equal(chat_disk_last(f.disk), 10);
    done(&f);
}

static void records_of_all_kinds_keep_their_order(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct fixture f;
        init(&f);
        uint64_t term = 1;
        write_meta(&f, term);
        for (int i = 0; i < 60; i++) {
            switch (prng_below(&g.prng, 6)) {
            case 0:
                write_meta(&f, ++term);
                break;
            case 1:
                truncate_behind(&f, prng_below(&g.prng, f.next));
                break;
            case 2:
                beat(&f);
                break;
            case 3:
                loop_turn(f.loop);
                break;
            default:
                append(&f, 1 + (unsigned)prng_below(&g.prng, 20));
            }
        }
        wait_for_all(&f);
        assert_int_equal(chat_disk_last(f.disk), f.next - 1);
        close_disk(&f);
        must_open(&f);
        generated_check(&g, f.found.meta.term == term, "term %d", (int)f.found.meta.term);
        generated_check(&g, chat_disk_last(f.disk) == f.next - 1, "last %d",
                        (int)chat_disk_last(f.disk));
        assert_int_equal(f.failures, 0);
        done(&f);
    }
}

struct reading {
    unsigned calls;
    int code;
    size_t n;
    uint64_t first;
};

static void on_read(void *arg, int code, const struct order_entry *entries, size_t n)
{
    struct reading *r = arg;
    r->calls++;
    r->code = code;
    r->n = n;
    r->first = n > 0 ? entries[0].seq : 0;
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(entries[i].payload, "text", 4);
}

static void entries_are_read_back(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    append(&f, 100);
    wait_for_all(&f);
    struct reading r = {0};
    (void)chat_disk_read(f.disk, 30, 5, 100000, on_read, &r);
    while (r.calls == 0)
        loop_turn(f.loop);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.n, 5);
    assert_int_equal(r.first, 30);
    (void)chat_disk_read(f.disk, 101, 5, 100000, on_read, &r);
    while (r.calls == 1)
        loop_turn(f.loop);
    assert_int_equal(r.code, ERR_NOT_FOUND);
    chat_disk_read_cancel(chat_disk_read(f.disk, 30, 5, 100000, on_read, &r));
    (void)chat_disk_read(f.disk, 30, 5, 100000, on_read, &r); /* ended with the disk */
    done(&f);
    assert_int_equal(r.calls, 2);
}

/* ---- lumps ----------------------------------------------------------------------------------- */

struct lump_reading {
    unsigned calls;
    int code;
    size_t n;
    struct buf bytes;
};

static void on_lump(void *arg, int code, const void *bytes, size_t len, size_t n)
{
    struct lump_reading *r = arg;
    r->calls++;
    r->code = code;
    r->n = n;
    buf_init(&r->bytes, 1 << 20);
    if (code == 0)
        (void)buf_append(&r->bytes, bytes, len);
}

/* What the disk gives of entries `first` to first + n - 1. */
static void read_lump(struct fixture *f, uint64_t first, unsigned n, struct lump_reading *r)
{
    *r = (struct lump_reading){0};
    (void)chat_disk_read_lump(f->disk, first, n, 1 << 20, on_lump, r);
    while (r->calls == 0)
        loop_turn(f->loop);
}

static void a_lump_of_one_disk_is_read_by_another(void **state)
{
    (void)state;
    struct fixture from;
    struct fixture to;
    struct lump_reading r;
    init(&from);
    init(&to);
    for (int i = 0; i < 10; i++) { /* ten writes there, one here */
        append(&from, 10);
        wait_for_all(&from);
    }
    append(&to, 30);
    read_lump(&from, 31, 60, &r);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.n, 60);
    struct chat_disk_lump lump;
    chat_disk_lump_init(&lump);
    assert_int_equal(chat_disk_lump_take(&lump, r.bytes.data, r.bytes.len), 0);
    assert_int_equal(lump.batch.n, 60);
    assert_int_equal(lump.ends[59], r.bytes.len);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(lump.batch.entries[i].seq, 31 + i);
        assert_int_equal(lump.batch.entries[i].number, 32 + i);
    }
    struct order_record record = {.record = ++to.record,
                                  .type = ORDER_RECORD_APPEND,
                                  .seq = 31,
                                  .lump = r.bytes.data,
                                  .lump_len = r.bytes.len,
                                  .lump_n = 60};
    write_meta(&to, 2); /* what follows waits for it */
    record.record = ++to.record;
    chat_disk_write(to.disk, 3, &record, 1);
    to.next = 91;
    append(&to, 1);
    wait_for_all(&to);
    close_disk(&to);
    must_open(&to);
    assert_int_equal(chat_disk_last(to.disk), 91);
    assert_false(to.found.meta.damaged);
    struct reading entries = {0};
    (void)chat_disk_read(to.disk, 31, 61, 1 << 20, on_read, &entries);
    while (entries.calls == 0)
        loop_turn(to.loop);
    assert_int_equal(entries.n, 61);
    chat_disk_lump_done(&lump);
    buf_done(&r.bytes);
    done(&from);
    done(&to);
}

static void a_lump_with_any_bit_changed_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct lump_reading r;
    init(&f);
    append(&f, 3);
    wait_for_all(&f);
    read_lump(&f, 1, 3, &r);
    struct chat_disk_lump lump;
    chat_disk_lump_init(&lump);
    for (size_t bit = 0; bit < 8 * r.bytes.len; bit++) {
        r.bytes.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(chat_disk_lump_take(&lump, r.bytes.data, r.bytes.len), ERR_CORRUPT);
        r.bytes.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 1; len < r.bytes.len; len++) {
        bool whole = r.bytes.data[len - 1] == '\n';
        assert_int_equal(chat_disk_lump_take(&lump, r.bytes.data, len), whole ? 0 : ERR_CORRUPT);
    }
    chat_disk_lump_done(&lump);
    buf_done(&r.bytes);
    done(&f);
}

/* Its sums are right. */
static void a_lump_that_no_disk_could_hold_is_refused(void **state)
{
    (void)state;
#define MESSAGE(client, number, text)                                                              \
    "{\"term\":1,\"at\":\"2025-11-28T13:45:00.000Z\",\"kind\":\"message\",\"client\":\"" client    \
    "\",\"number\":" number ",\"channel\":\"general\",\"from\":\"me\",\"text\":\"" text "\"}"
#define CLIENT "01000000-0000-0000-0000-000000000000"
    static const struct {
        const char *object;
        int code;
    } cases[] = {
        {MESSAGE(CLIENT, "7", "hello"), 0},
        {MESSAGE(CLIENT, "7", "gr\xc3\xbc\xc3\x9f dich, \\u001b"), 0},
        {MESSAGE(CLIENT, "7", "\x1b[2J"), ERR_CORRUPT},
        {MESSAGE(CLIENT, "7", "eight\tbytes and more"), ERR_CORRUPT},
        {MESSAGE(CLIENT, "7", "\xff"), ERR_CORRUPT},
        {MESSAGE(CLIENT, "7", "open\\"), ERR_CORRUPT},
        {MESSAGE("nobody", "7", "hello"), ERR_CORRUPT},
        {MESSAGE(CLIENT, "x", "hello"), ERR_CORRUPT},
        {MESSAGE(CLIENT, "99999999999999999999", "hello"), ERR_CORRUPT},
        {"{\"term\":1}", ERR_CORRUPT},
    };
    struct chat_disk_lump lump;
    chat_disk_lump_init(&lump);
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct buf line;
        buf_init(&line, 1 << 16);
        journal_format_put_line(&line, 1, 1, cases[i].object, strlen(cases[i].object));
        if (chat_disk_lump_take(&lump, line.data, line.len) != cases[i].code)
            fail_msg("not as expected: %s", cases[i].object);
        buf_done(&line);
    }
    chat_disk_lump_done(&lump);
#undef CLIENT
#undef MESSAGE
}

static void a_log_that_lost_its_middle_says_so_durably_before_it_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    write_meta(&f, 5);
    for (int i = 0; i < 20; i++) {
        append(&f, 1);
        wait_for_all(&f);
    }
    close_disk(&f);
    char path[WAL_FIXTURE_PATH_MAX + 40];
    snprintf(path, sizeof path, "%s/00000000000000000001.jsonl", f.dir);
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    const char *line = memmem(data, len, "\"seq\":12,", 9);
    wal_fixture_poke(path, (size_t)(line - (const char *)data) + 30, "X", 1);
    free(data);
    for (int i = 0; i < 2; i++) {
        must_open(&f);
        assert_true(f.found.meta.damaged);
        assert_int_equal(chat_disk_last(f.disk), 11);
        assert_int_equal(f.found.trouble[0] != '\0', i == 0);
        if (i == 0)
            close_disk(&f);
    }
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_disk_holds_nothing),
        cmocka_unit_test(what_was_persisted_is_found_again),
        cmocka_unit_test(records_of_all_kinds_keep_their_order),
        cmocka_unit_test(entries_are_read_back),
        cmocka_unit_test(a_lump_of_one_disk_is_read_by_another),
        cmocka_unit_test(a_lump_with_any_bit_changed_is_refused),
        cmocka_unit_test(a_lump_that_no_disk_could_hold_is_refused),
        cmocka_unit_test(a_log_that_lost_its_middle_says_so_durably_before_it_is_cut),
    };
    return cmocka_run_group_tests_name("the chat's disk", tests, NULL, NULL);
}
