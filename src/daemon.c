/* Happy path: data directory, spawner, links, API, roles; ready when a leader is known; SIGTERM
 * stops roles in order, then links and API, and the loop runs out. What fails before that is one
 * message and exit status 1; later a role calls node_fatal() with the same effect. */
#include "daemon.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/uuid.h"
#include "config_rows.h"
#include "role/api_server.h"
#include "role/chat.h"
#include "role/coordinator.h"
#include "role/data_plane.h"
#include "role/events.h"
#include "role/files_index.h"
#include "role/gateway.h"
#include "role/heartbeat.h"
#include "role/join.h"
#include "role/join_relay.h"
#include "role/metadata.h"
#include "role/metrics.h"
#include "role/node.h"
#include "role/participant.h"
#include "role/raft_api.h"
#include "role/query.h"
#include "role/sql_worker.h"
#include "role/state.h"
#include "role/status_api.h"
#include "role/tables.h"
#include "role/traces.h"
#include "role/worker.h"
#include "run/api_auth.h"
#include "run/data_dir.h"
#include "run/http_client.h"
#include "run/http_server.h"
#include "run/sched_hint.h"
#include "run/sd_notify.h"
#include "run/spawn.h"
#include "run/vitals.h"

enum { DAEMON_READY_CHECK_MS = 2, DAEMON_STOP_MAX_MS = 60000 };

struct daemon {
    const struct config *config;
    const struct daemon_options *options;
    struct data_dir *data;
    struct loop *loop;
    struct spawn *spawn;
    struct link_set *links;
    struct http_client *http;
    struct http_router *router;
    struct http_server *server;
    struct node *node;
    struct node_options node_options;
    struct node_setting *settings;
    struct loop_timer ready_timer;
    struct loop_timer watchdog_timer;
    struct loop_timer stop_timer;
    char name[DATA_DIR_NAME_MAX];
    char *socket_path;
    char *upload_dir;
    char *api_address;
    char join_token[API_AUTH_TOKEN_MAX + 1];
    char api_token[API_AUTH_TOKEN_MAX + 1];
    bool ready;
    bool stopping;
    unsigned closing; /* modules that have not closed yet */
    int status;
};

static const struct log_about daemon_log = {.role = "daemon"};

/* ---- the end --------------------------------------------------------------------------------- */

static void daemon_on_closed(void *arg)
{
    struct daemon *d = arg;
    if (--d->closing > 0)
        return;
    loop_timer_stop(&d->stop_timer);
    loop_stop(d->loop);
}

static void daemon_on_collect(void *arg)
{
    const struct daemon *d = arg;
    struct http_server_stats stats;
    http_server_stats(d->server, &stats);
    metric_set(METRIC_HTTP_CONNECTIONS, stats.connections);
    metric_set_counter(METRIC_HTTP_REFUSED, stats.refused);
}

/* Roles have stopped: what they stood on goes. */
static void daemon_on_roles_stopped(void *arg)
{
    struct daemon *d = arg;
    metric_remove_collector(daemon_on_collect, d);
    d->closing = 4;
    link_set_close(d->links, daemon_on_closed, d);
    http_client_close(d->http, daemon_on_closed, d);
    spawn_close(d->spawn, daemon_on_closed, d);
    http_server_close(d->server, daemon_on_closed, d);
}

static void daemon_on_stop_timeout(void *arg)
{
    (void)arg;
    log_error(&daemon_log, "stopping takes too long: giving up");
    _exit(1);
}

static void daemon_stop(struct daemon *d, int status)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->status = status;
    event_emit(d->node, EVENT_DAEMON_STOP, EVENT_ABOUT(.node = d->name),
               status == 0 ? "clusterd is being stopped on %s"
                           : "clusterd ends on %s after a failure",
               d->name);
    (void)sd_notify_stopping("stopping");
    loop_timer_stop(&d->ready_timer);
    loop_timer_stop(&d->watchdog_timer);
    loop_timer_start(&d->stop_timer, DAEMON_STOP_MAX_MS);
    node_stop(d->node, daemon_on_roles_stopped, d);
}

static void daemon_on_signal(void *arg, int signum)
{
    struct daemon *d = arg;
    if (signum == SIGHUP) {
        (void)log_reopen();
        return;
    }
    if (d->stopping) {
        log_warn(&daemon_log, "%s again: ending at once", strsignal(signum));
        _exit(1);
    }
    log_info(&daemon_log, "%s: stopping", strsignal(signum));
    daemon_stop(d, 0);
}

