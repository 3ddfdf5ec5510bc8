/* The rows, and how a value gets through one: type, then range. */
#include "config_rows.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/lake_path.h"

#define CONFIG_AT(section, key) #section, #key
#define CONFIG_IN(section, key) offsetof(struct config, section.key)
#define CONFIG_DAY_MS           (24ULL * 3600 * 1000)
#define CONFIG_GIB              (1ULL << 30)

const struct config_row config_rows[] = {
    {CONFIG_AT(node, name), CONFIG_NAME, CONFIG_IN(node, name), "", 0, 0, NULL,
     "Name of this node in the cluster; the host name when empty."},
    {CONFIG_AT(node, data_dir), CONFIG_PATH, CONFIG_IN(node, data_dir), "/var/lib/clusterd", 0, 0,
     NULL, "Directory that this node alone owns: identity, state, logs, output of tasks."},
    {CONFIG_AT(node, roles), CONFIG_LIST, CONFIG_IN(node, roles),
     "metadata,worker,chat,participant", 0, 0, "metadata|worker|chat|participant",
     "What this node does: replicate the cluster's state, run tasks, keep the ordered log, serve "
     "what "
     "is rolled out."},
    {CONFIG_AT(node, labels), CONFIG_LIST, CONFIG_IN(node, labels), "", 0, 0, NULL,
     "Labels that selectors match: key or key=value."},

    {CONFIG_AT(cluster, bootstrap), CONFIG_BOOL, CONFIG_IN(cluster, bootstrap), "false", 0, 0, NULL,
     "Found a new cluster at the first start. On exactly one node."},
    {CONFIG_AT(cluster, join), CONFIG_ADDRESSES, CONFIG_IN(cluster, join), "", 0, 0, NULL,
     "Peer addresses (HOST:PORT) of members to join through; any one that answers will do."},
    {CONFIG_AT(cluster, join_token), CONFIG_SECRET, CONFIG_IN(cluster, join_token), "", 0, 0, NULL,
     "Secret that a joining node shows. The founding node makes one when empty."},

    {CONFIG_AT(peer, listen), CONFIG_ADDRESS, CONFIG_IN(peer, listen), "127.0.0.1:7400", 0, 0, NULL,
     "Where this node accepts links from other nodes. Port 0 takes a free one."},
    {CONFIG_AT(peer, advertise), CONFIG_ADDRESS, CONFIG_IN(peer, advertise), "", 0, 0, NULL,
     "Address that other nodes reach this one at; peer.listen when empty."},
    {CONFIG_AT(peer, tls_ca), CONFIG_PATH, CONFIG_IN(peer, tls_ca), "", 0, 0, NULL,
     "PEM file of the certificate authority whose certificates links must show."},
    {CONFIG_AT(peer, tls_cert), CONFIG_PATH, CONFIG_IN(peer, tls_cert), "", 0, 0, NULL,
     "PEM file of this node's certificate."},
    {CONFIG_AT(peer, tls_key), CONFIG_PATH, CONFIG_IN(peer, tls_key), "", 0, 0, NULL,
     "PEM file of the certificate's private key."},
    {CONFIG_AT(peer, allow_plain), CONFIG_BOOL, CONFIG_IN(peer, allow_plain), "false", 0, 0, NULL,
     "Allow links without TLS on addresses off loopback. Anyone on that network can then join in."},
    {CONFIG_AT(peer, mesh_max), CONFIG_NUMBER, CONFIG_IN(peer, mesh_max), "64", 1, 4096, NULL,
     "Members up to which every node keeps a link to every other; beyond, to the metadata nodes, "
     "and to others while it "
     "has something to ask. The same on every node."},

    {CONFIG_AT(api, listen), CONFIG_ADDRESS, CONFIG_IN(api, listen), "127.0.0.1:7401", 0, 0, NULL,
     "Where the HTTP API listens; \"none\" for the Unix socket alone."},
    {CONFIG_AT(api, socket), CONFIG_PATH, CONFIG_IN(api, socket), "", 0, 0, NULL,
     "Unix socket of the API; DATA_DIR/clusterd.sock when empty."},
    {CONFIG_AT(api, socket_mode), CONFIG_OCTAL, CONFIG_IN(api, socket_mode), "0600", 0, 0777, NULL,
     "File mode of the Unix socket: who can open it may do everything."},
    {CONFIG_AT(api, hosts), CONFIG_LIST, CONFIG_IN(api, hosts), "", 0, 0, NULL,
     "Further host names that requests may name in Host."},
    {CONFIG_AT(api, token_file), CONFIG_PATH, CONFIG_IN(api, token_file), "", 0, 0, NULL,
     "File with the token of the API, made when missing; DATA_DIR/api.token when empty. With the "
     "same token on every node a console that lost one goes on with another."},
    {CONFIG_AT(api, tls_cert), CONFIG_PATH, CONFIG_IN(api, tls_cert), "", 0, 0, NULL,
     "PEM file of the API's certificate; turns HTTPS on."},
    {CONFIG_AT(api, tls_key), CONFIG_PATH, CONFIG_IN(api, tls_key), "", 0, 0, NULL,
     "PEM file of the API certificate's private key."},
    {CONFIG_AT(api, upload_bytes_max), CONFIG_BYTES, CONFIG_IN(api, upload_bytes_max), "16G", 1,
     1024 * CONFIG_GIB, NULL, "Largest file that can be uploaded."},
    {CONFIG_AT(api, orphan_after), CONFIG_DURATION, CONFIG_IN(api, orphan_after), "1h", 1000,
     3650 * CONFIG_DAY_MS, NULL,
     "Age at which a stored file is removed that belongs to no upload that was acknowledged."},

    {CONFIG_AT(data, listen), CONFIG_ADDRESS, CONFIG_IN(data, listen), "127.0.0.1:7402", 0, 0, NULL,
     "Where a node with the role participant serves /predict; \"none\" for nowhere."},
    {CONFIG_AT(data, sticky_header), CONFIG_TEXT, CONFIG_IN(data, sticky_header), "X-Sticky-Key", 0,
     0, NULL, "Requests with the same value of this header meet the same model."},
    {CONFIG_AT(data, connections_max), CONFIG_NUMBER, CONFIG_IN(data, connections_max), "1024", 1,
     100000, NULL, "Clients of the data plane at once; further ones wait."},
    {CONFIG_AT(data, body_bytes_max), CONFIG_BYTES, CONFIG_IN(data, body_bytes_max), "64M", 0,
     1024 * CONFIG_GIB, NULL, "Largest body of a request that is forwarded."},
    {CONFIG_AT(data, connect_timeout), CONFIG_DURATION, CONFIG_IN(data, connect_timeout), "2s", 10,
     600000, NULL, "How long a request waits for a connection to its model; then 504."},
    {CONFIG_AT(data, answer_timeout), CONFIG_DURATION, CONFIG_IN(data, answer_timeout), "30s", 10,
     3600000, NULL, "How long a model may send nothing; then 504."},

    {CONFIG_AT(raft, election_timeout), CONFIG_DURATION, CONFIG_IN(raft, election_timeout), "400ms",
     50, 60000, NULL, "Silence of the leader after which an election begins (up to twice this)."},
    {CONFIG_AT(raft, heartbeat_interval), CONFIG_DURATION, CONFIG_IN(raft, heartbeat_interval),
     "80ms", 10, 10000, NULL, "How often the leader shows that it is there."},
    {CONFIG_AT(raft, voters_max), CONFIG_NUMBER, CONFIG_IN(raft, voters_max), "5", 1, 7, NULL,
     "How many metadata nodes become voters by themselves; further ones stand by."},
    {CONFIG_AT(raft, snapshot_bytes), CONFIG_BYTES, CONFIG_IN(raft, snapshot_bytes), "16M", 65536,
     CONFIG_GIB, NULL, "Bytes of log after which the state is made durable and the log cut."},
    {CONFIG_AT(raft, log_bytes_kept), CONFIG_BYTES, CONFIG_IN(raft, log_bytes_kept), "4M", 0,
     CONFIG_GIB, NULL, "Bytes of log kept behind a snapshot for replicas that lag a little."},

    {CONFIG_AT(worker, slots), CONFIG_NUMBER, CONFIG_IN(worker, slots), "0", 0, 4096, NULL,
     "Elements that run at once, each taking one processor; 0: one per processor."},
    {CONFIG_AT(worker, memory), CONFIG_BYTES, CONFIG_IN(worker, memory), "0", 0, 1ULL << 50, NULL,
     "Memory that tasks may reserve; 0: nine tenths of the machine's."},
    {CONFIG_AT(worker, heartbeat_interval), CONFIG_DURATION, CONFIG_IN(worker, heartbeat_interval),
     "1s", 50, 60000, NULL, "How often a worker reports its vitals."},
    {CONFIG_AT(worker, kill_grace), CONFIG_DURATION, CONFIG_IN(worker, kill_grace), "5s", 0,
     3600000, NULL, "Time between SIGTERM and SIGKILL for a task that must end."},
    {CONFIG_AT(worker, output_bytes_max), CONFIG_BYTES, CONFIG_IN(worker, output_bytes_max), "10G",
     4096, 1ULL << 50, NULL, "Most output of one stream of a task; more ends the task."},
    {CONFIG_AT(worker, output_keep), CONFIG_DURATION, CONFIG_IN(worker, output_keep), "7d", 0,
     3650 * CONFIG_DAY_MS, NULL, "How long the output of ended tasks is kept."},
    {CONFIG_AT(worker, output_keep_bytes), CONFIG_BYTES, CONFIG_IN(worker, output_keep_bytes),
     "20G", 0, 1ULL << 50, NULL, "Most output of ended tasks that is kept; the oldest goes first."},
    {CONFIG_AT(worker, file_cache), CONFIG_BYTES, CONFIG_IN(worker, file_cache), "2G", 0,
     1ULL << 50, NULL,
     "Most bytes of uploaded files that this node keeps for further tasks; the longest unused goes "
     "first. 0: none."},
    {CONFIG_AT(worker, url_cache), CONFIG_BYTES, CONFIG_IN(worker, url_cache), "2G", 0, 1ULL << 50,
     NULL,
     "Most bytes of files by URL that this node keeps for further tasks, where HTTP allows it; the "
     "longest unused goes first. 0: none."},
    {CONFIG_AT(worker, disk_free_min), CONFIG_BYTES, CONFIG_IN(worker, disk_free_min), "0", 0,
     1ULL << 50, NULL,
     "Room on the disk of node.data_dir below which this node is given no tasks; 0: 64M, or a "
     "fiftieth of a "
     "small disk."},

    {CONFIG_AT(jobs, suspect_after), CONFIG_DURATION, CONFIG_IN(jobs, suspect_after), "3s", 100,
     600000, NULL, "Silence after which a worker is suspect and gets no new work."},
    {CONFIG_AT(jobs, offline_after), CONFIG_DURATION, CONFIG_IN(jobs, offline_after), "5s", 200,
     3600000, NULL, "Silence after which a worker is offline and its work goes to others."},
    {CONFIG_AT(jobs, history_keep), CONFIG_DURATION, CONFIG_IN(jobs, history_keep), "30d", 60000,
     3650 * CONFIG_DAY_MS, NULL, "How long ended jobs are remembered."},
    {CONFIG_AT(jobs, history_jobs_max), CONFIG_NUMBER, CONFIG_IN(jobs, history_jobs_max), "100000",
     10, 10000000, NULL, "Most ended jobs that are remembered; the oldest are forgotten first."},
    {CONFIG_AT(jobs, pending_jobs_max), CONFIG_NUMBER, CONFIG_IN(jobs, pending_jobs_max), "200000",
     1, 10000000, NULL, "Most jobs that may wait or run at once; further ones are refused."},

    {CONFIG_AT(sql, store), CONFIG_TEXT, CONFIG_IN(sql, store), "", 0, 4096, NULL,
     "Where tables live, for all nodes the same: file:/absolute/folder that every node mounts, or "
     "s3://bucket/prefix. Empty: the folder lake in node.data_dir, for a single node."},
    {CONFIG_AT(sql, slots), CONFIG_NUMBER, CONFIG_IN(sql, slots), "2", 1, 64, NULL,
     "SQL tasks that run at once on this node, each in a process of its own."},
    {CONFIG_AT(sql, threads), CONFIG_NUMBER, CONFIG_IN(sql, threads), "0", 0, 1024, NULL,
     "Threads of each SQL task; 0: one per processor."},
    {CONFIG_AT(sql, memory), CONFIG_BYTES, CONFIG_IN(sql, memory), "0", 0, 1ULL << 50, NULL,
     "Memory of all SQL tasks together, which spill to disk beyond it; 0: half of the machine's."},
    {CONFIG_AT(sql, temp_bytes), CONFIG_BYTES, CONFIG_IN(sql, temp_bytes), "100G", 1 << 20,
     1ULL << 50, NULL, "Disk space in DATA_DIR that spilling SQL tasks may take together."},
    {CONFIG_AT(sql, cache_bytes), CONFIG_BYTES, CONFIG_IN(sql, cache_bytes), "10G", 64 << 20,
     1ULL << 50, NULL,
     "Disk space in DATA_DIR for parts of files in buckets, which are kept for later statements; a "
     "single task reads at most so much of them."},
    {CONFIG_AT(sql, time_limit), CONFIG_DURATION, CONFIG_IN(sql, time_limit), "1h", 0,
     365 * CONFIG_DAY_MS, NULL, "Time after which an SQL task is ended; 0: never."},
    {CONFIG_AT(sql, paths), CONFIG_LIST, CONFIG_IN(sql, paths), "", 0, 0, NULL,
     "Directories and places in buckets (s3://bucket/prefix), besides the store, that COPY and "
     "tables with a LOCATION may use."},
    {CONFIG_AT(sql, s3_endpoint), CONFIG_TEXT, CONFIG_IN(sql, s3_endpoint), "", 0, 4096, NULL,
     "URL of an S3-compatible store; empty: AWS_ENDPOINT_URL, then Amazon's of the region."},
    {CONFIG_AT(sql, s3_region), CONFIG_TEXT, CONFIG_IN(sql, s3_region), "", 0, 100, NULL,
     "Region that buckets are in; empty: AWS_REGION, then us-east-1."},
    {CONFIG_AT(sql, s3_credentials), CONFIG_PATH, CONFIG_IN(sql, s3_credentials), "", 0, 0, NULL,
     "File with [default], aws_access_key_id and aws_secret_access_key; read again when it "
     "changes."},
    {CONFIG_AT(sql, s3_access_key), CONFIG_TEXT, CONFIG_IN(sql, s3_access_key), "", 0, 200, NULL,
     "Access key; empty: of sql.s3_credentials, then AWS_ACCESS_KEY_ID."},
    {CONFIG_AT(sql, s3_secret_key), CONFIG_SECRET, CONFIG_IN(sql, s3_secret_key), "", 0, 200, NULL,
     "Secret key that goes with sql.s3_access_key."},
    {CONFIG_AT(sql, split_bytes), CONFIG_BYTES, CONFIG_IN(sql, split_bytes), "8M", 1, 1ULL << 40,
     NULL,
     "Bytes of a table's files that are worth a task of their own: smaller tables stay on one "
     "node."},
    {CONFIG_AT(sql, broadcast_bytes), CONFIG_BYTES, CONFIG_IN(sql, broadcast_bytes), "256M", 1,
     1ULL << 50, NULL,
     "Up to this size, of the columns that are needed, a side of a join is read whole by every "
     "task; of larger ones each task gets what the other side's rows can meet."},

    {CONFIG_AT(chat, node_id), CONFIG_NUMBER, CONFIG_IN(chat, node_id), "0", 0, 0x7fffffff, NULL,
     "Election priority: the node with the highest one that can lead the chat does. 0: the node's "
     "number in its cluster, and below all that set one. Not to be changed later."},
    {CONFIG_AT(chat, host), CONFIG_TEXT, CONFIG_IN(chat, host), "", 0, 0, NULL,
     "Another way to set the host of peer.listen and peer.advertise."},
    {CONFIG_AT(chat, port), CONFIG_NUMBER, CONFIG_IN(chat, port), "0", 0, 65535, NULL,
     "Another way to set the port of peer.listen and peer.advertise, with chat.host."},
    {CONFIG_AT(chat, seed_nodes), CONFIG_ADDRESSES, CONFIG_IN(chat, seed_nodes), "", 0, 0, NULL,
     "Further addresses for cluster.join; this node's own may be among them. The founder needs "
     "none."},
    {CONFIG_AT(chat, heartbeat_interval_ms), CONFIG_NUMBER, CONFIG_IN(chat, heartbeat_interval_ms),
     "800", 10, 60000, NULL, "How often the leader of the chat shows that it is there."},
    {CONFIG_AT(chat, leader_timeout_ms), CONFIG_NUMBER, CONFIG_IN(chat, leader_timeout_ms), "0", 0,
     600000, NULL, "Silence of the leader after which another is elected; 0: three heartbeats."},
    {CONFIG_AT(chat, log_dir), CONFIG_PATH, CONFIG_IN(chat, log_dir), "", 0, 0, NULL,
     "Directory of the chat's log, which this node alone owns; DATA_DIR/chat when empty."},
    {CONFIG_AT(chat, message_bytes_max), CONFIG_BYTES, CONFIG_IN(chat, message_bytes_max), "64K", 1,
     1 << 20, NULL, "Largest message. The same on every node."},
    {CONFIG_AT(chat, rate_max), CONFIG_NUMBER, CONFIG_IN(chat, rate_max), "0", 0, 100000000, NULL,
     "Messages that one user may send through this node in a second; 0: any number."},
    {CONFIG_AT(chat, keep), CONFIG_DURATION, CONFIG_IN(chat, keep), "0s", 0, 3650 * CONFIG_DAY_MS,
     NULL, "How long messages are kept; 0: until chat.keep_bytes is reached."},
    {CONFIG_AT(chat, keep_bytes), CONFIG_BYTES, CONFIG_IN(chat, keep_bytes), "16G", 0, 1ULL << 50,
     NULL,
     "Most bytes of messages that are kept, 0: any; the oldest files go first. That a message was "
     "there is remembered for ever."},

    {CONFIG_AT(events, enabled), CONFIG_BOOL, CONFIG_IN(events, enabled), "true", 0, 0, NULL,
     "Tell and keep what happens: /api/events, clustertop and its history, reports."},
    {CONFIG_AT(events, log_level), CONFIG_CHOICE, CONFIG_IN(events, log_level), "info", 0, 0,
     "debug|info|warn|error|none", "Least level of log records that are events too."},
    {CONFIG_AT(events, keep), CONFIG_DURATION, CONFIG_IN(events, keep), "24h", 60000,
     365 * CONFIG_DAY_MS, NULL, "How long events are kept."},
    {CONFIG_AT(events, bytes_max), CONFIG_BYTES, CONFIG_IN(events, bytes_max), "256M", 1 << 20,
     1024 * CONFIG_GIB, NULL,
     "Most bytes of events and vitals on this node's disk; the oldest go."},
    {CONFIG_AT(events, memory_bytes), CONFIG_BYTES, CONFIG_IN(events, memory_bytes), "4M", 64 << 10,
     CONFIG_GIB, NULL,
     "Most bytes of what this node told in memory; what goes from there unsent and is not on the "
     "disk either is lost, and counted."},

    {CONFIG_AT(trace, endpoint), CONFIG_TEXT, CONFIG_IN(trace, endpoint), "", 0, 0, NULL,
     "URL of an OpenTelemetry collector that takes OTLP over HTTP, as http://HOST:4318; empty: "
     "nothing is traced."},
    {CONFIG_AT(trace, sample), CONFIG_RATIO, CONFIG_IN(trace, sample), "0.1", 0, CONFIG_RATIO_ONE,
     NULL,
     "Share of new traces that is recorded, from 0 to 1. What comes with a sampled traceparent is "
     "always."},
    {CONFIG_AT(trace, token), CONFIG_SECRET, CONFIG_IN(trace, token), "", 0, 0, NULL,
     "Bearer token for the collector."},
    {CONFIG_AT(trace, headers), CONFIG_SECRET, CONFIG_IN(trace, headers), "", 0, 0, NULL,
     "Further headers for the collector: NAME=VALUE,NAME=VALUE."},

    {CONFIG_AT(log, level), CONFIG_CHOICE, CONFIG_IN(log, level), "info", 0, 0,
     "debug|info|warn|error", "Least level that is written."},
    {CONFIG_AT(log, format), CONFIG_CHOICE, CONFIG_IN(log, format), "auto", 0, 0, "auto|text|json",
     "auto: coloured text on a terminal, JSON lines elsewhere."},
    {CONFIG_AT(log, path), CONFIG_PATH, CONFIG_IN(log, path), "", 0, 0, NULL,
     "File for log records; standard error when empty."},
    {CONFIG_AT(log, bytes_max), CONFIG_BYTES, CONFIG_IN(log, bytes_max), "64M", 4096,
     1024 * CONFIG_GIB, NULL, "Size at which the log file is rotated."},
    {CONFIG_AT(log, files_max), CONFIG_NUMBER, CONFIG_IN(log, files_max), "4", 0, 1000, NULL,
     "Rotated log files that are kept."},
};

