/* Happy path: the text is formatted on the caller's stack; under the lock the record is built in
 * one buffer and leaves in one write(2), so that records of several threads and processes never
 * mix.
 *
 * A record that cannot be written is lost and counted; the next one that gets through says how many
 * were. What a full disk cut short ends before the next record starts. A rotation that fails leaves
 * the file growing and is tried again a file's size later. */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"

enum {
    LOG_TEXT_MAX = 4096, /* bytes of a record's text, and of each other field: */
    LOG_FIELD_MAX = 256,
    LOG_FRAME_MAX = 512, /* bytes of a record around its fields */
    LOG_RECORD_MAX = (LOG_TEXT_MAX + 5 * LOG_FIELD_MAX) * JSON_TEXT_FACTOR_MAX + LOG_FRAME_MAX,
    LOG_MODE = 0640
};

static const char *const log_level_names[] = {"debug", "info", "warn", "error"};
static const char *const log_level_colors[] = {"\033[2m", "", "\033[33m", "\033[1;31m"};

static struct log {
    pthread_mutex_t mutex;
    _Atomic int level;
    bool ready; /* format is decided */
    int fd;
    char *path; /* NULL: standard error */
    char *node;
    bool json;
    bool color;
    uint64_t bytes;
    uint64_t bytes_max;
    uint64_t rotate_at; /* bytes past which a rotation is tried */
    unsigned files_max;
    uint64_t lost; /* records since the last that got through */
    bool torn;     /* the last write ended inside a record */
    struct buf record;
    log_hook_fn hook;
    void *hook_arg;
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER,
               .level = LOG_LEVEL_INFO,
               .fd = STDERR_FILENO,
               .record = {.max = LOG_RECORD_MAX}};

const char *log_level_name(enum log_level level)
{
    assert((size_t)level < MEM_COUNT(log_level_names));
    return log_level_names[level];
}