/* Why the process ends: whoever started it by hand does not look into a log file. */
static void daemon_say_fatal(const struct daemon *d, const struct error *e)
{
    log_error(LOG_ABOUT(.role = "daemon", .code = e->code), "%s", e->text);
    if (d->config->log.path[0] != '\0')
        fprintf(stderr, "clusterd: %s\n", e->text);
}

static void daemon_on_fatal(void *arg, const struct error *e)
{
    struct daemon *d = arg;
    daemon_say_fatal(d, e);
    daemon_stop(d, 1);
}

/* ---- ready ----------------------------------------------------------------------------------- */

static bool daemon_is_ready(const struct daemon *d)
{
    uint64_t leader = node_leader(d->node);
    if (leader == 0 || node_id(d->node) == 0)
        return false;
    if (leader == node_id(d->node))
        return node_is_active(d->node);
    return node_session(d->node, leader) != 0 && node_member(d->node, node_id(d->node)) != NULL;
}

static void daemon_on_ready_timer(void *arg)
{
    struct daemon *d = arg;
    if (!daemon_is_ready(d)) {
        loop_timer_start(&d->ready_timer, DAEMON_READY_CHECK_MS);
        return;
    }
    d->ready = true;
    log_info(&daemon_log, "ready: node %s, API on unix:%s%s%s", d->name, d->socket_path,
             d->api_address[0] ? " and " : "", d->api_address);
    (void)sd_notify_ready("serving");
    if (!d->options->announce)
        return;
    printf("ready: unix:%s", d->socket_path);
    if (d->api_address[0] != '\0')
        printf(" %s://%s", d->node_options.api_tls ? "https" : "http", d->api_address);
    printf("\n");
    (void)fflush(stdout);
}

static void daemon_on_watchdog(void *arg)
{
    struct daemon *d = arg;
    (void)sd_notify_watchdog();
    loop_timer_start(&d->watchdog_timer, sd_notify_watchdog_ms() / 2);
}

/* ---- who this node is ------------------------------------------------------------------------ */

static int daemon_set_identity(void *arg, const char *cluster_id, uint64_t id, struct error *e)
{
    struct daemon *d = arg;
    struct data_dir_identity identity = *data_dir_identity(d->data);
    (void)snprintf(identity.cluster_id, sizeof identity.cluster_id, "%s", cluster_id);
    (void)snprintf(identity.name, sizeof identity.name, "%s", d->name);
    identity.node_id = id;
    int err = data_dir_set_identity(d->data, &identity, e);
    if (err < 0)
        return err;
    struct link_identity link_identity = {
        .cluster_id = identity.cluster_id,
        .node_id = id,
        .node_uuid = identity.node_uuid,
        .name = d->name,
        .version = VERSION,
        .peer_address = d->node_options.peer_address,
        .api_address = d->api_address,
    };
    if (d->links != NULL)
        link_set_identify(d->links, &link_identity);
    return 0;
}

/* The founder of a cluster is its node 1 from the start. */
static int daemon_found(struct daemon *d, struct error *e)
{
    struct uuid id;
    char text[UUID_TEXT_MAX];
    if (!d->config->cluster.bootstrap || data_dir_identity(d->data)->node_id != 0)
        return 0;
    uuid_generate(&id);
    log_info(&daemon_log, "founding cluster %s", uuid_format(&id, text));
    struct data_dir_identity identity = *data_dir_identity(d->data);
    (void)snprintf(identity.cluster_id, sizeof identity.cluster_id, "%s", text);
    (void)snprintf(identity.name, sizeof identity.name, "%s", d->name);
    identity.node_id = 1;
    return data_dir_set_identity(d->data, &identity, e);
}

static int daemon_choose_name(struct daemon *d, struct error *e)
{
    const char *configured = d->config->node.name;
    if (configured[0] != '\0')
        (void)snprintf(d->name, sizeof d->name, "%s", configured);
    else if (gethostname(d->name, sizeof d->name) < 0)
        return error_set(e, -errno, "the host has no name: set node.name");
    d->name[sizeof d->name - 1] = '\0';
    if (configured[0] == '\0')
        d->name[strcspn(d->name, ".")] = '\0';
    if (!str_is_name(d->name, sizeof d->name - 1))
        return error_set(e, ERR_INVALID, "\"%s\" cannot be a node's name: set node.name", d->name);
    log_set_node(d->name);
    return 0;
}