const unsigned config_rows_n = MEM_COUNT(config_rows);
_Static_assert(MEM_COUNT(config_rows) <= CONFIG_ROWS_MAX, "raise CONFIG_ROWS_MAX");

void *config_field(const struct config *config, const struct config_row *row)
{
    return (char *)(uintptr_t)config + row->offset;
}

bool config_is_text(enum config_type type)
{
    return type <= CONFIG_CHOICE;
}

bool config_is_list(enum config_type type)
{
    return type == CONFIG_LIST || type == CONFIG_ADDRESSES;
}

/* Whether `value` is one of "a|b|c". */
static bool config_has_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *at = choices; at != NULL && len > 0; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    }
    return false;
}

static int config_check_address(const char *value)
{
    const char *colon = strrchr(value, ':');
    uint64_t port;
    if (*value == '\0' || strcmp(value, "none") == 0)
        return 0;
    if (colon == NULL || colon == value || str_parse_u64(colon + 1, 0, 65535, &port) < 0)
        return ERR_INVALID;
    bool bracketed = value[0] == '[' && colon[-1] == ']';
    return !bracketed && memchr(value, ':', (size_t)(colon - value)) != NULL ? ERR_INVALID : 0;
}

static int config_set_text(char **field, const struct config_row *row, const char *value,
                           struct error *e)
{
    if (row->type == CONFIG_CHOICE && !config_has_choice(row->choices, value))
        return error_set(e, ERR_INVALID, "%s.%s is \"%s\", must be one of %s", row->section,
                         row->key, value, row->choices);
    if (row->type == CONFIG_NAME && *value != '\0' && !str_is_name(value, 63))
        return error_set(e, ERR_INVALID,
                         "%s.%s is \"%s\", must be letters, digits, '-', '_', '.', at most 63",
                         row->section, row->key, value);
    if (row->type == CONFIG_ADDRESS && config_check_address(value) < 0)
        return error_set(e, ERR_INVALID, "%s.%s is \"%s\", must be HOST:PORT (or [IPV6]:PORT)",
                         row->section, row->key, value);
    free(*field);
    *field = mem_strdup(value);
    return 0;
}

