/* One connection of the server and what it is doing. Shared by the server's own files only.
 *
 * Who may outlive whom: a request that its handler holds outlives its connection (it is then an
 * orphan, conn NULL); a connection outlives its requests. While a handler holds a request the
 * connection is suspended in libmicrohttpd, so that it costs nothing; http_conn_wake() resumes it.
 */
#ifndef RUN_HTTP_CONN_H
#define RUN_HTTP_CONN_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <uv.h>

#include "run/http_guard.h"
#include "run/http_internal.h"
#include "run/http_server.h"

enum {
    HTTP_HEAD_BYTES_MAX = 32 * 1024,          /* memory of a connection for head and buffers */
    HTTP_BODY_FIRST_BYTES = 64 * 1024,        /* reserved before a byte of a body has come */
    HTTP_SWALLOW_BYTES_MAX = 8 * 1024 * 1024, /* of the body of a refused request */
    HTTP_BODY_PROGRESS_BYTES_MIN = 1024,      /* in each body_timeout_ms */
    HTTP_PEER_MAX = INET6_ADDRSTRLEN + 10
};

enum http_conn_phase {
    HTTP_CONN_FRESH,    /* accepted, no request yet */
    HTTP_CONN_HEAD,     /* request line seen */
    HTTP_CONN_BODY,     /* head seen and judged */
    HTTP_CONN_HANDLING, /* in the handler's hands */
    HTTP_CONN_REPLYING,
    HTTP_CONN_IDLE /* between requests */
};

struct http_listener {
    struct http_server *server;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uint16_t port;   /* of TCP */
    char *unix_path; /* NULL for TCP */
    bool tls;
    bool client_certs;
    bool dirty; /* resumed connections or leftover work wait for MHD_run() */
    struct http_tls_files *files;
    SLIST_ENTRY(http_listener) entry;
};

struct http_upload_file;
struct http_stream;

struct http_conn {
    struct http_listener *listener;
    struct MHD_Connection *mhd;
    int fd;
    enum http_conn_phase phase;
    uint64_t since_ms; /* of the phase, or of the last progress in it */
    bool suspended;
    bool in_callback;
    bool kill;    /* to be closed at the next callback */
    bool hung_up; /* the peer will send no more */
    struct http_request *req;
    struct MHD_Response *response; /* to be queued */
    unsigned status;
    struct http_refusal refusal;
    struct error target_error;
    bool impatient;    /* a refusal must not wait for the body */
    uint64_t body_len; /* UINT64_MAX: not known */
    uint64_t body_max;
    uint64_t body_received;
    uint64_t body_mark; /* body_received at since_ms */
    uint64_t swallowed; /* of the body, after the refusal */
    struct http_upload_file *upload;
    struct http_stream *stream;
    char peer[HTTP_PEER_MAX];
    bool user_asked, user_known;
    uid_t user_uid; /* of the process at the other end, when it is known */
    TAILQ_ENTRY(http_conn) entry;
};

/* Where requests of a route with a status are counted. */
struct http_meter {
    const struct http_route *route;
    unsigned status;
    struct metric_series *requests, *seconds; /* NULL: not in use */
};

enum { HTTP_METERS_MAX = 256 };

TAILQ_HEAD(http_conn_list, http_conn);
TAILQ_HEAD(http_request_list, http_request);

struct http_server {
    struct http_server_options options; /* its strings are not kept */
    char *upload_dir;
    struct http_guard guard;
    SLIST_HEAD(, http_listener) listeners;
    struct http_conn_list conns;
    struct http_request_list requests; /* held by handlers */
    struct http_request_list notices;  /* to be told of a close or a drain */
    size_t notices_len;
    struct http_request_list spares;
    unsigned spares_len;
    unsigned uploads;
    unsigned handles; /* open uv handles */
    uv_idle_t idle;   /* active while there is work: the loop does not wait */
    uv_timer_t sweep;
    uv_poll_t hangup_poll;
    int hangup_fd;
    struct http_server_stats stats;
    struct http_meter meters[HTTP_METERS_MAX]; /* the last ones used, by a hash */
    bool closing;
    uint64_t closing_since_ms;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
    uid_t user_uid; /* of user_name */
    char *user_name;
};

/* http_conn.c: libmicrohttpd's callbacks */
void http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_ConnectionNotificationCode code);
void *http_conn_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_conn_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *size, void **context);
void http_conn_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_RequestTerminationCode code);
void http_conn_set_phase(struct http_conn *conn, enum http_conn_phase phase);
void http_conn_suspend(struct http_conn *conn);
/* Has libmicrohttpd look at the connection before the loop waits again. */
void http_conn_wake(struct http_conn *conn);
/* The peer has gone, or has at least ended its side. A handler that asked is told; an answer is
 * tried nevertheless. */
void http_conn_hangup(struct http_conn *conn);
/* Ends the connection, whatever it is doing. */
void http_conn_kill(struct http_conn *conn);

/* http_head.c: judges a request by its head; the verdict is in conn->refusal. */
void http_head_judge(struct http_conn *conn, const char *method, const char *version);
/* Whether the refusal must be sent without waiting for the body. */
bool http_head_is_hopeless(const struct http_conn *conn);

/* http_answer.c: how answers leave through a connection */
extern const struct http_backend http_conn_backend;
void http_stream_free(struct http_stream *stream);

/* http_server.c */
struct http_request *http_server_request_new(struct http_server *server, struct http_conn *conn);
void http_server_request_free(struct http_server *server, struct http_request *req);
/* Has on_close or on_drain called before the loop waits again. */
void http_server_notice(struct http_server *server, struct http_request *req);
void http_server_watch(struct http_server *server, struct http_conn *conn);
void http_server_wake(struct http_server *server, struct http_listener *listener);

/* http_sweep.c */
void http_sweep_init(struct http_server *server);
void http_sweep_start(struct http_server *server);

/* http_upload.c: the body of a request on its way to a file */
int http_upload_open(struct http_conn *conn, struct error *e);
/* Returns the bytes taken; when less than `len`, the connection is woken when there is room. */
size_t http_upload_write(struct http_conn *conn, const void *data, size_t len);
/* Syncs the file, fills req->upload or conn->refusal, and wakes the connection. */
void http_upload_finish(struct http_conn *conn);
bool http_upload_is_ready(const struct http_conn *conn);
/* Removes the file, unless the request has it now. */
void http_upload_drop(struct http_conn *conn);

#endif
