/* Structured log records: time, level, node, role, job, task, error code, text.
 *
 * On a terminal one coloured line a record; in files and pipes JSON lines with the keys time,
 * level, node, role, job, task, peer, code (err_name), text, and lost (records that could not be
 * written before this one). A file is rotated when it grows past its limit. Each record is one
 * write(2); nothing that a text holds reaches a terminal as a control sequence. Safe from every
 * thread, errno stays. The top of a call chain logs, the rest returns.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
    enum log_level level;
    enum log_format format; /* AUTO: text on a terminal, else JSON */
    const char *path;       /* NULL: standard error */
    uint64_t bytes_max;     /* rotate past this size; 0 never */
    unsigned files_max;     /* rotated files to keep: path.1 ... */
    const char *node;       /* name of this node, may be NULL */
};

/* What a record is about; NULL and 0 fields are left out. */
struct log_about {
    const char *role;
    const char *job;
    const char *task;
    const char *peer;
    int code;              /* negative error code */
    const char *code_name; /* when `code` is 0: one of another list, as wire/task_code.h */
};

/* Before this records go to standard error at level INFO. Copies what it needs. -errno when the
 * file cannot be opened; records then go where they went before. */
int log_open(const struct log_options *options);
void log_close(void); /* back to standard error */
void log_set_level(enum log_level level);
void log_set_node(const char *name);
int log_reopen(void); /* after an outside rotation (SIGHUP) */
/* "debug", "info", "warn" ("warning"), "error", in either case; else ERR_INVALID. */
int log_parse_level(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);

/* `about` may be NULL. The text is cut at 4095 bytes, fields of `about` at 256. */
void log_write(enum log_level level, const struct log_about *about, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Called with every record that passes the level, after it was written; runs on the thread that
 * logged, one call at a time, and must neither log nor wait for a lock that is held while logging.
 * One hook; NULL removes it: no call is under way any more when log_set_hook returns. */
typedef void (*log_hook_fn)(void *arg, enum log_level level, int64_t wall_ms,
                            const struct log_about *about, const char *text);
void log_set_hook(log_hook_fn hook, void *arg);

/* How many records of one kind a second get: the others are left out, and the next one that gets
 * through is told how many. Zeroed at first. For what others may make happen any number of times;
 * one thread. */
struct log_limit {
    int64_t second;
    unsigned taken;
    uint64_t left_out;
};

/* Whether a record may be written at `now_ms` (of a clock that only goes on). `more` gets a text to
 * end it with: "", or "; N more were left out". */
enum { LOG_LIMIT_TEXT_MAX = 48 };
bool log_limit_take(struct log_limit *limit, unsigned per_second, int64_t now_ms,
                    char more[LOG_LIMIT_TEXT_MAX]);

#define LOG_ABOUT(...)        (&(const struct log_about){__VA_ARGS__})
#define log_debug(about, ...) log_write(LOG_LEVEL_DEBUG, (about), __VA_ARGS__)
#define log_info(about, ...)  log_write(LOG_LEVEL_INFO, (about), __VA_ARGS__)
#define log_warn(about, ...)  log_write(LOG_LEVEL_WARN, (about), __VA_ARGS__)
#define log_error(about, ...) log_write(LOG_LEVEL_ERROR, (about), __VA_ARGS__)

#endif