void config_list_clear(struct config_list *list)
{
    for (unsigned i = 0; i < list->n; i++)
        free(list->items[i]);
    list->n = 0;
}

int config_list_add(struct config_list *list, const struct config_row *row, const char *value,
                    struct error *e)
{
    if (row->choices != NULL && !config_has_choice(row->choices, value))
        return error_set(e, ERR_INVALID, "%s.%s holds \"%s\", must be of %s", row->section,
                         row->key, value, row->choices);
    bool is_none = *value == '\0' || strcmp(value, "none") == 0;
    if (row->type == CONFIG_ADDRESSES && (is_none || config_check_address(value) < 0))
        return error_set(e, ERR_INVALID, "%s.%s holds \"%s\", must be HOST:PORT (or [IPV6]:PORT)",
                         row->section, row->key, value);
    if (list->n == CONFIG_LIST_MAX)
        return error_set(e, ERR_TOO_LARGE, "%s.%s has more than %d items", row->section, row->key,
                         CONFIG_LIST_MAX);
    list->items[list->n++] = mem_strdup(value);
    return 0;
}

/* "a, b,c" */
static int config_set_list(struct config_list *list, const struct config_row *row,
                           const char *value, struct error *e)
{
    config_list_clear(list);
    char *copy = mem_strdup(value);
    int err = 0;
    char *save = NULL;
    for (char *item = strtok_r(copy, ", ", &save); item != NULL && err == 0;
         item = strtok_r(NULL, ", ", &save))
        err = config_list_add(list, row, item, e);
    free(copy);
    return err;
}

