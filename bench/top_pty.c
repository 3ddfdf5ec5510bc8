/* A program on a terminal of its own, measured: from its start to its first frame, from a key to
 * what it changes, and what it costs while nobody touches it.
 *
 * usage: top_pty [-c COLUMNS] [-r ROWS] [-n RUNS] [-t SECONDS] [-k KEYS] [-m KEYS_N] [-q QUIET_MS]
 * -f TEXT -- COMMAND...
 *
 * TEXT is what the first frame has, in one piece. RUNS starts (default 5) are timed; then one is
 * left alone for SECONDS (0: none), after which KEYS are typed, KEYS_N of them (default 40) one
 * each 100 ms, round and round. What a key changed is over when nothing comes for QUIET_MS (default
 * 5). Prints one JSON object: frame_ms (median), frame_cpu_ms (of it, on the processor),
 * cpu_percent, rss_mb, bytes_per_s, key_ms (median: to the last byte of what a key changed) and
 * key_max_ms (the longest). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
    PTY_RUNS_MAX = 1000,
    PTY_FRAME_MAX_MS = 10000,
    PTY_KEYS_MAX = 1000,
    PTY_KEY_MAX_MS = 1000,
    PTY_KEY_PAUSE_MS = 100,
    PTY_SETTLE_MS = 3000,
    PTY_BYTES_MAX = 64 * 1024 * 1024,
};

struct pty_options {
    unsigned short columns, rows;
    unsigned runs;
    double seconds;
    const char *keys;
    unsigned keys_n;
    unsigned quiet_ms;
    const char *frame;
    char **command;
};

struct pty {
    pid_t pid;
    int fd;
    int64_t began_us, last_us; /* of the last byte */
    struct buf out;            /* all of it */
    size_t bytes;
};

