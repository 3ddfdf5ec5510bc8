#include "run/vitals.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    VITALS_LINE_MAX = 512,
    VITALS_DISK_SHARE = 50,
    VITALS_DISK_BYTES_MIN = 64 << 20,
    VITALS_INODES_MIN = 64,
};

void vitals_init(struct vitals_sampler *sampler, const char *data_dir)
{
    *sampler = (struct vitals_sampler){.data_dir = mem_strdup(data_dir)};
}

void vitals_done(struct vitals_sampler *sampler)
{
    free(sampler->data_dir);
    *sampler = (struct vitals_sampler){0};
}

/* First line: "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; the guest's
 * are part of the user's. */
static void vitals_sample_cpu(struct vitals_sampler *s, struct vitals *out)
{
    uint64_t t[8] = {0};

    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return;
    int n = fscanf(f,
                   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64,
                   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
    fclose(f);
    if (n < 5)
        return;
    uint64_t busy = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
    uint64_t total = busy + t[3] + t[4];
    /* idle time may go backwards by a tick */
    if (s->cpu_total > 0 && total > s->cpu_total && busy >= s->cpu_busy) {
        uint64_t permille = (busy - s->cpu_busy) * 1000 / (total - s->cpu_total);
        out->cpu_permille = permille > 1000 ? 1000 : (uint32_t)permille;
    }
    s->cpu_busy = busy;
    s->cpu_total = total;
}

/* Reads the lines of /proc/meminfo that are asked for, in bytes. */
static void vitals_read_memory(uint64_t *total_bytes, uint64_t *available_bytes)
{
    char line[VITALS_LINE_MAX];
    uint64_t kib;

    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1)
            *total_bytes = kib * 1024;
        else if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) {
            *available_bytes = kib * 1024;
            break; /* it comes third */
        }
    }
    fclose(f);
}

static void vitals_sample_load(struct vitals *out)
{
    unsigned whole, hundredths;

    FILE *f = fopen("/proc/loadavg", "re");
    if (!f)
        return;
    if (fscanf(f, "%u.%2u", &whole, &hundredths) == 2)
        out->load_milli = whole * 1000 + hundredths * 10;
    fclose(f);
}

static void vitals_sample_rss(struct vitals *out)
{
    uint64_t pages;

    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return;
    if (fscanf(f, "%*u %" SCNu64, &pages) == 1)
        out->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    fclose(f);
}

void vitals_sample(struct vitals_sampler *sampler, struct vitals *out)
{
    struct statvfs fs;

    *out = (struct vitals){0};
    vitals_sample_cpu(sampler, out);
    vitals_read_memory(&out->memory_total_bytes, &out->memory_available_bytes);
    vitals_sample_load(out);
    vitals_sample_rss(out);
    if (statvfs(sampler->data_dir, &fs) == 0) {
        out->disk_total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
        out->disk_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
}

bool vitals_disk_is_full(const char *dir, uint64_t min_bytes, bool was_full)
{
    struct statvfs fs;
    if (statvfs(dir, &fs) != 0 || fs.f_blocks == 0)
        return false;
    uint64_t share = (uint64_t)fs.f_blocks * fs.f_frsize / VITALS_DISK_SHARE;
    if (min_bytes == 0)
        min_bytes = share < VITALS_DISK_BYTES_MIN ? share : VITALS_DISK_BYTES_MIN;
    uint64_t inodes = VITALS_INODES_MIN;
    if (was_full) {
        min_bytes += min_bytes / 4;
        inodes += inodes / 4;
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize < min_bytes ||
           (fs.f_files > 0 && fs.f_favail < inodes);
}

static uint64_t vitals_count_fds(void)
{
    uint64_t n = 0;
    const struct dirent *entry;

    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n > 0 ? n - 1 : 0; /* without the one that was just opened */
}

/* Field 22 of /proc/self/stat, behind the name in parentheses: the start in ticks since the boot.
 */
static double vitals_started_s(void)
{
    char line[VITALS_LINE_MAX] = "";
    unsigned long long ticks = 0;
    struct timespec wall, boot;

    FILE *f = fopen("/proc/self/stat", "re");
    if (!f)
        return 0;
    const char *end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    fclose(f);
    if (!end || sscanf(end + 1,
                       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                       "%*d %llu",
                       &ticks) != 1)
        return 0;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    double since_boot_s = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
           since_boot_s;
}

static uint64_t vitals_time_us(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

void vitals_sample_process(struct vitals_process *out)
{
    static double started_s;
    uint64_t virtual_pages, pages;
    struct rusage usage;
    struct rlimit limit;

    *out = (struct vitals_process){0};
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%" SCNu64 " %" SCNu64, &virtual_pages, &pages) == 2) {
        out->virtual_bytes = virtual_pages * (uint64_t)sysconf(_SC_PAGESIZE);
        out->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    if (f)
        fclose(f);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_us = vitals_time_us(&usage.ru_utime) + vitals_time_us(&usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->max_fds = limit.rlim_cur;
    out->open_fds = vitals_count_fds();
    if (started_s == 0)
        started_s = vitals_started_s();
    out->started_s = started_s;
}

unsigned vitals_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more than fit into the set */
    return n > 0 ? (unsigned)n : 1;
}

uint64_t vitals_memory_bytes(void)
{
    uint64_t total = 0;
    uint64_t available = 0;

    vitals_read_memory(&total, &available);
    return total;
}