static int config_parse_bool(const char *value, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (unsigned i = 0; i < MEM_COUNT(words); i++)
        if (strcasecmp(value, words[i]) == 0) {
            *out = i % 2 == 1;
            return 0;
        }
    return ERR_INVALID;
}

/* "0.25" as millionths. */
static int config_parse_ratio(const char *value, uint64_t *out)
{
    if (*value == '\0' || strspn(value, "0123456789.") != strlen(value))
        return ERR_INVALID;
    char *end = NULL;
    double ratio = strtod(value, &end);
    if (*end != '\0' || !(ratio >= 0 && ratio <= 1000))
        return ERR_INVALID;
    *out = (uint64_t)(ratio * CONFIG_RATIO_ONE + 0.5);
    return 0;
}

static int config_parse_number(const struct config_row *row, const char *value, uint64_t *out)
{
    int64_t ms;
    char *end = NULL;
    switch (row->type) {
    case CONFIG_NUMBER:
        return str_parse_u64(value, 0, UINT64_MAX, out);
    case CONFIG_OCTAL:
        errno = 0;
        *out = strtoull(value, &end, 8);
        return errno != 0 || end == value || *end != '\0' ? ERR_INVALID : 0;
    case CONFIG_BYTES:
        return str_parse_bytes(value, out);
    case CONFIG_RATIO:
        return config_parse_ratio(value, out);
    default:
        if (str_parse_duration_ms(value, &ms) < 0 || ms < 0)
            return ERR_INVALID;
        *out = (uint64_t)ms;
        return 0;
    }
}

