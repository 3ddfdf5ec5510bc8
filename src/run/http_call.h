/* One call of the HTTP client: its libcurl handle, where its body comes from and goes to. Shared by
 * the client's own files only. */
#ifndef RUN_HTTP_CALL_H
#define RUN_HTTP_CALL_H

#include <curl/curl.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/buf.h"
#include "run/file_sink.h"
#include "run/http_client.h"

enum { HTTP_CALL_BLOCK_SIZE = 64 * 1024 };

enum http_call_state {
    HTTP_CALL_WAITING, /* for a place */
    HTTP_CALL_ACTIVE,  /* libcurl has it */
    HTTP_CALL_DONE,    /* libcurl is done with it; the rest may be on its way to a file */
    HTTP_CALL_ENDED    /* answered or cancelled; stays until the pool is done with its buffers */
};

/* The file that is sent, read ahead by libuv's pool. */
struct http_call_source {
    int fd; /* -1: none */
    uint64_t len;
    uint64_t offset; /* of the next read */
    uv_fs_t fs;
    bool reading;
    bool paused;
    int error;
    size_t block_len;
    size_t block_used;
    uint8_t *block;
};

/* The file that is received. */
struct http_call_target {
    int fd; /* -1: none */
    struct file_sink *sink;
    bool dropping; /* the sink is being cancelled */
    uint8_t *left; /* what the sink had no room for; libcurl is paused then */
    size_t left_len;
    size_t left_used;
};

struct http_call {
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    enum http_call_state state;
    char *method;
    char *url; /* for texts: without user, password, query */
    struct http_call_source source;
    struct http_call_target target;
    struct buf body;
    uint64_t body_max;
    uint64_t received;
    uint64_t xxh3; /* of what went to the target */
    uint64_t progress_at_ms;
    CURLcode result;
    int code; /* found by ourselves, before libcurl's */
    char why[128];
    char curl_text[CURL_ERROR_SIZE];
    char full_text[ERROR_TEXT_MAX];
    http_progress_fn on_progress;
    http_answer_fn on_done;
    void *arg;
    TAILQ_ENTRY(http_call) entry;
};

struct http_client {
    uv_loop_t *loop;
    CURLM *multi;       /* NULL before the first call */
    uv_timer_t timer;   /* libcurl's */
    uv_timer_t starter; /* starts waiting calls from the loop */
    unsigned handles;   /* open uv handles */
    unsigned active;
    unsigned calls; /* also those that have ended but are not freed */
    unsigned calls_max;
    unsigned calls_per_host_max;
    char *ca_path;
    char *cert_path;
    char *key_path;
    char *user_agent;
    TAILQ_HEAD(, http_call) waiting;
    TAILQ_HEAD(, http_call) running; /* active and done */
    bool closing;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

/* http_call.c */
/* Makes the handle; what is wrong with the options is noted in call->code. */
struct http_call *http_call_new(struct http_client *client,
                                const struct http_call_options *options);
/* libcurl is done: stores what is left, then answers. */
void http_call_finish(struct http_call *call, CURLcode result);
/* Takes the call off its list; it counts as ended. */
void http_call_leave(struct http_call *call);
/* After that: releases everything, what the pool still uses when it is done. */
void http_call_end(struct http_call *call);
void http_call_release(struct http_call *call);

/* http_call_body.c: libcurl's callbacks that move bodies; arg is the call */
size_t http_call_on_write(char *data, size_t size, size_t count, void *arg);
size_t http_call_on_read(char *out, size_t size, size_t count, void *arg);
int http_call_on_seek(void *arg, curl_off_t offset, int origin);
void http_call_on_room(void *arg);

/* http_client.c */
void http_client_call_gone(struct http_client *client);

#endif