/* The secret for joining: the configured one, or on the founder one of its own making. */
static int daemon_load_join_token(struct daemon *d, struct error *e)
{
    const char *configured = d->config->cluster.join_token;
    if (configured[0] != '\0') {
        if (strlen(configured) > API_AUTH_TOKEN_MAX)
            return error_set(e, ERR_TOO_LARGE, "cluster.join_token is longer than %d bytes",
                             API_AUTH_TOKEN_MAX);
        (void)snprintf(d->join_token, sizeof d->join_token, "%s", configured);
        return 0;
    }
    if (!d->config->cluster.bootstrap)
        return 0;
    char *path = mem_printf("%s/join.token", data_dir_path(d->data));
    int err = api_auth_load(path, d->join_token, e);
    free(path);
    return err;
}

static int daemon_open_data(struct daemon *d, struct error *e)
{
    int err = data_dir_open(d->config->node.data_dir, &d->data, e);
    if (err < 0)
        return err;
    static const char *const names[] = {"raft", "tasks", "files", "worker", "exec"};
    for (unsigned i = 0; i < MEM_COUNT(names); i++) {
        char *path = data_dir_subdir(d->data, names[i], e);
        if (path == NULL)
            return e->code;
        free(path);
    }
    d->upload_dir = mem_printf("%s/files", data_dir_path(d->data));
    err = daemon_choose_name(d, e);
    if (err == 0)
        err = daemon_load_join_token(d, e);
    if (err == 0)
        err = daemon_found(d, e);
    const struct data_dir_identity *identity = data_dir_identity(d->data);
    if (err == 0 && identity->node_id == 0 && d->config->cluster.join.n == 0)
        err = error_set(e, ERR_INVALID,
                        "this node is in no cluster: set cluster.join to the peer address of a "
                        "member, or cluster.bootstrap: true to found one");
    return err;
}

/* ---- network --------------------------------------------------------------------------------- */

static int daemon_listen_peers(struct daemon *d, struct error *e)
{
    const struct config *config = d->config;
    const struct data_dir_identity *identity = data_dir_identity(d->data);
    struct link_tls_options tls = {.cert_path = config->peer.tls_cert,
                                   .key_path = config->peer.tls_key,
                                   .ca_path = config->peer.tls_ca};
    struct link_set_options options;
    link_set_options_init(&options);
    options.loop = d->loop;
    options.identity = (struct link_identity){.cluster_id = identity->cluster_id,
                                              .node_id = identity->node_id,
                                              .node_uuid = identity->node_uuid,
                                              .name = d->name,
                                              .version = VERSION,
                                              .peer_address = config->peer.advertise,
                                              .api_address = d->api_address};
    options.tls = config->peer.tls_cert[0] != '\0' ? &tls : NULL;
    options.secret = d->join_token;
    options.ops = node_link_ops();
    options.arg = d->node;
    d->links = link_set_new(&options, e);
    return d->links == NULL ? e->code : link_set_listen(d->links, config->peer.listen, e);
}

static char *daemon_host_of(const char *address, uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    uint64_t number = 0;
    (void)str_parse_u64(colon + 1, 0, UINT16_MAX, &number);
    *port = (uint16_t)number;
    bool bracketed = address[0] == '[';
    return mem_strndup(address + bracketed, (size_t)(colon - address) - 2 * bracketed);
}

static int daemon_listen_tcp(struct daemon *d, struct error *e)
{
    const struct config *config = d->config;
    struct http_tls tls = {.cert_path = config->api.tls_cert, .key_path = config->api.tls_key};
    if (config->api.listen[0] == '\0' || strcmp(config->api.listen, "none") == 0)
        return 0;
    uint16_t port;
    char *host = daemon_host_of(config->api.listen, &port);
    int err = http_server_listen_tcp(d->server, host, port,
                                     config->api.tls_cert[0] != '\0' ? &tls : NULL, &port, e);
    if (err == 0) {
        free(d->api_address);
        d->api_address = mem_printf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    }
    free(host);
    return err;
}

