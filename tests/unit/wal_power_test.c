/* The power goes at any write, of which any of its sectors arrive: what the log then holds is what
 * it held after some step, not before the last that was acknowledged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/wal.h"
#include "tests/unit/generated.h"
#include "tests/unit/wal_fixture.h"

enum step_kind { STEP_APPEND, STEP_TRUNCATE, STEP_RESET };

struct step {
    enum step_kind kind;
    uint64_t index;
    uint64_t stamp; /* of an appended record */
};

struct world {
    struct wal_fixture f;
    struct step *steps;
    size_t count;
    size_t cap;
    size_t acked; /* steps that are known to be durable */
    uint64_t next;
    uint64_t trimmed; /* the highest index that was */
    unsigned in_flight;
};

/* One state the log may be in: stamps by index. */
struct image {
    uint64_t first;
    uint64_t *stamps;
    size_t count;
    size_t cap;
};

static void apply_step(struct image *image, const struct step *step)
{
    switch (step->kind) {
    case STEP_APPEND:
        MEM_GROW(image->stamps, image->cap, image->count + 1);
        image->stamps[image->count++] = step->stamp;
        break;
    case STEP_TRUNCATE:
        image->count = step->index - image->first;
        break;
    case STEP_RESET:
        image->first = step->index;
        image->count = 0;
        break;
    }
}

/* Equal, but for a beginning that a trim took. */
static bool is_tail_of(const struct image *found, const struct image *image, uint64_t trimmed)
{
    if (found->first + found->count != image->first + image->count || found->first < image->first)
        return false;
    if (found->first > image->first && found->first > trimmed + 1)
        return false;
    return found->count == 0 || memcmp(found->stamps, image->stamps + (found->first - image->first),
                                       found->count * sizeof *found->stamps) == 0;
}

struct pending {
    struct wal_req req;
    struct world *world;
    size_t steps; /* done when this one is */
    unsigned count;
    struct wal_record records[3];
    uint8_t data[3][2000];
};

static void on_done(struct wal_req *req, int status)
{
    struct pending *p = req->data;
    if (status == 0)
        p->world->acked = p->steps;
    p->world->in_flight--;
    free(p);
}

static void add_step(struct world *w, enum step_kind kind, uint64_t index, uint64_t stamp)
{
    MEM_GROW(w->steps, w->cap, w->count + 1);
    w->steps[w->count++] = (struct step){kind, index, stamp};
}

static struct pending *new_pending(struct world *w)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->world = w;
    p->req.data = p;
    w->in_flight++;
    return p;
}

static void append(struct world *w, struct prng *prng)
{
    struct pending *p = new_pending(w);
    p->count = (unsigned)prng_between(prng, 1, 3);
    for (unsigned i = 0; i < p->count; i++) {
        uint64_t stamp = ++w->f.stamp;
        uint32_t len = (uint32_t)prng_between(prng, 0, sizeof p->data[i]);
        memset(p->data[i], (int)stamp, len);
        p->records[i] = (struct wal_record){w->next++, stamp, 7, len, p->data[i]};
        add_step(w, STEP_APPEND, p->records[i].index, stamp);
    }
    p->steps = w->count;
    if (wal_append(w->f.wal, &p->req, p->records, p->count, on_done) != 0) {
        w->count -= p->count;
        w->in_flight--;
        free(p);
    }
}

static void reset(struct world *w, uint64_t index)
{
    struct pending *p = new_pending(w);
    add_step(w, STEP_RESET, index, 0);
    p->steps = w->count;
    if (wal_reset(w->f.wal, &p->req, index, on_done) != 0) {
        w->count--;
        w->in_flight--;
        free(p);
        return;
    }
    w->next = index;
}

static void a_random_step(struct world *w, struct prng *prng)
{
    uint64_t first = wal_first_index(w->f.wal);
    uint64_t last = wal_last_index(w->f.wal);
    switch (prng_below(prng, 20)) {
    case 0:
    case 1:
        if (last < first || wal_status(w->f.wal) != 0)
            break;
        w->next = prng_between(prng, first, last);
        add_step(w, STEP_TRUNCATE, w->next, 0);
        wal_truncate(w->f.wal, w->next);
        break;
    case 2:
        if (last < first || wal_status(w->f.wal) != 0)
            break;
        uint64_t index = prng_between(prng, first, last);
        wal_trim(w->f.wal, index);
        if (index > w->trimmed)
            w->trimmed = index;
        break;
    case 3:
        if (prng_chance(prng, 1, 3))
            reset(w, last + prng_between(prng, 1, 50));
        break;
    case 4:
    case 5:
    case 6:
        while (w->in_flight > 0)
            loop_turn(w->f.loop);
        break;
    default:
        append(w, prng);
    }
}

static int collect(void *arg, const struct wal_record *record)
{
    struct image *found = arg;
    for (uint32_t i = 0; i < record->len; i++)
        if (((const uint8_t *)record->data)[i] != (uint8_t)record->term)
            return ERR_INVALID;
    MEM_GROW(found->stamps, found->cap, found->count + 1);
    found->stamps[found->count++] = record->term;
    return 0;
}

/* Leaves the world at the state that the log was found in. */
static bool is_allowed(struct world *w, const struct image *found)
{
    struct image image = {.first = 1};
    bool allowed = false;
    size_t step = 0;
    for (;; step++) {
        if (step >= w->acked && is_tail_of(found, &image, w->trimmed)) {
            allowed = true;
            break;
        }
        if (step == w->count)
            break;
        apply_step(&image, &w->steps[step]);
    }
    w->count = step;
    w->acked = step;
    w->next = found->first + found->count;
    free(image.stamps);
    return allowed;
}

static void come_back(struct world *w, struct generated *g)
{
    while (w->in_flight > 0)
        loop_turn(w->f.loop);
    wal_fixture_close(&w->f);
    wal_disk_fail(&w->f.disk, WAL_FAULT_NONE, 0, 0);
    struct error e;
    int rc = wal_fixture_open(&w->f, &e);
    generated_check(g, rc == 0, "%s", e.text);
    struct image found = {.first = wal_first_index(w->f.wal)};
    rc = wal_load(w->f.wal, collect, &found, &e);
    generated_check(g, rc == 0, "%d", rc);
    generated_check(g, is_allowed(w, &found), "%" PRIu64 " to %" PRIu64, found.first,
                    found.first + found.count - 1);
    free(found.stamps);
}

static void a_power_cut_at_any_write_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct world w = {.next = 1};
        wal_fixture_init(&w.f, g.seed, false);
        w.f.options.buffered = prng_chance(&g.prng, 1, 3);
        wal_disk_vary(&w.f.disk, &g.prng);
        wal_fixture_must_open(&w.f);
        for (int cut = 0; cut < 4; cut++) {
            unsigned after = (unsigned)prng_below(&g.prng, 60);
            wal_disk_fail(&w.f.disk, WAL_FAULT_POWER, after, 0);
            for (int i = 0; i < 120; i++)
                a_random_step(&w, &g.prng);
            come_back(&w, &g);
        }
        wal_fixture_done(&w.f);
        free(w.steps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_at_any_write_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
