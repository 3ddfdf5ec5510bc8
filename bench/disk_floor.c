/* usage: disk_floor WRITERS [DIR [SECONDS]]
 *
 * What the disk alone takes: WRITERS at once, each in a file of its own that was written before,
 * one 4 KiB pwrite with O_DIRECT|O_DSYNC after the other. Prints one JSON object: writes a second
 * of one writer, the median and the 99th percentile of all.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { WRITERS_MAX = 16, PAGE_BYTES = 4096, FILE_PAGES = 2048, SAMPLES_MAX = 1 << 20 };

struct writer {
    pthread_t thread;
    int fd;
    void *page;
    int64_t end_us;
    uint32_t *us;
    size_t n;
};

static void die(const char *what)
{
    fprintf(stderr, "disk_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void put(struct writer *writer, size_t at)
{
    off_t offset = (off_t)(at % FILE_PAGES) * PAGE_BYTES;
    if (pwrite(writer->fd, writer->page, PAGE_BYTES, offset) != PAGE_BYTES)
        die("write");
}

static void writer_init(struct writer *writer, const char *dir)
{
    char *path = mem_printf("%s/disk_floor-XXXXXX", dir);
    int fd = mkstemp(path);
    writer->fd = open(path, O_RDWR | O_DIRECT | O_DSYNC);
    if (fd < 0 || writer->fd < 0)
        die(path);
    close(fd);
    unlink(path);
    free(path);
    writer->page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
    memset(writer->page, 'w', PAGE_BYTES);
    writer->us = mem_calloc(SAMPLES_MAX, sizeof *writer->us);
    for (size_t i = 0; i < FILE_PAGES; i++)
        put(writer, i);
}

static void *run(void *arg)
{
    struct writer *writer = arg;
    int64_t now = clock_mono_us();
    while (now < writer->end_us && writer->n < SAMPLES_MAX) {
        put(writer, writer->n);
        int64_t after = clock_mono_us();
        writer->us[writer->n++] = (uint32_t)(after - now);
        now = after;
    }
    return NULL;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    const char *dir = argc > 2 ? argv[2] : "/tmp";
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 1.0;
    if (n == 0 || n > WRITERS_MAX) {
        fprintf(stderr, "usage: disk_floor WRITERS [DIR [SECONDS]]\n");
        return 1;
    }
    struct writer writers[WRITERS_MAX] = {{0}};
    for (unsigned i = 0; i < n; i++)
        writer_init(&writers[i], dir);
    int64_t end_us = clock_mono_us() + (int64_t)(seconds * 1e6);
    for (unsigned i = 0; i < n; i++) {
        writers[i].end_us = end_us;
        if (pthread_create(&writers[i].thread, NULL, run, &writers[i]) != 0)
            die("thread");
    }
    uint32_t *all = mem_calloc((size_t)n * SAMPLES_MAX, sizeof *all);
    size_t count = 0;
    for (unsigned i = 0; i < n; i++) {
        pthread_join(writers[i].thread, NULL);
        memcpy(all + count, writers[i].us, writers[i].n * sizeof *all);
        count += writers[i].n;
        close(writers[i].fd);
        free(writers[i].page);
        free(writers[i].us);
    }
    qsort(all, count, sizeof *all, compare_u32);
    printf("{\"per_s\":%.0f,\"p50_us\":%u,\"p99_us\":%u}\n", (double)count / n / seconds,
           count > 0 ? all[count / 2] : 0, count > 0 ? all[count * 99 / 100] : 0);
    free(all);
    return 0;
}