/* The row's form of a number, for messages and printing. */
char *config_number_text(const struct config_row *row, uint64_t value)
{
    static const char units[] = "KMGTP";
    if (row->type == CONFIG_OCTAL)
        return mem_printf("0%llo", (unsigned long long)value);
    if (row->type == CONFIG_RATIO)
        return mem_printf("%g", (double)value / CONFIG_RATIO_ONE);
    if (row->type == CONFIG_DURATION) {
        if (value % 1000 != 0)
            return mem_printf("%llums", (unsigned long long)value);
        uint64_t s = value / 1000;
        return s > 0 && s % 86400 == 0  ? mem_printf("%llud", (unsigned long long)s / 86400)
               : s > 0 && s % 3600 == 0 ? mem_printf("%lluh", (unsigned long long)s / 3600)
               : s > 0 && s % 60 == 0   ? mem_printf("%llum", (unsigned long long)s / 60)
                                        : mem_printf("%llus", (unsigned long long)s);
    }
    int unit = -1;
    while (row->type == CONFIG_BYTES && value > 0 && value % 1024 == 0 && unit < 4) {
        value /= 1024;
        unit++;
    }
    return unit < 0 ? mem_printf("%llu", (unsigned long long)value)
                    : mem_printf("%llu%c", (unsigned long long)value, units[unit]);
}

