/* The configuration of a node: YAML in, typed values out. One row a key gives its type, default,
 * range and help; `clusterd config show` and the documentation are printed from the same rows. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum { CONFIG_LIST_MAX = 64 };

struct config_list {
    char *items[CONFIG_LIST_MAX];
    unsigned n;
};

/* All strings are malloc'ed and never NULL; "" is "not set". Times are milliseconds, ratios
 * millionths. */
struct config {
    struct {
        char *name;
        char *data_dir;
        struct config_list roles;
        struct config_list labels;
    } node;
    struct {
        struct config_list join;
        char *join_token;
        bool bootstrap;
    } cluster;
    struct {
        char *listen;
        char *advertise;
        char *tls_ca;
        char *tls_cert;
        char *tls_key;
        bool allow_plain;
        uint64_t mesh_max;
    } peer;
    struct {
        char *listen;
        char *socket;
        uint64_t socket_mode;
        struct config_list hosts;
        char *token_file;
        char *tls_cert;
        char *tls_key;
        uint64_t upload_bytes_max;
        uint64_t orphan_after;
    } api;
    struct {
        char *listen;
        char *sticky_header;
        uint64_t connections_max;
        uint64_t body_bytes_max;
        uint64_t connect_timeout;
        uint64_t answer_timeout;
    } data;
    struct {
        uint64_t election_timeout;
        uint64_t heartbeat_interval;
        uint64_t voters_max;
        uint64_t snapshot_bytes;
        uint64_t log_bytes_kept;
    } raft;
    struct {
        uint64_t slots;
        uint64_t memory;
        uint64_t heartbeat_interval;
        uint64_t kill_grace;
        uint64_t output_bytes_max;
        uint64_t output_keep;
        uint64_t output_keep_bytes;
        uint64_t file_cache;
        uint64_t url_cache;
        uint64_t disk_free_min;
    } worker;
    struct {
        uint64_t suspect_after;
        uint64_t offline_after;
        uint64_t history_keep;
        uint64_t history_jobs_max;
        uint64_t pending_jobs_max;
    } jobs;
    struct {
        char *store;
        uint64_t slots;
        uint64_t threads;
        uint64_t memory;
        uint64_t temp_bytes;
        uint64_t cache_bytes;
        uint64_t time_limit;
        struct config_list paths;
        char *s3_endpoint;
        char *s3_region;
        char *s3_access_key;
        char *s3_secret_key;
        char *s3_credentials;
        uint64_t split_bytes;
        uint64_t broadcast_bytes;
    } sql;
    struct {
        uint64_t node_id;
        char *host;
        uint64_t port;
        struct config_list seed_nodes;
        uint64_t heartbeat_interval_ms;
        uint64_t leader_timeout_ms;
        char *log_dir;
        uint64_t message_bytes_max;
        uint64_t rate_max;
        uint64_t keep;
        uint64_t keep_bytes;
    } chat;
    struct {
        bool enabled;
        char *log_level;
        uint64_t keep;
        uint64_t bytes_max;
        uint64_t memory_bytes;
    } events;
    struct {
        char *endpoint;
        uint64_t sample; /* millionths */
        char *token;
        char *headers;
    } trace;
    struct {
        char *level;
        char *format;
        char *path;
        uint64_t bytes_max;
        uint64_t files_max;
    } log;
};

/* Fills in the defaults. */
void config_init(struct config *config);
void config_done(struct config *config);

/* Reads a file over what `config` holds. Errors name file, line and key. */
int config_load(struct config *config, const char *path, struct error *e);
/* As config_load, from memory; `name` stands for the file in messages. */
int config_parse(struct config *config, const char *text, size_t len, const char *name,
                 struct error *e);

/* Sets "section.key" from text, as -o on the command line does; lists are comma-separated. */
int config_set(struct config *config, const char *key, const char *value, struct error *e);

/* Lets chat.host, chat.port and chat.seed_nodes, other names for the peer address and the members
 * to join through, take effect. After everything is set, before config_check(). */
int config_settle(struct config *config, struct error *e);

/* Checks what no single key can know: addresses off loopback need TLS, intervals fit together. */
int config_check(const struct config *config, struct error *e);

/* Prints the effective configuration as YAML. Secrets are left out unless `secrets`. */
void config_print(const struct config *config, FILE *out, bool secrets);
/* Prints the reference of all keys as Markdown. */
void config_print_reference(FILE *out);

#endif