static void pty_die(const char *what)
{
    fprintf(stderr, "top_pty: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void pty_start(struct pty *pty, const struct pty_options *options)
{
    struct winsize size = {.ws_row = options->rows, .ws_col = options->columns};
    *pty = (struct pty){.began_us = clock_mono_us()};
    buf_init(&pty->out, PTY_BYTES_MAX);
    pty->pid = forkpty(&pty->fd, NULL, NULL, &size);
    if (pty->pid < 0)
        pty_die("forkpty");
    if (pty->pid == 0) {
        (void)setenv("TERM", "xterm-256color", 1);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        (void)execvp(options->command[0], options->command);
        _exit(127);
    }
    (void)fcntl(pty->fd, F_SETFL, O_NONBLOCK);
}

/* Processor time that it took, in milliseconds. */
static double pty_end(struct pty *pty)
{
    struct rusage used = {0};
    (void)kill(pty->pid, SIGKILL);
    (void)wait4(pty->pid, NULL, 0, &used);
    (void)close(pty->fd);
    buf_done(&pty->out);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

/* Reads what comes within `ms`; false at its end. */
static bool pty_read(struct pty *pty, int64_t ms)
{
    struct pollfd p = {.fd = pty->fd, .events = POLLIN};
    char bytes[65536];
    if (poll(&p, 1, (int)(ms > 0 ? ms : 0)) <= 0)
        return true;
    ssize_t n = read(pty->fd, bytes, sizeof bytes);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    pty->last_us = clock_mono_us();
    pty->bytes += (size_t)n;
    if (buf_append(&pty->out, bytes, (size_t)n) != 0)
        buf_clear(&pty->out);
    /* what terminals answer */
    if (memmem(bytes, (size_t)n, "\033[6n", 4) != NULL)
        (void)!write(pty->fd, "\033[1;1R", 6);
    if (memmem(bytes, (size_t)n, "\033[c", 3) != NULL)
        (void)!write(pty->fd, "\033[?1;2c", 7);
    return true;
}

static void pty_wait(struct pty *pty, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    while (clock_mono_ms() < until_ms)
        if (!pty_read(pty, until_ms - clock_mono_ms()))
            return;
}

/* Milliseconds to the first frame; < 0 when it did not come. */
static double pty_wait_frame(struct pty *pty, const char *text)
{
    while (clock_mono_us() - pty->began_us < PTY_FRAME_MAX_MS * INT64_C(1000)) {
        if (!pty_read(pty, 100))
            break;
        if (memmem(pty->out.data, pty->out.len, text, strlen(text)) != NULL)
            return (double)(pty->last_us - pty->began_us) / 1000;
    }
    fprintf(stderr, "top_pty: no frame with \"%s\"\n", text);
    return -1;
}

static int pty_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double pty_median(double *values, size_t n)
{
    if (n == 0)
        return -1;
    qsort(values, n, sizeof *values, pty_compare);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Processor time of the program and of its children that have ended, in ticks. */
static double pty_cpu_ticks(pid_t pid)
{
    char path[64], text[1024], *at;
    unsigned long ticks[4];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        (void)fclose(f);
    text[n] = '\0';
    at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
                             &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4)
        return 0;
    return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]);
}

static double pty_rss_mb(pid_t pid)
{
    char path[64], line[256];
    unsigned long kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        (void)sscanf(line, "VmRSS: %lu", &kb);
    if (f != NULL)
        (void)fclose(f);
    return (double)kb / 1024;
}

/* Times from keys to the last byte of what each changed; how many. */
static size_t pty_time_keys(struct pty *pty, const struct pty_options *options, double *times)
{
    size_t n = 0;
    for (size_t i = 0; i < options->keys_n; i++) {
        int64_t sent_us = clock_mono_us();
        pty->last_us = 0;
        (void)!write(pty->fd, &options->keys[i % strlen(options->keys)], 1);
        while (clock_mono_us() - sent_us < PTY_KEY_MAX_MS * INT64_C(1000)) {
            int64_t before_us = pty->last_us;
            int64_t began_us = clock_mono_us();
            if (!pty_read(pty, options->quiet_ms))
                break;
            if (before_us > 0 && pty->last_us == before_us &&
                clock_mono_us() - began_us >= options->quiet_ms * INT64_C(1000) - 500)
                break; /* quiet behind it */
        }
        if (pty->last_us > 0)
            times[n++] = (double)(pty->last_us - sent_us) / 1000;
        pty_wait(pty, PTY_KEY_PAUSE_MS);
    }
    return n;
}

static void pty_measure(const struct pty_options *options)
{
    double frames[PTY_RUNS_MAX], works[PTY_RUNS_MAX], keys[PTY_KEYS_MAX], cpu = -1, rss = -1,
                                                                          rate = -1, key = -1;
    size_t n = 0, keys_n = 0;
    struct pty pty;
    for (unsigned i = 0; i < options->runs; i++) {
        pty_start(&pty, options);
        double ms = pty_wait_frame(&pty, options->frame);
        works[n] = pty_end(&pty);
        if (ms >= 0)
            frames[n++] = ms;
    }
    if (options->seconds > 0) {
        pty_start(&pty, options);
        (void)pty_wait_frame(&pty, options->frame);
        pty_wait(&pty, PTY_SETTLE_MS);
        size_t bytes = pty.bytes;
        double ticks = pty_cpu_ticks(pty.pid);
        int64_t began_us = clock_mono_us();
        pty_wait(&pty, (int64_t)(options->seconds * 1000));
        double seconds = (double)(clock_mono_us() - began_us) / 1e6;
        cpu = (pty_cpu_ticks(pty.pid) - ticks) / (double)sysconf(_SC_CLK_TCK) / seconds * 100;
        rate = (double)(pty.bytes - bytes) / seconds;
        rss = pty_rss_mb(pty.pid);
        if (options->keys != NULL)
            keys_n = pty_time_keys(&pty, options, keys);
        key = pty_median(keys, keys_n); /* sorts */
        (void)pty_end(&pty);
    }
    double frame = pty_median(frames, n); /* sorts */
    printf("{\"frame_ms\":%.1f,\"frame_max_ms\":%.1f,\"frame_cpu_ms\":%.1f,\"cpu_percent\":%.2f,"
           "\"rss_mb\":%.1f,"
           "\"bytes_per_s\":%.0f,\"key_ms\":%.2f,\"key_max_ms\":%.2f}\n",
           frame, n > 0 ? frames[n - 1] : -1, pty_median(works, n), cpu, rss, rate, key,
           keys_n > 0 ? keys[keys_n - 1] : -1);
}

int main(int argc, char **argv)
{
    struct pty_options options = {
        .columns = 200, .rows = 50, .runs = 5, .keys_n = 40, .quiet_ms = 5};
    int option;
    while ((option = getopt(argc, argv, "+c:r:n:t:k:m:q:f:")) != -1) {
        switch (option) {
        case 'c':
            options.columns = (unsigned short)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            options.rows = (unsigned short)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            options.runs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'k':
            options.keys = optarg;
            break;
        case 'm':
            options.keys_n = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'q':
            options.quiet_ms = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options.frame = optarg;
            break;
        default:
            return EXIT_FAILURE;
        }
    }
    options.command = argv + optind;
    if (options.frame == NULL || optind == argc || options.runs > PTY_RUNS_MAX ||
        options.keys_n > PTY_KEYS_MAX) {
        fprintf(stderr, "usage: top_pty [-c COLUMNS] [-r ROWS] [-n RUNS] [-t SECONDS] [-k KEYS] "
                        "[-m KEYS_N] [-q QUIET_MS] -f TEXT -- COMMAND...\n");
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    pty_measure(&options);
    return EXIT_SUCCESS;
}