static int config_set_number(uint64_t *field, const struct config_row *row, const char *value,
                             struct error *e)
{
    static const char *const forms[] = {
        [CONFIG_NUMBER] = "a whole number",
        [CONFIG_OCTAL] = "an octal file mode as 0600",
        [CONFIG_DURATION] = "a duration as 250ms, 10s, 1h30m",
        [CONFIG_BYTES] = "a size as 4096, 64K, 10M, 2G",
        [CONFIG_RATIO] = "a share as 0, 0.25, 1",
    };
    uint64_t number;
    if (config_parse_number(row, value, &number) < 0)
        return error_set(e, ERR_INVALID, "%s.%s is \"%s\", must be %s", row->section, row->key,
                         value, forms[row->type]);
    if (number < row->min || number > row->max) {
        char *min = config_number_text(row, row->min);
        char *max = config_number_text(row, row->max);
        (void)error_set(e, ERR_INVALID, "%s.%s is %s, must be from %s to %s", row->section,
                        row->key, value, min, max);
        free(min);
        free(max);
        return ERR_INVALID;
    }
    *field = number;
    return 0;
}

int config_set_row(struct config *config, const struct config_row *row, const char *value,
                   struct error *e)
{
    void *field = config_field(config, row);
    if (config_is_text(row->type))
        return config_set_text(field, row, value, e);
    if (config_is_list(row->type))
        return config_set_list(field, row, value, e);
    if (row->type == CONFIG_BOOL)
        return config_parse_bool(value, field) < 0
                   ? error_set(e, ERR_INVALID, "%s.%s is \"%s\", must be true or false",
                               row->section, row->key, value)
                   : 0;
    return config_set_number(field, row, value, e);
}

