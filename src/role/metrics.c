/* Happy path: before the values are read, the collector looks at the process, the links, the
 * elections and the replica of this node. What cannot be read is left out. */
#include "role/metrics.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "base/metric.h"
#include "role/metrics_internal.h"
#include "role/routing_table.h"
#include "role/state.h"
#include "run/object_store.h"
#include "run/spawn.h"
#include "run/vitals.h"

static void metrics_collect_process(const struct metrics *metrics)
{
    const struct node_options *options = node_options(metrics->node);
    struct vitals_process process;
    struct loop_stats loop;
    struct statvfs fs;
    vitals_sample_process(&process);
    metric_series_set(metric_series(METRIC_BUILD_INFO, options->version, options->name), 1);
    metric_set_counter(METRIC_PROCESS_CPU_SECONDS, process.cpu_us);
    metric_set(METRIC_PROCESS_RESIDENT_BYTES, (double)process.resident_bytes);
    metric_set(METRIC_PROCESS_VIRTUAL_BYTES, (double)process.virtual_bytes);
    metric_set(METRIC_PROCESS_OPEN_FDS, (double)process.open_fds);
    metric_set(METRIC_PROCESS_MAX_FDS, (double)process.max_fds);
    metric_set(METRIC_PROCESS_START, process.started_s);
    loop_get_stats(node_loop(metrics->node), &loop);
    metric_set_counter(METRIC_LOOP_TURNS, loop.turns);
    metric_set_counter(METRIC_LOOP_SLOW_TURNS, loop.slow_turns);
    if (statvfs(options->data_dir, &fs) == 0) {
        metric_set(METRIC_DISK_SIZE, (double)fs.f_blocks * (double)fs.f_frsize);
        metric_set(METRIC_DISK_FREE, (double)fs.f_bavail * (double)fs.f_frsize);
    }
}

static void metrics_collect_link(const struct node *node, const Wire__Node *member)
{
    struct link_stats stats;
    struct link *link = link_to(node_links(node), member->id);
    if (link == NULL && !node_keeps_link(node, member->id))
        return;
    metric_series_set(metric_series(METRIC_LINK_UP, member->name), link != NULL);
    if (link == NULL)
        return;
    link_get_stats(link, &stats);
    metric_series_set(metric_series(METRIC_LINK_QUEUED, member->name), (double)stats.queued_bytes);
    if (stats.rtt_us > 0)
        metric_series_set(metric_series(METRIC_LINK_ROUND_TRIP, member->name), stats.rtt_us / 1e6);
}

static void metrics_collect_links(const struct metrics *metrics)
{
    struct link_set_stats stats;
    const Wire__Members *members = node_members(metrics->node);
    metric_clear(METRIC_LINK_UP);
    metric_clear(METRIC_LINK_QUEUED);
    metric_clear(METRIC_LINK_ROUND_TRIP);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        if (member->id != node_id(metrics->node) && !member->removed && !member->poll)
            metrics_collect_link(metrics->node, member);
    }
    link_set_get_stats(node_links(metrics->node), &stats);
    metric_set_counter(METRIC_LINKS_SILENT, stats.silent);
    metric_set_counter(METRIC_LINKS_REFUSED, stats.refused);
}

static void metrics_collect_elections(const struct metrics *metrics)
{
    struct node_election election;
    for (unsigned i = 0; node_election(metrics->node, i, &election); i++) {
        bool leads = election.leader != 0 && election.leader == node_id(metrics->node);
        metric_series_set(metric_series(METRIC_LEADING, election.group), leads);
        metric_series_set(metric_series(METRIC_LEADER_KNOWN, election.group), election.leader != 0);
        metric_series_set(metric_series(METRIC_TERM, election.group), (double)election.term);
    }
}

static void metrics_collect_replica(const struct metrics *metrics)
{
    const struct replica *replica = node_replica(metrics->node);
    struct state_stats stats;
    if (replica == NULL || replica->state == NULL)
        return;
    state_get_stats(replica->state, &stats);
    metric_set(METRIC_RAFT_COMMIT_INDEX, (double)stats.commit_index);
    metric_set(METRIC_RAFT_APPLIED_INDEX, (double)stats.applied_index);
    metric_set(METRIC_RAFT_LAST_INDEX, (double)stats.last_index);
    metric_set(METRIC_RAFT_SNAPSHOT_INDEX, (double)stats.snapshot_index);
    metric_set(METRIC_RAFT_LOG_BYTES, (double)stats.log_bytes);
    metric_series_set(metric_series(METRIC_QUEUE_LENGTH, "proposals"), stats.proposals);
}

static void metrics_collect_work(const struct metrics *metrics)
{
    struct node *node = metrics->node;
    const struct node_work *work = node_work(node);
    struct object_store_stats objects;
    uint32_t running = 0, queued = 0;
    const char *reason;
    if (work != NULL)
        work->count(work->arg, &running, &queued);
    metric_series_set(metric_series(METRIC_TASKS, "running"), running);
    metric_series_set(metric_series(METRIC_TASKS, "queued"), queued);
    metric_series_set(metric_series(METRIC_QUEUE_LENGTH, "spawner"),
                      (double)spawn_command_count(node_spawn(node)));
    if (node_lake(node)->objects != NULL) {
        object_store_get_stats(node_lake(node)->objects, &objects);
        metric_series_set(metric_series(METRIC_QUEUE_LENGTH, "object_store"), objects.under_way);
        metric_set_counter(METRIC_OBJECT_RETRIES, objects.retries);
    }
    metric_set(METRIC_IN_ROTATION, routing_table_in_rotation(node_routing(node), &reason));
}

static void metrics_collect(void *arg)
{
    const struct metrics *metrics = arg;
    metrics_collect_process(metrics);
    metrics_collect_links(metrics);
    metrics_collect_elections(metrics);
    metrics_collect_replica(metrics);
    metrics_collect_work(metrics);
}

static int metrics_start(struct node *node, void **self, struct error *e)
{
    struct metrics *metrics = mem_zalloc(sizeof *metrics);
    (void)e;
    metrics->node = node;
    TAILQ_INIT(&metrics->gathers);
    metrics_api_add_routes(metrics);
    metric_add_collector(metrics_collect, metrics);
    *self = metrics;
    return 0;
}

static void metrics_stop(void *self)
{
    struct metrics *metrics = self;
    metric_remove_collector(metrics_collect, metrics);
    metrics_api_stop(metrics);
    node_role_stopped(metrics->node);
}

static void metrics_free(void *self)
{
    metric_remove_collector(metrics_collect, self);
    free(self);
}

const struct role metrics_role = {
    .name = "metrics",
    .start = metrics_start,
    .stop = metrics_stop,
    .free = metrics_free,
};