static int daemon_listen_api(struct daemon *d, struct error *e)
{
    const struct config *config = d->config;
    char *token_path = mem_printf("%s/api.token", data_dir_path(d->data));
    const char *shared = config->api.token_file;
    int err = api_auth_load(shared[0] != '\0' ? shared : token_path, d->api_token, e);
    if (err == 0 && shared[0] != '\0') /* consoles look for it beside the socket */
        err = api_auth_save(token_path, d->api_token, e);
    free(token_path);
    if (err < 0)
        return err;
    struct http_server_options options;
    http_server_options_init(&options);
    options.loop = loop_uv(d->loop);
    options.router = d->router;
    options.token = d->api_token;
    options.host_names = (const char *const *)config->api.hosts.items;
    options.host_names_len = config->api.hosts.n;
    options.upload_dir = d->upload_dir;
    options.upload_bytes_max = config->api.upload_bytes_max;
    d->server = http_server_new(&options);
    d->socket_path = config->api.socket[0] != '\0'
                         ? mem_strdup(config->api.socket)
                         : mem_printf("%s/clusterd.sock", data_dir_path(d->data));
    err = http_server_listen_unix(d->server, d->socket_path, (mode_t)config->api.socket_mode, e);
    return err < 0 ? err : daemon_listen_tcp(d, e);
}

/* ---- the node -------------------------------------------------------------------------------- */

static uint32_t daemon_roles(const struct config *config)
{
    uint32_t roles = 0;
    static const struct {
        const char *name;
        uint32_t bit;
    } names[] = {
        {"metadata", WIRE__NODE_ROLE__NODE_ROLE_METADATA},
        {"worker", WIRE__NODE_ROLE__NODE_ROLE_WORKER},
        {"chat", WIRE__NODE_ROLE__NODE_ROLE_CHAT},
        {"participant", WIRE__NODE_ROLE__NODE_ROLE_PARTICIPANT},
    };
    for (unsigned i = 0; i < config->node.roles.n; i++) {
        for (unsigned k = 0; k < MEM_COUNT(names); k++)
            roles |= strcmp(config->node.roles.items[i], names[k].name) == 0 ? names[k].bit : 0;
    }
    return roles;
}

/* Which records of the log are events; -1: none. */
static int daemon_event_level(const struct config *config)
{
    enum log_level level = LOG_LEVEL_INFO;
    return log_parse_level(config->events.log_level, &level) == 0 ? (int)level : -1;
}

