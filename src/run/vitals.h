/* How the node is: processors, memory, load, disk of the data directory. Read from /proc. */
#ifndef RUN_VITALS_H
#define RUN_VITALS_H

#include <stdbool.h>
#include <stdint.h>

struct vitals {
    uint32_t
        cpu_permille;    /* busy share of all processors since the sample before; 0 at the first */
    uint32_t load_milli; /* one-minute load average times 1000 */
    uint64_t memory_total_bytes;
    uint64_t memory_available_bytes;
    uint64_t disk_total_bytes;
    uint64_t disk_free_bytes; /* for those who are not root */
    uint64_t rss_bytes;       /* of this process */
};

struct vitals_sampler {
    uint64_t cpu_busy;
    uint64_t cpu_total;
    char *data_dir;
};

void vitals_init(struct vitals_sampler *sampler, const char *data_dir);
void vitals_done(struct vitals_sampler *sampler);

/* What can't be read stays 0. Takes some tens of microseconds. */
void vitals_sample(struct vitals_sampler *sampler, struct vitals *out);

/* This process itself, as Prometheus' clients in all languages report it. */
struct vitals_process {
    uint64_t cpu_us; /* user and system */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    double started_s; /* since the epoch */
};

/* What can't be read stays 0. */
void vitals_sample_process(struct vitals_process *out);

/* Whether the file system that holds `dir` has less than `min_bytes` left, or hardly any inode; 0:
 * less than the smaller of 64 MiB and a fiftieth of it. One that `was_full` must have a quarter
 * more. False when nobody knows. */
bool vitals_disk_is_full(const char *dir, uint64_t min_bytes, bool was_full);

/* Processors that this process may use, and memory of the machine; for the defaults of slots and
 * memory. */
unsigned vitals_cpus(void);
uint64_t vitals_memory_bytes(void);

#endif
