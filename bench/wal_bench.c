/* usage: wal_bench [--json] [DIR [SECONDS]]
 *
 * Durable appends of 128 bytes a second through the write-ahead log, with 1, 16, 64 and 256
 * outstanding, beside the disk's own rate: a plain loop of one 4 KiB pwrite with O_DIRECT|O_DSYNC
 * into a file written before. Disks change their speed within seconds, so the two take turns and
 * each line gives the medians of all rounds; with --json two of them make one object. DIR must be
 * on the disk to be measured (default /tmp).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/loop.h"
#include "run/wal.h"

enum { ROUNDS = 5, SAMPLES_MAX = 1 << 21, RECORD_BYTES = 128, PAGE_BYTES = 4096, RAW_PAGES = 2048 };

struct figures {
    double per_second;
    double p50_us;
    double p99_us;
    double max_us;
};

struct samples {
    uint32_t *us;
    size_t count;
};

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_rate(const void *a, const void *b)
{
    double x = ((const struct figures *)a)->per_second;
    double y = ((const struct figures *)b)->per_second;
    return x < y ? -1 : x > y;
}

static void add_sample(struct samples *s, int64_t us)
{
    if (s->count < SAMPLES_MAX)
        s->us[s->count++] = (uint32_t)us;
}

static struct figures figures_of(struct samples *s, int64_t took_us)
{
    qsort(s->us, s->count, sizeof *s->us, compare_u32);
    struct figures f = {
        .per_second = (double)s->count * 1e6 / (double)took_us,
        .p50_us = s->us[s->count / 2],
        .p99_us = s->us[s->count * 99 / 100],
        .max_us = s->us[s->count - 1],
    };
    s->count = 0;
    return f;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "wal_bench: %s: %s\n", what, why);
    exit(1);
}

/* ---- the disk's own rate -----------------------------------------------------------------------
 */

struct raw {
    int fd;
    void *page;
    unsigned at;
};

static void raw_init(struct raw *raw, const char *dir)
{
    char *path = mem_printf("%s/raw", dir);
    raw->fd = open(path, O_CREAT | O_RDWR | O_DIRECT | O_DSYNC, 0600);
    if (raw->fd < 0)
        die(path, strerror(errno));
    unlink(path);
    free(path);
    raw->page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
    memset(raw->page, 'r', PAGE_BYTES);
    for (unsigned i = 0; i < RAW_PAGES; i++)
        if (pwrite(raw->fd, raw->page, PAGE_BYTES, (off_t)i * PAGE_BYTES) != PAGE_BYTES)
            die("write", strerror(errno));
    raw->at = 0;
}

static struct figures measure_raw(struct raw *raw, struct samples *samples, int64_t duration_us)
{
    int64_t begin = clock_mono_us();
    int64_t now = begin;
    while (now - begin < duration_us) {
        off_t offset = (off_t)(raw->at++ % RAW_PAGES) * PAGE_BYTES;
        if (pwrite(raw->fd, raw->page, PAGE_BYTES, offset) != PAGE_BYTES)
            die("write", strerror(errno));
        int64_t after = clock_mono_us();
        add_sample(samples, after - now);
        now = after;
    }
    return figures_of(samples, now - begin);
}

/* ---- the log -------------------------------------------------------------------------------- */

struct bench;

struct slot {
    struct wal_req req;
    struct wal_record record;
    struct bench *bench;
    int64_t begin_us;
};

struct bench {
    struct loop *loop;
    struct wal *wal;
    struct samples *samples;
    int64_t end_us;
    unsigned outstanding;
};

static char record_data[RECORD_BYTES];

static void on_appended(struct wal_req *req, int status);

static void append(struct slot *slot)
{
    struct bench *b = slot->bench;
    slot->begin_us = clock_mono_us();
    slot->record = (struct wal_record){
        .index = wal_last_index(b->wal) + 1,
        .len = sizeof record_data,
        .data = record_data,
    };
    slot->req.data = slot;
    if (wal_append(b->wal, &slot->req, &slot->record, 1, on_appended) != 0)
        die("append", "refused");
    b->outstanding++;
}

static void on_appended(struct wal_req *req, int status)
{
    struct slot *slot = req->data;
    struct bench *b = slot->bench;
    if (status != 0)
        die("append", err_text(status));
    int64_t now = clock_mono_us();
    add_sample(b->samples, now - slot->begin_us);
    b->outstanding--;
    if (now < b->end_us)
        append(slot);
}

