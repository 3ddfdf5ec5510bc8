#include "tests/unit/journal_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/journal_format.h"
#include "tests/unit/generated.h"

enum { PAD_MAX = 200000 };

static void make_object(uint64_t stamp, size_t pad, struct buf *out)
{
    assert_int_equal(buf_printf(out, "{\"stamp\":%" PRIu64 ",\"pad\":\"", stamp), 0);
    for (size_t i = 0; i < pad; i++)
        assert_int_equal(buf_append_byte(out, (uint8_t)('a' + (stamp + i) % 26)), 0);
    assert_int_equal(buf_append_str(out, "\"}"), 0);
}

static void on_failed(void *arg, const struct error *e)
{
    struct journal_fixture *f = arg;
    assert_true(e->code < 0 && e->text[0] != '\0');
    f->failures++;
}

static void on_reserve(void *arg, int code)
{
    struct journal_fixture *f = arg;
    f->reserve = code;
    f->reserve_calls++;
}

static int on_line(void *arg, const struct journal_line *line, struct error *e)
{
    (void)e;
    struct journal_fixture *f = arg;
    assert_true(line->text[0] == '{' && line->text[line->len - 1] == '}');
    if (line->seq == 0) {
        assert_true(line->members_len < sizeof f->carried);
        memcpy(f->carried, line->members, line->members_len);
        f->carried[line->members_len] = '\0';
        f->carried_n++;
        return 0;
    }
    uint64_t stamp;
    assert_int_equal(sscanf(line->members, "\"stamp\":%" SCNu64 ",", &stamp), 1);
    struct buf expected;
    buf_init(&expected, PAD_MAX + 100);
    const char *pad = strstr(line->members, "\"pad\":\"") + strlen("\"pad\":\"");
    make_object(stamp, (size_t)(line->members + line->members_len - 2 - pad), &expected);
    assert_int_equal(line->members_len, expected.len - 1);
    assert_memory_equal(line->members, expected.data + 1, expected.len - 1);
    buf_done(&expected);
    struct journal_image *found = &f->found;
    if (found->count == 0)
        found->first = line->seq;
    assert_true(line->seq >= found->first + found->count);
    while (line->seq > found->first + found->count) {
        MEM_GROW(found->stamps, found->cap, found->count + 1);
        found->stamps[found->count++] = 0;
    }
    MEM_GROW(found->stamps, found->cap, found->count + 1);
    found->stamps[found->count++] = stamp;
    return 0;
}

void journal_fixture_init(struct journal_fixture *f, uint64_t seed, bool on_disk)
{
    *f = (struct journal_fixture){.next = 1};
    const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    if (!on_disk && access("/dev/shm", W_OK) == 0)
        base = "/dev/shm";
    snprintf(f->dir, sizeof f->dir, "%s/clusterd-journal-XXXXXX", base);
    if (mkdtemp(f->dir) == NULL)
        fail_msg("mkdtemp %s: %s", f->dir, strerror(errno));
    f->loop = loop_new();
    wal_disk_init(&f->disk, seed);
    f->options = (struct journal_options){
        .segment_bytes = JOURNAL_FIXTURE_SEGMENT_BYTES,
        .on_line = on_line,
        .on_failed = on_failed,
        .on_reserve = on_reserve,
        .io = &f->disk.io,
        .arg = f,
    };
}

void journal_fixture_done(struct journal_fixture *f)
{
    if (f->journal != NULL)
        journal_fixture_close(f);
    loop_free(f->loop);
    wal_fixture_remove(f->dir);
    free(f->steps);
    free(f->found.stamps);
}

int journal_fixture_open(struct journal_fixture *f, struct error *e)
{
    f->found.count = 0;
    f->found.first = 0;
    f->carried_n = 0;
    f->carried[0] = '\0';
    return journal_open(&f->journal, f->loop, f->dir, &f->options, e);
}

void journal_fixture_must_open(struct journal_fixture *f)
{
    struct error e;
    if (journal_fixture_open(f, &e) < 0)
        fail_msg("%s", e.text);
}

static void on_closed(void *arg)
{
    struct journal_fixture *f = arg;
    f->closed = true;
}

void journal_fixture_close(struct journal_fixture *f)
{
    f->closed = false;
    journal_close(f->journal, on_closed, f);
    while (!f->closed)
        loop_turn(f->loop);
    f->journal = NULL;
    assert_int_equal(f->in_flight, 0);
}

void journal_fixture_reopen(struct journal_fixture *f)
{
    journal_fixture_wait(f);
    journal_fixture_close(f);
    journal_fixture_must_open(f);
}

static void add_step(struct journal_fixture *f, enum journal_step_kind kind, uint64_t seq)
{
    MEM_GROW(f->steps, f->steps_cap, f->steps_n + 1);
    f->steps[f->steps_n++] = (struct journal_step){.kind = kind, .seq = seq, .stamp = f->stamp};
}

int journal_fixture_append(struct journal_fixture *f, unsigned count, size_t pad)
{
    struct buf object;
    buf_init(&object, PAD_MAX + 100);
    int rc = 0;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        buf_clear(&object);
        make_object(f->stamp + 1, pad, &object);
        rc = journal_append(f->journal, (const char *)object.data, object.len);
        if (rc < 0)
            break;
        f->stamp++;
        add_step(f, JOURNAL_STEP_APPEND, f->next++);
        assert_int_equal(journal_last(f->journal), f->next - 1);
    }
    buf_done(&object);
    return rc;
}