static void daemon_describe(struct daemon *d)
{
    const struct config *config = d->config;
    const struct data_dir_identity *identity = data_dir_identity(d->data);
    bool works = (daemon_roles(config) & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0;
    uint64_t memory =
        config->worker.memory > 0 ? config->worker.memory : vitals_memory_bytes() / 10 * 9;
    d->node_options = (struct node_options){
        .name = d->name,
        .uuid = identity->node_uuid,
        .data_dir = data_dir_path(d->data),
        .version = VERSION,
        .cluster_id = identity->cluster_id,
        .id = identity->node_id,
        .roles = daemon_roles(config),
        .labels = (const char *const *)config->node.labels.items,
        .labels_n = config->node.labels.n,
        .api_address = d->api_address,
        .api_socket = d->socket_path,
        .api_tls = config->api.tls_cert[0] != '\0',
        .started_ms = loop_now_ms(d->loop),
        .peer_address = config->peer.advertise,
        .slots = !works                     ? 0
                 : config->worker.slots > 0 ? (uint32_t)config->worker.slots
                                            : vitals_cpus(),
        .memory_bytes = works ? memory : 0,
        .mesh_max = config->peer.mesh_max,
        .worker_heartbeat_ms = config->worker.heartbeat_interval,
        .kill_grace_ms = config->worker.kill_grace,
        .output_bytes_max = config->worker.output_bytes_max,
        .output_keep_ms = config->worker.output_keep,
        .output_keep_bytes = config->worker.output_keep_bytes,
        .file_cache_bytes = config->worker.file_cache,
        .url_cache_bytes = config->worker.url_cache,
        .disk_free_min_bytes = config->worker.disk_free_min,
        .orphan_after_ms = config->api.orphan_after,
        .suspect_after_ms = config->jobs.suspect_after,
        .offline_after_ms = config->jobs.offline_after,
        .history_keep_ms = config->jobs.history_keep,
        .history_jobs_max = config->jobs.history_jobs_max,
        .pending_jobs_max = config->jobs.pending_jobs_max,
        .election_timeout_ms = config->raft.election_timeout,
        .raft_heartbeat_ms = config->raft.heartbeat_interval,
        .snapshot_bytes = config->raft.snapshot_bytes,
        .log_bytes_kept = config->raft.log_bytes_kept,
        .voters_max = config->raft.voters_max,
        .data_address = config->data.listen,
        .data_sticky_header = config->data.sticky_header,
        .data_connections_max = config->data.connections_max,
        .data_body_bytes_max = config->data.body_bytes_max,
        .data_connect_timeout_ms = config->data.connect_timeout,
        .data_answer_timeout_ms = config->data.answer_timeout,
        .chat = {.priority = config->chat.node_id,
                 .heartbeat_ms = config->chat.heartbeat_interval_ms,
                 .leader_timeout_ms = config->chat.leader_timeout_ms,
                 .log_dir = config->chat.log_dir,
                 .message_bytes_max = config->chat.message_bytes_max,
                 .rate_max = config->chat.rate_max,
                 .keep_ms = config->chat.keep,
                 .keep_bytes = config->chat.keep_bytes},
        .trace = {.endpoint = config->trace.endpoint,
                  .token = config->trace.token,
                  .headers = config->trace.headers,
                  .sample = (double)config->trace.sample / CONFIG_RATIO_ONE},
        .sql_slots = (uint32_t)config->sql.slots,
        .sql_threads = config->sql.threads > 0 ? (uint32_t)config->sql.threads : vitals_cpus(),
        .sql_memory_bytes = config->sql.memory > 0 ? config->sql.memory : vitals_memory_bytes() / 2,
        .sql_temp_bytes = config->sql.temp_bytes,
        .sql_cache_bytes = config->sql.cache_bytes,
        .sql_time_limit_ms = config->sql.time_limit,
        .sql_paths = (const char *const *)config->sql.paths.items,
        .sql_paths_n = config->sql.paths.n,
        .sql_split_bytes = config->sql.split_bytes,
        .events = {.enabled = config->events.enabled,
                   .log_level = daemon_event_level(config),
                   .keep_ms = config->events.keep,
                   .bytes_max = config->events.bytes_max,
                   .memory_bytes = config->events.memory_bytes},
        .sql_broadcast_bytes = config->sql.broadcast_bytes,
        .bootstrap = config->cluster.bootstrap,
        .lake_place = config->sql.store,
        .s3_endpoint = config->sql.s3_endpoint,
        .s3_region = config->sql.s3_region,
        .s3_credentials = config->sql.s3_credentials,
        .s3_access_key = config->sql.s3_access_key,
        .s3_secret_key = config->sql.s3_secret_key,
        .join_token = d->join_token,
        .join = (const char *const *)config->cluster.join.items,
        .join_n = config->cluster.join.n,
        .settings = d->settings,
        .settings_n = config_rows_n,
    };
}

/* The configuration as nodes show it. */
static void daemon_list_settings(struct daemon *d)
{
    d->settings = mem_calloc(config_rows_n, sizeof *d->settings);
    for (unsigned i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        d->settings[i] = (struct node_setting){mem_printf("%s.%s", row->section, row->key),
                                               config_value_text(d->config, row), row->help};
    }
}

static void daemon_free_settings(struct daemon *d)
{
    for (unsigned i = 0; d->settings != NULL && i < config_rows_n; i++) {
        free((void *)(uintptr_t)d->settings[i].name);
        free((void *)(uintptr_t)d->settings[i].value);
    }
    free(d->settings);
}

static int daemon_add_roles(struct daemon *d, struct error *e)
{
    bool metadata = (d->node_options.roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    bool works = (d->node_options.roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0;
    bool takes_part =
        metadata || (d->node_options.roles & WIRE__NODE_ROLE__NODE_ROLE_PARTICIPANT) != 0;
    bool chats = (d->node_options.roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0;
    if (!chats)
        chat_api_refuse(d->node);
    const struct role *roles[] = {
        d->node_options.events.enabled ? &events_role : NULL,
        metadata ? &metadata_role : &join_relay_role,
        &api_server_role,
        &metrics_role,
        &traces_role,
        &coordinator_role,
        &tables_role,
        &join_role,
        works ? &worker_role : NULL,
        chats ? &chat_role : NULL,
        works ? &sql_worker_role : NULL,
        &query_role,
        &heartbeat_role,
        &gateway_role,
        takes_part ? &participant_role : NULL,
        takes_part ? &data_plane_role : NULL,
    };
    int err = 0;
    for (unsigned i = 0; err == 0 && i < MEM_COUNT(roles); i++)
        if (roles[i] != NULL)
            err = node_add_role(d->node, roles[i], e);
    return err;
}

static int daemon_start_node(struct daemon *d, struct error *e)
{
    daemon_list_settings(d);
    daemon_describe(d);
    d->node = node_new(d->loop, &d->node_options, NULL, d->router, d->spawn, d->http);
    node_on_identity(d->node, daemon_set_identity, d);
    node_on_fatal(d->node, daemon_on_fatal, d);
    int err = daemon_listen_peers(d, e);
    if (err < 0)
        return err;
    const char *advertised = d->config->peer.advertise;
    d->node_options.peer_address = advertised[0] != '\0' ? advertised : link_set_address(d->links);
    node_set_options(d->node, &d->node_options);
    node_set_links(d->node, d->links);
    status_api_add_routes(d->node);
    kv_api_add_routes(d->node);
    raft_api_add_routes(d->node);
    files_index_add_routes(d->node);
    return daemon_add_roles(d, e);
}

static int daemon_start(struct daemon *d, struct error *e)
{
    int err = daemon_open_data(d, e);
    if (err < 0)
        return err;
    d->loop = loop_new();
    sched_hint_short_slice();
    char *tasks_dir = mem_printf("%s/tasks", data_dir_path(d->data));
    struct spawn_options spawn_options = {.owner = data_dir_identity(d->data)->node_uuid,
                                          .tasks_dir = tasks_dir};
    err = spawn_new(loop_uv(d->loop), &spawn_options, &d->spawn, e);
    free(tasks_dir);
    if (err < 0)
        return err;
    struct http_client_options http_options;
    http_client_options_init(&http_options);
    http_options.loop = loop_uv(d->loop);
    d->http = http_client_new(&http_options);
    d->router = http_router_new();
    err = daemon_listen_api(d, e);
    if (err == 0)
        err = daemon_start_node(d, e);
    if (err < 0)
        return err;
    metric_add_collector(daemon_on_collect, d);
    loop_timer_init(&d->ready_timer, d->loop, daemon_on_ready_timer, d);
    loop_timer_init(&d->watchdog_timer, d->loop, daemon_on_watchdog, d);
    loop_timer_init(&d->stop_timer, d->loop, daemon_on_stop_timeout, d);
    loop_timer_start(&d->ready_timer, 0);
    if (sd_notify_watchdog_ms() > 0)
        loop_timer_start(&d->watchdog_timer, sd_notify_watchdog_ms() / 2);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (unsigned i = 0; i < MEM_COUNT(signals); i++)
        (void)loop_on_signal(d->loop, signals[i], daemon_on_signal, d);
    return 0;
}

static int daemon_open_log(const struct config *config)
{
    struct log_options options = {
        .format = strcmp(config->log.format, "json") == 0   ? LOG_FORMAT_JSON
                  : strcmp(config->log.format, "text") == 0 ? LOG_FORMAT_TEXT
                                                            : LOG_FORMAT_AUTO,
        .path = config->log.path[0] != '\0' ? config->log.path : NULL,
        .bytes_max = config->log.bytes_max,
        .files_max = (unsigned)config->log.files_max,
    };
    (void)log_parse_level(config->log.level, &options.level);
    return log_open(&options);
}

static void daemon_free(struct daemon *d)
{
    node_free(d->node);
    loop_free(d->loop);
    http_router_free(d->router);
    data_dir_close(d->data);
    daemon_free_settings(d);
    free(d->socket_path);
    free(d->upload_dir);
    free(d->api_address);
}

int daemon_run(const struct config *config, const struct daemon_options *options)
{
    static struct daemon d; /* where a leak checker finds what a failed start leaves open */
    d = (struct daemon){.config = config, .options = options};
    struct error e = {0};
    int err = daemon_open_log(config);
    if (err < 0) {
        fprintf(stderr, "clusterd: log file %s: %s\n", config->log.path, err_text(err));
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    d.api_address = mem_strdup("");
    if (daemon_start(&d, &e) < 0) {
        daemon_say_fatal(&d, &e);
        return 1; /* the process ends: what is open goes with it */
    }
    loop_run(d.loop);
    daemon_free(&d);
    log_info(&daemon_log, "stopped");
    log_close();
    return d.status;
}
