/* usage: order_bench [MESSAGES]
 *
 * Three nodes of the ordered log in one process, without disks and links: what numbering,
 * replicating and delivering costs the processor. All three nodes' work counts, so one node on a
 * machine of its own does about three times as much. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "tests/lib/order_bed.h"

enum { BENCH_PAYLOAD_BYTES = 128, BENCH_BATCH_MAX = 1024, BENCH_CLIENTS = 64 };

static double bench_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void bench_submit(struct order_bed *bed, uint64_t first, unsigned batch)
{
    static const char payload[BENCH_PAYLOAD_BYTES];
    struct order_submit submits[BENCH_BATCH_MAX];
    for (unsigned i = 0; i < batch; i++)
        submits[i] = (struct order_submit){
            .client = order_bed_client((unsigned)((first + i) % BENCH_CLIENTS)),
            .number = (first + i) / BENCH_CLIENTS + 1,
            .channel = "all",
            .channel_len = 3,
            .sender = "bench",
            .sender_len = 5,
            .payload = payload,
            .payload_len = sizeof payload,
        };
    order_bed_step(
        bed, 3,
        (struct order_event){.type = ORDER_EVENT_SUBMIT, .submits = submits, .submits_n = batch});
    order_bed_settle(bed);
}

static void bench_run(uint64_t messages, unsigned batch)
{
    struct order_bed bed;
    order_bed_init(&bed, 3);
    bed.check = false;
    order_bed_form(&bed);
    for (unsigned id = 1; id <= 3; id++)
        bed.nodes[id].keeps = false;
    uint64_t steps = bed.steps;
    double began_s = bench_now_s();
    for (uint64_t i = 0; i < messages; i += batch)
        bench_submit(&bed, i, batch);
    double s = bench_now_s() - began_s;
    if (bed.nodes[3].acks < messages)
        fprintf(stderr, "only %llu of %llu were acknowledged\n",
                (unsigned long long)bed.nodes[3].acks, (unsigned long long)messages);
    printf(
        "batches of %4u: %9.0f messages/s on three nodes, %9.0f steps/s, leader holds %llu KiB\n",
        batch, (double)messages / s, (double)(bed.steps - steps) / s,
        (unsigned long long)order_bed_view(&bed, 3).bytes / 1024);
    order_bed_done(&bed);
}

int main(int argc, char **argv)
{
    uint64_t messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 1 << 20;
    static const unsigned batches[] = {1, 16, 256, BENCH_BATCH_MAX};
    for (size_t i = 0; i < MEM_COUNT(batches); i++)
        bench_run(batches[i] > 1 ? messages : messages / 8, batches[i]);
    return 0;
}