int log_parse_level(const char *name, enum log_level *level)
{
    if (strcasecmp(name, "warning") == 0)
        name = log_level_name(LOG_LEVEL_WARN);
    for (size_t i = 0; i < MEM_COUNT(log_level_names); i++) {
        if (strcasecmp(name, log_level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

static bool log_wants_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static void log_decide_format(enum log_format format)
{
    struct log *log = &log_state;
    log->json = format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !isatty(log->fd));
    log->color = !log->json && log_wants_color(log->fd);
    log->ready = true;
}

/* Opens `path` to append. Returns the descriptor and how much the file holds already. */
static int log_open_file(const char *path, uint64_t *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, LOG_MODE);
    struct stat st;
    if (fd < 0)
        return -errno;
    *bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return fd;
}

static void log_use_file(int fd, uint64_t bytes)
{
    struct log *log = &log_state;
    if (log->fd != STDERR_FILENO)
        (void)close(log->fd);
    log->fd = fd;
    log->bytes = bytes;
    log->rotate_at = log->bytes_max;
    log->torn = false;
}

int log_open(const struct log_options *options)
{
    struct log *log = &log_state;
    int fd = STDERR_FILENO;
    uint64_t bytes = 0;
    if (options->path != NULL)
        fd = log_open_file(options->path, &bytes);
    if (fd < 0)
        return fd;
    (void)pthread_mutex_lock(&log->mutex);
    log->bytes_max = options->path != NULL ? options->bytes_max : 0;
    log->files_max = options->files_max;
    log_use_file(fd, bytes);
    free(log->path);
    log->path = mem_strdup(options->path);
    free(log->node);
    log->node = mem_strdup(options->node);
    log_decide_format(options->format);
    log->level = (int)options->level;
    (void)pthread_mutex_unlock(&log->mutex);
    return 0;
}

void log_close(void)
{
    struct log *log = &log_state;
    (void)pthread_mutex_lock(&log->mutex);
    log->bytes_max = 0;
    log_use_file(STDERR_FILENO, 0);
    free(log->path);
    log->path = NULL;
    free(log->node);
    log->node = NULL;
    buf_done(&log->record);
    log->ready = false;
    log->lost = 0;
    log->level = LOG_LEVEL_INFO;
    (void)pthread_mutex_unlock(&log->mutex);
}

void log_set_level(enum log_level level)
{
    log_state.level = (int)level;
}

void log_set_node(const char *name)
{
    (void)pthread_mutex_lock(&log_state.mutex);
    free(log_state.node);
    log_state.node = mem_strdup(name);
    (void)pthread_mutex_unlock(&log_state.mutex);
}

void log_set_hook(log_hook_fn hook, void *arg)
{
    (void)pthread_mutex_lock(&log_state.mutex);
    log_state.hook = hook;
    log_state.hook_arg = arg;
    (void)pthread_mutex_unlock(&log_state.mutex);
}

static int log_reopen_locked(void)
{
    uint64_t bytes = 0;
    int fd = log_open_file(log_state.path, &bytes);
    if (fd < 0)
        return fd;
    log_use_file(fd, bytes);
    return 0;
}

int log_reopen(void)
{
    (void)pthread_mutex_lock(&log_state.mutex);
    int err = log_state.path != NULL ? log_reopen_locked() : 0;
    (void)pthread_mutex_unlock(&log_state.mutex);
    return err;
}

/* path.1 becomes path.2 and so on; the last one goes. */
static int log_shift_files(const char *path, unsigned files_max)
{
    if (files_max == 0)
        return unlink(path) < 0 ? -errno : 0;
    int err = 0;
    for (unsigned i = files_max; i > 0; i--) {
        char *from = i > 1 ? mem_printf("%s.%u", path, i - 1) : mem_strdup(path);
        char *to = mem_printf("%s.%u", path, i);
        err = rename(from, to) < 0 ? -errno : 0;
        free(from);
        free(to);
    }
    return err; /* of path itself */
}

static void log_rotate(void)
{
    struct log *log = &log_state;
    int err = access(log->path, F_OK) == 0 ? log_shift_files(log->path, log->files_max) : 0;
    if (err == 0)
        err = log_reopen_locked();
    if (err < 0)
        log->rotate_at = log->bytes + log->bytes_max;
}

/* Bytes of a field that are logged: a character is not cut in two. */
static size_t log_field_len(const char *s)
{
    size_t len = strnlen(s, LOG_FIELD_MAX);
    for (size_t cut = 0; len == LOG_FIELD_MAX && cut < 4; cut++) {
        if (str_is_utf8(s, len - cut))
            return len - cut;
    }
    return len;
}

static int log_json_field(struct buf *b, const char *key, const char *value)
{
    if (value == NULL)
        return 0;
    int err = buf_printf(b, ",\"%s\":", key);
    return err < 0 ? err : json_text_append(b, value, log_field_len(value));
}

static const char *log_code(const struct log_about *about)
{
    return about->code < 0 ? err_name(about->code) : about->code_name;
}

static int log_format_json(struct buf *b, const char *time, enum log_level level,
                           const struct log_about *about, const char *text)
{
    int err = buf_printf(b, "{\"time\":\"%s\",\"level\":\"%s\"", time, log_level_name(level));
    const char *fields[][2] = {{"node", log_state.node}, {"role", about->role},
                               {"job", about->job},      {"task", about->task},
                               {"peer", about->peer},    {"code", log_code(about)}};
    for (size_t i = 0; i < MEM_COUNT(fields) && err == 0; i++)
        err = log_json_field(b, fields[i][0], fields[i][1]);
    if (err == 0 && log_state.lost > 0)
        err = buf_printf(b, ",\"lost\":%llu", (unsigned long long)log_state.lost);
    if (err == 0)
        err = buf_append_str(b, ",\"text\":");
    if (err == 0)
        err = json_text_append(b, text, strlen(text));
    return err < 0 ? err : buf_append_str(b, "}\n");
}

static int log_append_printable(struct buf *b, const char *s, size_t len)
{
    char *text = str_printable(s, len, false);
    int err = buf_append_str(b, text);
    free(text);
    return err;
}

static int log_text_field(struct buf *b, const char *key, const char *value)
{
    if (value == NULL)
        return 0;
    int err = buf_printf(b, " %s=", key);
    return err < 0 ? err : log_append_printable(b, value, log_field_len(value));
}

/* 2026-11-20T20:15:04.123Z WARN  worker: text node=... job=... code=... */
static int log_format_text(struct buf *b, const char *time, enum log_level level,
                           const struct log_about *about, const char *text)
{
    static const char *const labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    const char *color = log_state.color ? log_level_colors[level] : "";
    int err = buf_printf(b, "%s %s%s%s ", time, color, labels[level], *color ? "\033[0m" : "");
    if (err == 0 && about->role != NULL)
        err = log_append_printable(b, about->role, log_field_len(about->role));
    if (err == 0 && about->role != NULL)
        err = buf_append_str(b, ": ");
    if (err == 0)
        err = log_append_printable(b, text, strlen(text));
    const char *fields[][2] = {{"node", log_state.node},
                               {"job", about->job},
                               {"task", about->task},
                               {"peer", about->peer},
                               {"code", log_code(about)}};
    for (size_t i = 0; i < MEM_COUNT(fields) && err == 0; i++)
        err = log_text_field(b, fields[i][0], fields[i][1]);
    if (err == 0 && log_state.lost > 0)
        err = buf_printf(b, " lost=%llu", (unsigned long long)log_state.lost);
    return err < 0 ? err : buf_append_byte(b, '\n');
}

/* Writes what `record` holds; keeps count of what is lost. */
static void log_emit(const struct buf *record)
{
    struct log *log = &log_state;
    if (log->bytes_max > 0 && log->bytes > 0 && log->bytes + record->len > log->rotate_at)
        log_rotate();
    ssize_t n;
    do {
        n = write(log->fd, record->data, record->len);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        log->bytes += (uint64_t)n;
        log->torn = (size_t)n < record->len;
    }
    log->lost = n == (ssize_t)record->len ? 0 : log->lost + 1;
}

static void log_write_locked(enum log_level level, const struct log_about *about, const char *text)
{
    struct log *log = &log_state;
    if (!log->ready)
        log_decide_format(LOG_FORMAT_AUTO);
    int64_t now_ms = clock_wall_ms();
    char time[CLOCK_RFC3339_MAX];
    (void)clock_format_rfc3339(now_ms, time);
    buf_clear(&log->record);
    int err = log->torn ? buf_append_byte(&log->record, '\n') : 0;
    if (err == 0)
        err =
            (log->json ? log_format_json : log_format_text)(&log->record, time, level, about, text);
    assert(err == 0);
    log_emit(&log->record);
    metric_series_add(metric_series(METRIC_LOG_RECORDS, log_level_name(level)), 1);
    if (log->hook != NULL)
        log->hook(log->hook_arg, level, now_ms, about, text);
}

bool log_limit_take(struct log_limit *limit, unsigned per_second, int64_t now_ms,
                    char more[LOG_LIMIT_TEXT_MAX])
{
    int64_t second = now_ms / 1000;
    if (second != limit->second) {
        limit->second = second;
        limit->taken = 0;
    }
    if (limit->taken >= per_second) {
        limit->left_out++;
        return false;
    }
    limit->taken++;
    more[0] = '\0';
    if (limit->left_out > 0)
        (void)snprintf(more, LOG_LIMIT_TEXT_MAX, "; %llu more were left out",
                       (unsigned long long)limit->left_out);
    limit->left_out = 0;
    return true;
}

void log_write(enum log_level level, const struct log_about *about, const char *fmt, ...)
{
    static const struct log_about nothing;
    if ((int)level < log_state.level)
        return;
    int saved_errno = errno;
    char text[LOG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0)
        (void)snprintf(text, sizeof text, "%s", fmt);
    else if ((size_t)n >= sizeof text)
        memcpy(text + sizeof text - sizeof "...", "...", sizeof "...");
    (void)pthread_mutex_lock(&log_state.mutex);
    log_write_locked(level, about != NULL ? about : &nothing, text);
    (void)pthread_mutex_unlock(&log_state.mutex);
    errno = saved_errno;
}
