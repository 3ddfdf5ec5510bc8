/* Errors of the whole program: one enum that shares the errno space, one list of texts.
 *
 * Every fallible function returns 0 (or a count) on success and a negative code on failure: either
 * -errno or one of enum err. Functions that can say more take a `struct error *` as last argument.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/* X(symbol, number, api_name, text). Numbers are stable: they cross the wire. */
#define ERR_LIST(X)                                                                                \
    X(ERR_PROTOCOL, 4096, "protocol", "malformed message")                                         \
    X(ERR_TOO_LARGE, 4097, "too_large", "larger than the limit")                                   \
    X(ERR_VERSION, 4098, "version", "version not supported")                                       \
    X(ERR_CORRUPT, 4099, "corrupt", "data is damaged")                                             \
    X(ERR_NOT_LEADER, 4100, "not_leader", "this node does not lead")                               \
    X(ERR_NO_LEADER, 4101, "no_leader", "the cluster has no leader at the moment")                 \
    X(ERR_OUTCOME_UNKNOWN, 4102, "outcome_unknown", "the outcome of the change is not known")      \
    X(ERR_NOT_FOUND, 4103, "not_found", "not found")                                               \
    X(ERR_EXISTS, 4104, "exists", "exists already")                                                \
    X(ERR_CONFLICT, 4105, "conflict", "in conflict with the present state")                        \
    X(ERR_INVALID, 4106, "invalid", "invalid value")                                               \
    X(ERR_UNAUTHORIZED, 4107, "unauthorized", "credentials missing or wrong")                      \
    X(ERR_FORBIDDEN, 4108, "forbidden", "not allowed")                                             \
    X(ERR_BUSY, 4109, "busy", "too busy, try again")                                               \
    X(ERR_TIMEOUT, 4110, "timeout", "timed out")                                                   \
    X(ERR_CANCELLED, 4111, "cancelled", "cancelled")                                               \
    X(ERR_UNAVAILABLE, 4112, "unavailable", "not reachable")                                       \
    X(ERR_UNSUPPORTED, 4113, "unsupported", "not supported")                                       \
    X(ERR_CLOSED, 4114, "closed", "closed")                                                        \
    X(ERR_WRONG_CLUSTER, 4115, "wrong_cluster", "belongs to another cluster")                      \
    X(ERR_INTERNAL, 4116, "internal", "internal error")

enum err {
    ERR_NONE = 0,
#define ERR_ENUM(symbol, number, api_name, text) symbol = -(number),
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

#define ERROR_TEXT_MAX 512

/* A code with the sentence that explains it. The text is complete: it names what failed and why. */
struct error {
    int code;
    char text[ERROR_TEXT_MAX];
};

/* Returns the text of a negative code (ours or -errno). Static storage, never NULL. */
const char *err_text(int code);

/* Returns the stable snake_case name of a code for API users; -errno values give "io" unless they
 * have a closer one (-ENOENT "not_found", -ENOSPC "disk_full", ...). */
const char *err_name(int code);

/* The other way round, for what came over the API: "ok" gives 0, a name that this version does not
 * know ERR_INTERNAL. */
int err_from_name(const char *name);

/* Stores `code` and the formatted text in `e` (NULL allowed) and returns `code`. */
int error_set(struct error *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the text that `e` holds and returns its code; ERR_INTERNAL when `e`
 * is NULL. */
int error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