int journal_fixture_append_bulk(struct journal_fixture *f, unsigned count, size_t pad)
{
    struct buf object;
    struct buf lines;
    buf_init(&object, PAD_MAX + 100);
    buf_init(&lines, SIZE_MAX / 4);
    for (unsigned i = 1; i <= count; i++) {
        buf_clear(&object);
        make_object(f->stamp + i, pad, &object);
        journal_format_put_line(&lines, i, i, (const char *)object.data, object.len);
    }
    int rc = journal_append_lines(f->journal, (const char *)lines.data, lines.len);
    while (f->next <= journal_last(f->journal)) {
        f->stamp++;
        add_step(f, JOURNAL_STEP_APPEND, f->next++);
    }
    buf_done(&lines);
    buf_done(&object);
    return rc;
}

void journal_fixture_truncate(struct journal_fixture *f, uint64_t seq)
{
    if (journal_truncate(f->journal, seq) < 0)
        return;
    add_step(f, JOURNAL_STEP_TRUNCATE, seq);
    f->next = seq;
}

void journal_fixture_reset(struct journal_fixture *f, uint64_t next)
{
    if (journal_reset(f->journal, next, NULL) < 0)
        return;
    add_step(f, JOURNAL_STEP_RESET, next);
    f->next = next;
}

struct waiter {
    struct journal_req req;
    struct journal_fixture *f;
    size_t steps;
};

static void on_synced(struct journal_req *req, int status)
{
    struct waiter *w = req->data;
    w->f->in_flight--;
    if (status == 0) {
        assert_true(w->steps >= w->f->acked);
        w->f->acked = w->steps;
    }
    free(w);
}

void journal_fixture_sync(struct journal_fixture *f)
{
    struct waiter *w = mem_zalloc(sizeof *w);
    w->f = f;
    w->steps = f->steps_n;
    w->req.data = w;
    f->in_flight++;
    journal_sync(f->journal, &w->req, on_synced);
}

void journal_fixture_wait(struct journal_fixture *f)
{
    journal_fixture_sync(f);
    while (f->in_flight > 0)
        loop_turn(f->loop);
}

static void apply(struct journal_image *image, const struct journal_step *step)
{
    switch (step->kind) {
    case JOURNAL_STEP_APPEND:
        MEM_GROW(image->stamps, image->cap, image->count + 1);
        image->stamps[image->count++] = step->stamp;
        break;
    case JOURNAL_STEP_TRUNCATE:
        image->count = step->seq - image->first;
        break;
    case JOURNAL_STEP_RESET:
        image->first = step->seq;
        image->count = 0;
        break;
    }
}

/* Equal, but for a beginning that was dropped. */
static bool is_it(const struct journal_fixture *f, const struct journal_image *image)
{
    const struct journal_image *found = &f->found;
    uint64_t end = journal_last(f->journal) + 1;
    if (end != image->first + image->count)
        return false;
    if (found->count == 0)
        return image->count == 0 || end <= f->dropped;
    if (found->first < image->first || found->first + found->count != end)
        return false;
    if (found->first > image->first && found->first > f->dropped)
        return false;
    return memcmp(found->stamps, image->stamps + (found->first - image->first),
                  found->count * sizeof *found->stamps) == 0;
}

const char *journal_fixture_check(struct journal_fixture *f)
{
    struct journal_image image = {.first = 1};
    bool matched = f->acked == 0 && is_it(f, &image);
    size_t steps = 0;
    for (size_t i = 0; i < f->steps_n && !matched; i++) {
        apply(&image, &f->steps[i]);
        matched = i + 1 >= f->acked && is_it(f, &image);
        steps = i + 1;
    }
    free(image.stamps);
    if (!matched)
        return "what the open found is no state that was asked for since the last acknowledged";
    f->steps_n = f->acked = steps;
    f->next = journal_last(f->journal) + 1;
    return NULL;
}

void journal_fixture_must_hold(struct journal_fixture *f)
{
    const char *wrong = journal_fixture_check(f);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

void journal_fixture_object(struct journal_fixture *f, uint64_t seq, struct buf *out)
{
    struct journal_read read = {.from = seq, .lines_max = 1, .bytes_max = 1000};
    assert_int_equal(journal_read_now(f->journal, &read), 0);
    struct journal_line line;
    size_t at = 0;
    assert_true(journal_next_line(&read.lines, &at, &line));
    assert_int_equal(line.seq, seq);
    assert_int_equal(buf_append_byte(out, '{'), 0);
    assert_int_equal(buf_append(out, line.members, line.members_len), 0);
    assert_int_equal(buf_append_byte(out, '\n'), 0);
    journal_read_done(&read);
}

void journal_fixture_path(const struct journal_fixture *f, uint64_t first,
                          char path[WAL_FIXTURE_PATH_MAX])
{
    assert_true(snprintf(path, WAL_FIXTURE_PATH_MAX, "%s/%020" PRIu64 ".jsonl", f->dir, first) <
                WAL_FIXTURE_PATH_MAX);
}