static struct figures measure_wal(struct bench *b, unsigned outstanding, int64_t duration_us)
{
    struct slot *slots = mem_calloc(outstanding, sizeof *slots);
    int64_t begin = clock_mono_us();
    b->end_us = begin + duration_us;
    for (unsigned i = 0; i < outstanding; i++) {
        slots[i].bench = b;
        append(&slots[i]);
    }
    while (b->outstanding > 0)
        loop_turn(b->loop);
    int64_t took = clock_mono_us() - begin;
    free(slots);
    wal_trim(b->wal, wal_last_index(b->wal));
    return figures_of(b->samples, took);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static void print_line(const char *what, unsigned outstanding, struct figures *rounds, double raw)
{
    qsort(rounds, ROUNDS, sizeof *rounds, compare_rate);
    const struct figures *f = &rounds[ROUNDS / 2];
    printf("%-22s %4u %9.0f %9.0f %9.0f %8.0f %8.0f %8.0f %7.2f\n", what, outstanding,
           rounds[0].per_second, f->per_second, rounds[ROUNDS - 1].per_second, f->p50_us, f->p99_us,
           f->max_us, f->per_second / raw);
}

/* A disk that takes no time. */

static ssize_t no_pwrite(void *arg, int fd, const void *data, size_t len, off_t offset)
{
    (void)arg, (void)fd, (void)data, (void)offset;
    return (ssize_t)len;
}

static int no_fdatasync(void *arg, int fd)
{
    (void)arg, (void)fd;
    return 0;
}

static int no_fallocate(void *arg, int fd, off_t len)
{
    (void)arg;
    return ftruncate(fd, len) != 0 ? errno : 0;
}

static const struct wal_io no_disk = {
    .pwrite = no_pwrite, .fdatasync = no_fdatasync, .fallocate = no_fallocate};

static struct wal *must_open(struct loop *loop, const char *base, const char *name,
                             const struct wal_io *io)
{
    char *dir = mem_printf("%s/%s", base, name);
    struct wal_options options = {.io = io};
    struct wal *wal;
    struct error e;
    if (mkdir(dir, 0700) != 0)
        die(dir, strerror(errno));
    if (wal_open(&wal, loop, dir, &options, &e) < 0)
        die(dir, e.text);
    free(dir);
    return wal;
}

static void print_json(struct figures *raw_rounds, struct figures *rounds)
{
    qsort(raw_rounds, ROUNDS, sizeof *raw_rounds, compare_rate);
    qsort(rounds, ROUNDS, sizeof *rounds, compare_rate);
    printf("{\"raw_per_s\":%.0f,\"wal_1_per_s\":%.0f}\n", raw_rounds[ROUNDS / 2].per_second,
           rounds[ROUNDS / 2].per_second);
}

static void run_json(struct bench *b, struct raw *raw, int64_t duration_us)
{
    struct figures raw_rounds[ROUNDS];
    struct figures rounds[ROUNDS];
    for (unsigned round = 0; round < ROUNDS; round++) {
        raw_rounds[round] = measure_raw(raw, b->samples, duration_us);
        rounds[round] = measure_wal(b, 1, duration_us);
    }
    print_json(raw_rounds, rounds);
}

static void run_table(struct bench *b, struct bench *hop, struct raw *raw, int64_t duration_us)
{
    static const unsigned outstanding[] = {1, 16, 64, 256};
    struct figures raw_rounds[ROUNDS];
    struct figures hop_rounds[ROUNDS];
    struct figures rounds[MEM_COUNT(outstanding)][ROUNDS];
    for (unsigned round = 0; round < ROUNDS; round++) {
        raw_rounds[round] = measure_raw(raw, b->samples, duration_us);
        hop_rounds[round] = measure_wal(hop, 1, duration_us / 4);
        for (size_t i = 0; i < MEM_COUNT(outstanding); i++)
            rounds[i][round] = measure_wal(b, outstanding[i], duration_us);
    }
    printf("%-22s %4s %9s %9s %9s %8s %8s %8s %7s\n", "", "out", "min/s", "median/s", "max/s",
           "p50 us", "p99 us", "max us", "of raw");
    qsort(raw_rounds, ROUNDS, sizeof *raw_rounds, compare_rate);
    double raw_rate = raw_rounds[ROUNDS / 2].per_second;
    print_line("pwrite 4 KiB, direct", 1, raw_rounds, raw_rate);
    print_line("log, no disk", 1, hop_rounds, raw_rate);
    for (size_t i = 0; i < MEM_COUNT(outstanding); i++)
        print_line("log, 128 B records", outstanding[i], rounds[i], raw_rate);
}

static void on_closed(void *arg)
{
    ++*(unsigned *)arg;
}

int main(int argc, char **argv)
{
    bool has_json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= has_json;
    argv += has_json;
    const char *base = argc > 1 ? argv[1] : "/tmp";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    char *dir = mem_printf("%s/wal_bench-XXXXXX", base);
    if (mkdtemp(dir) == NULL)
        die(dir, strerror(errno));
    struct samples samples = {.us = mem_calloc(SAMPLES_MAX, sizeof *samples.us)};
    struct loop *loop = loop_new();
    struct bench b = {.loop = loop, .samples = &samples};
    struct bench hop = b;
    b.wal = must_open(loop, dir, "log", NULL);
    hop.wal = must_open(loop, dir, "hop", &no_disk);
    struct raw raw;
    raw_init(&raw, dir);
    if (has_json) {
        run_json(&b, &raw, (int64_t)(seconds * 1e6));
    } else {
        printf("%s, %s\n", base,
               wal_is_direct(b.wal) ? "O_DIRECT|O_DSYNC" : "pwrite and fdatasync");
        run_table(&b, &hop, &raw, (int64_t)(seconds * 1e6));
    }
    unsigned closed = 0;
    wal_close(b.wal, on_closed, &closed);
    wal_close(hop.wal, on_closed, &closed);
    while (closed < 2)
        loop_turn(loop);
    loop_free(loop);
    close(raw.fd);
    char *clean = mem_printf("rm -rf '%s'", dir);
    int rc = system(clean);
    free(clean);
    free(dir);
    free(raw.page);
    free(samples.us);
    return rc == 0 ? 0 : 1;
}
