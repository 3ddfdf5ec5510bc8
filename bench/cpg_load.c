/* usage: cpg_load [-c WINDOW] [-b BYTES] [-t SECONDS]
 *
 * Messages in agreed order through corosync's closed process groups: WINDOW of them under way, each
 * over when it is delivered to its sender. Prints one JSON object like http_load. Built by
 * bench/run, where corosync and libcpg-dev are installed. */
#include <corosync/cpg.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 65536, WINDOW_MAX = 4096, SAMPLES_MAX = 1 << 22 };

struct message {
    int32_t sender;
    uint64_t sent_us;
};

static uint32_t samples[SAMPLES_MAX];
static unsigned delivered;
static unsigned under_way;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t node,
                       uint32_t pid, void *data, size_t len)
{
    struct message message;
    (void)handle, (void)group, (void)node, (void)pid;
    if (len < sizeof message)
        return;
    memcpy(&message, data, sizeof message);
    if (message.sender != getpid())
        return;
    under_way--;
    if (delivered < SAMPLES_MAX)
        samples[delivered++] = (uint32_t)(now_us() - message.sent_us);
}

static void on_members(cpg_handle_t handle, const struct cpg_name *group,
                       const struct cpg_address *members, size_t members_n,
                       const struct cpg_address *left, size_t left_n,
                       const struct cpg_address *joined, size_t joined_n)
{
    (void)handle, (void)group, (void)members, (void)members_n;
    (void)left, (void)left_n, (void)joined, (void)joined_n;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Fills the window; -1 when corosync refuses. */
static int send_some(cpg_handle_t handle, unsigned window, size_t bytes)
{
    static char data[BYTES_MAX];
    while (under_way < window) {
        struct message message = {.sender = getpid(), .sent_us = now_us()};
        memcpy(data, &message, sizeof message);
        struct iovec part = {.iov_base = data, .iov_len = bytes};
        cs_error_t rc = cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1);
        if (rc == CS_ERR_TRY_AGAIN)
            return 0;
        if (rc != CS_OK)
            return -1;
        under_way++;
    }
    return 0;
}

static int run(cpg_handle_t handle, unsigned window, size_t bytes, double seconds)
{
    struct pollfd ready = {.events = POLLIN};
    uint64_t end_us = now_us() + (uint64_t)(seconds * 1e6);
    if (cpg_fd_get(handle, &ready.fd) != CS_OK)
        return -1;
    while (now_us() < end_us) {
        if (send_some(handle, window, bytes) < 0)
            return -1;
        if (poll(&ready, 1, 100) > 0 && cpg_dispatch(handle, CS_DISPATCH_ALL) != CS_OK)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned window = 1;
    size_t bytes = 128;
    double seconds = 3;
    int option;
    while ((option = getopt(argc, argv, "c:b:t:")) != -1) {
        if (option == 'c')
            window = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'b')
            bytes = strtoul(optarg, NULL, 10);
        else if (option == 't')
            seconds = strtod(optarg, NULL);
        else
            return 2;
    }
    if (window == 0 || window > WINDOW_MAX || bytes < sizeof(struct message) || bytes > BYTES_MAX)
        return 2;
    cpg_handle_t handle;
    cpg_callbacks_t callbacks = {.cpg_deliver_fn = on_deliver, .cpg_confchg_fn = on_members};
    struct cpg_name group = {.length = 5, .value = "bench"};
    if (cpg_initialize(&handle, &callbacks) != CS_OK || cpg_join(handle, &group) != CS_OK ||
        run(handle, window, bytes, seconds) < 0 || delivered == 0) {
        fprintf(stderr, "cpg_load: corosync refuses\n");
        return 1;
    }
    cpg_finalize(handle);
    qsort(samples, delivered, sizeof *samples, compare);
    printf("{\"connections\":%u,\"requests\":%u,\"errors\":0,\"per_s\":%.0f,\"p50_us\":%u,"
           "\"p99_us\":%u}\n",
           window, delivered, delivered / seconds, samples[delivered / 2],
           samples[(size_t)delivered * 99 / 100]);
    return 0;
}