void config_init(struct config *config)
{
    *config = (struct config){0};
    for (unsigned i = 0; i < MEM_COUNT(config_rows); i++) {
        struct error e;
        if (config_set_row(config, &config_rows[i], config_rows[i].fallback, &e) < 0)
            assert(!"a default is out of its own range");
    }
}

void config_done(struct config *config)
{
    for (unsigned i = 0; i < MEM_COUNT(config_rows); i++) {
        void *field = config_field(config, &config_rows[i]);
        if (config_is_text(config_rows[i].type))
            free(*(char **)field);
        else if (config_is_list(config_rows[i].type))
            config_list_clear(field);
    }
    *config = (struct config){0};
}

/* The key nearest to a misspelt one, or NULL. */
static const char *config_nearest(const char *section, const char *key)
{
    const char *best = NULL;
    unsigned best_distance = 4;
    for (unsigned i = 0; i < MEM_COUNT(config_rows); i++) {
        const char *candidate = key == NULL ? config_rows[i].section : config_rows[i].key;
        if (key != NULL && strcmp(section, config_rows[i].section) != 0)
            continue;
        unsigned distance = str_distance(key == NULL ? section : key, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

bool config_has_section(const char *section)
{
    for (unsigned i = 0; i < MEM_COUNT(config_rows); i++)
        if (strcmp(section, config_rows[i].section) == 0)
            return true;
    return false;
}

int config_unknown(const char *section, const char *key, struct error *e)
{
    bool section_known = config_has_section(section);
    const char *near = config_nearest(section, section_known ? key : NULL);
    char *what = section_known ? mem_printf("%s.%s", section, key) : mem_strdup(section);
    (void)error_set(e, ERR_INVALID, "unknown %s \"%s\"%s%s%s", section_known ? "key" : "section",
                    what, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(what);
    return ERR_INVALID;
}

const struct config_row *config_find(const char *section, const char *key)
{
    for (unsigned i = 0; i < MEM_COUNT(config_rows); i++)
        if (strcmp(section, config_rows[i].section) == 0 && strcmp(key, config_rows[i].key) == 0)
            return &config_rows[i];
    return NULL;
}

int config_set(struct config *config, const char *key, const char *value, struct error *e)
{
    const char *dot = strchr(key, '.');
    if (dot == NULL)
        return error_set(e, ERR_INVALID, "\"%s\" must be written SECTION.KEY", key);
    char *section = mem_strndup(key, (size_t)(dot - key));
    const struct config_row *row = config_find(section, dot + 1);
    int err =
        row != NULL ? config_set_row(config, row, value, e) : config_unknown(section, dot + 1, e);
    free(section);
    return err;
}

static bool config_is_loopback(const char *address)
{
    return address[0] == '\0' || strcmp(address, "none") == 0 || str_starts_with(address, "127.") ||
           str_starts_with(address, "localhost:") || str_starts_with(address, "[::1]:");
}

static void config_replace(char **field, const char *value)
{
    free(*field);
    *field = mem_strdup(value);
}

int config_settle(struct config *config, struct error *e)
{
    const char *host = config->chat.host;
    if ((config->chat.port > 0) != (host[0] != '\0'))
        return error_set(e, ERR_INVALID, "chat.host and chat.port go together");
    if (config->chat.leader_timeout_ms == 0)
        config->chat.leader_timeout_ms = 3 * config->chat.heartbeat_interval_ms;
    char *own = NULL;
    if (host[0] != '\0') {
        own = mem_printf(strchr(host, ':') != NULL ? "[%s]:%llu" : "%s:%llu", host,
                         (unsigned long long)config->chat.port);
        config_replace(&config->peer.listen, own);
        if (config->peer.advertise[0] == '\0' && !str_starts_with(own, "0.0.0.0:"))
            config_replace(&config->peer.advertise, own);
    }
    const struct config_row *row = config_find("cluster", "join");
    int err = 0;
    unsigned seeds = config->cluster.bootstrap ? 0 : config->chat.seed_nodes.n;
    for (unsigned i = 0; i < seeds && err == 0; i++) {
        const char *seed = config->chat.seed_nodes.items[i];
        bool known =
            (own != NULL && strcmp(seed, own) == 0) || strcmp(seed, config->peer.advertise) == 0;
        for (unsigned k = 0; k < config->cluster.join.n; k++)
            known = known || strcmp(seed, config->cluster.join.items[k]) == 0;
        if (!known)
            err = config_list_add(&config->cluster.join, row, seed, e);
    }
    free(own);
    return err;
}

static int config_check_sql(const struct config *config, struct error *e)
{
    struct lake_url url;
    struct error why = {0};
    if (config->sql.store[0] != '\0') {
        if (lake_url_parse(config->sql.store, &url, &why) < 0)
            return error_set(e, ERR_INVALID, "sql.store: %s", why.text);
        lake_url_done(&url);
    }
    for (unsigned i = 0; i < config->sql.paths.n; i++)
        if (config->sql.paths.items[i][0] != '/' &&
            strncmp(config->sql.paths.items[i], "s3://", 5) != 0)
            return error_set(e, ERR_INVALID,
                             "sql.paths holds %s: must begin with '/', or be s3://bucket/prefix",
                             config->sql.paths.items[i]);
    return 0;
}

int config_check(const struct config *config, struct error *e)
{
    bool peer_tls = config->peer.tls_cert[0] != '\0';
    if (peer_tls && (config->peer.tls_key[0] == '\0' || config->peer.tls_ca[0] == '\0'))
        return error_set(e, ERR_INVALID, "peer.tls_cert needs peer.tls_key and peer.tls_ca");
    if (!peer_tls && !config->peer.allow_plain &&
        (!config_is_loopback(config->peer.listen) || !config_is_loopback(config->peer.advertise)))
        return error_set(e, ERR_INVALID,
                         "peer.listen is off loopback: set peer.tls_ca, tls_cert, tls_key, or "
                         "peer.allow_plain: true to go without");
    bool api_tls = config->api.tls_cert[0] != '\0';
    if (api_tls != (config->api.tls_key[0] != '\0'))
        return error_set(e, ERR_INVALID, "api.tls_cert and api.tls_key go together");
    if (!api_tls && !config_is_loopback(config->api.listen))
        return error_set(e, ERR_INVALID,
                         "api.listen is off loopback: set api.tls_cert and api.tls_key");
    uint64_t leader_timeout_ms = config->chat.leader_timeout_ms;
    if (leader_timeout_ms > 0 && config->chat.heartbeat_interval_ms * 2 > leader_timeout_ms)
        return error_set(
            e, ERR_INVALID,
            "chat.leader_timeout_ms must be at least twice chat.heartbeat_interval_ms");
    if (config->raft.heartbeat_interval * 3 > config->raft.election_timeout)
        return error_set(e, ERR_INVALID,
                         "raft.election_timeout must be at least 3 times raft.heartbeat_interval");
    if (config->jobs.suspect_after >= config->jobs.offline_after)
        return error_set(e, ERR_INVALID, "jobs.offline_after must be longer than suspect_after");
    if (config->worker.heartbeat_interval * 2 > config->jobs.suspect_after)
        return error_set(e, ERR_INVALID,
                         "jobs.suspect_after must be at least 2 times worker.heartbeat_interval");
    const char *endpoint = config->trace.endpoint;
    if (endpoint[0] != '\0' && !str_starts_with(endpoint, "http://") &&
        !str_starts_with(endpoint, "https://"))
        return error_set(e, ERR_INVALID,
                         "trace.endpoint is \"%s\", must begin with http:// or https://", endpoint);
    if (config->node.roles.n == 0)
        return error_set(e, ERR_INVALID, "node.roles is empty");
    if (config->cluster.bootstrap && config->cluster.join.n > 0)
        return error_set(e, ERR_INVALID, "cluster.bootstrap and cluster.join exclude each other");
    return config_check_sql(config, e);
}
