/* usage: prompt_latency [-n RUNS] PROMPT COMMAND [ARG...]
 *
 * Starts a program on a terminal of its own and measures until it shows a line that ends with
 * PROMPT; then it is killed. Prints JSON: runs, median, p99, in milliseconds. */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { BYTES_MAX = 65536, RUNS = 50, WAIT_MS = 5000 };

/* Whether the bytes have the prompt. */
static bool shows(const char *bytes, size_t len, const char *prompt)
{
    size_t n = strlen(prompt);
    for (size_t at = 0; at + n <= len; at++) {
        if (memcmp(bytes + at, prompt, n) == 0)
            return true;
    }
    return false;
}

/* Microseconds from the start to the prompt; negative: it never came. */
static int64_t measure(const char *prompt, char *const *argv)
{
    char bytes[BYTES_MAX];
    size_t len = 0;
    int fd;
    struct winsize size = {.ws_row = 24, .ws_col = 120};
    int64_t begun_us = clock_mono_us();
    pid_t pid = forkpty(&fd, NULL, NULL, &size);
    if (pid < 0)
        return -1;
    if (pid == 0) {
        (void)setenv("TERM", "xterm-256color", 1);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    int64_t took_us = -1;
    while (took_us < 0 && len < sizeof bytes) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, WAIT_MS) <= 0)
            break;
        ssize_t n = read(fd, bytes + len, sizeof bytes - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (shows(bytes, len, prompt))
            took_us = clock_mono_us() - begun_us;
    }
    (void)kill(pid, SIGKILL);
    (void)close(fd);
    (void)waitpid(pid, NULL, 0);
    return took_us;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int runs = RUNS;
    int option;
    while ((option = getopt(argc, argv, "+n:")) != -1)
        runs = option == 'n' ? atoi(optarg) : 0;
    if (runs < 1 || argc - optind < 2) {
        (void)fprintf(stderr, "usage: prompt_latency [-n RUNS] PROMPT COMMAND [ARG...]\n");
        return 1;
    }
    int64_t *times = mem_calloc((size_t)runs, sizeof *times);
    for (int i = 0; i < runs; i++) {
        times[i] = measure(argv[optind], argv + optind + 1);
        if (times[i] < 0) {
            (void)fprintf(stderr, "%s never showed \"%s\"\n", argv[optind + 1], argv[optind]);
            free(times);
            return 1;
        }
    }
    qsort(times, (size_t)runs, sizeof *times, compare);
    printf("{\"runs\":%d,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n", runs,
           (double)times[runs / 2] / 1000.0, (double)times[(runs * 99) / 100] / 1000.0);
    free(times);
    return 0;
}
