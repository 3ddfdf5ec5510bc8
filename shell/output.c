#include "shell/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "shell/interrupt.h"
#include "shell/text.h"

static bool output_is_dumb(void)
{
    const char *term = getenv("TERM");
    return term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
}

void output_init(struct output *o)
{
    *o = (struct output){.file = stdout, .has_pager = true};
    output_measure(o);
}

/* The exit status of a command that results went to. */
static int output_close(struct output *o)
{
    int status = 0;
    if (o->file == stdout)
        return 0;
    if (o->is_pipe) {
        interrupt_mute(true);
        status = pclose(o->file);
        interrupt_mute(false);
        status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (fclose(o->file) != 0 && o->broken == 0) {
        o->broken = errno;
    }
    o->file = stdout;
    o->is_pipe = false;
    return status;
}

void output_done(struct output *o)
{
    output_status_clear(o);
    output_flush(o);
    (void)output_close(o);
}

int output_redirect(struct output *o, const char *target, struct error *e)
{
    FILE *file = stdout;
    bool is_pipe = target != NULL && target[0] == '|';
    output_flush(o);
    if (is_pipe)
        file = popen(target + 1, "we");
    else if (target != NULL && target[0] != '\0')
        file = fopen(target, "we");
    if (file == NULL)
        return error_set(e, -errno, "%s: %s", target, strerror(errno));
    (void)output_close(o);
    o->file = file;
    o->is_pipe = is_pipe;
    o->broken = 0;
    return 0;
}

bool output_is_terminal(const struct output *o)
{
    return o->file == stdout && isatty(STDOUT_FILENO);
}

void output_measure(struct output *o)
{
    struct winsize size = {0};
    o->width = 0;
    o->height = OUTPUT_HEIGHT_DEFAULT;
    if (!output_is_terminal(o))
        return;
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    o->width = size.ws_col > 0 ? size.ws_col : OUTPUT_WIDTH_DEFAULT;
    o->height = size.ws_row > 0 ? size.ws_row : OUTPUT_HEIGHT_DEFAULT;
}

static bool output_wants_color(const struct output *o, bool is_terminal)
{
    const char *no_color = getenv("NO_COLOR");
    if (o->color != OUTPUT_COLOR_AUTO)
        return o->color == OUTPUT_COLOR_ALWAYS;
    return is_terminal && !output_is_dumb() && (no_color == NULL || no_color[0] == '\0');
}

bool output_has_color(const struct output *o)
{
    return output_wants_color(o, output_is_terminal(o));
}

bool output_error_has_color(const struct output *o)
{
    return output_wants_color(o, isatty(STDERR_FILENO));
}

/* The line that is typed */

void output_at_line(struct output *o, void (*hide)(void *arg), void (*show)(void *arg), void *arg)
{
    o->hide = hide;
    o->show = show;
    o->line_arg = arg;
    o->is_hidden = false;
}

void output_above(struct output *o)
{
    if (o->hide == NULL || o->is_hidden)
        return;
    o->is_hidden = true;
    o->hide(o->line_arg);
}

void output_settle(struct output *o)
{
    if (o->show == NULL || !o->is_hidden)
        return;
    o->is_hidden = false;
    output_flush(o);
    o->show(o->line_arg);
}

void output_write(struct output *o, const void *bytes, size_t len)
{
    output_status_clear(o);
    output_above(o);
    if (o->broken == 0 && len > 0 && fwrite(bytes, 1, len, o->file) != len)
        o->broken = errno;
}

/* Malloc'ed clean form. */
static char *output_clean(struct text_stream *stream, const char *bytes, size_t len)
{
    struct text_stream whole = {.n = 0};
    return text_stream_clean(stream != NULL ? stream : &whole, bytes, len, stream == NULL);
}

void output_write_foreign(struct output *o, struct text_stream *stream, const char *bytes,
                          size_t len)
{
    if (!output_is_terminal(o)) {
        output_write(o, bytes, len);
        return;
    }
    char *clean = output_clean(stream, bytes, len);
    output_write(o, clean, strlen(clean));
    free(clean);
}

void output_error_foreign(struct output *o, struct text_stream *stream, const char *bytes,
                          size_t len)
{
    output_status_clear(o);
    output_above(o);
    output_flush(o);
    if (!isatty(STDERR_FILENO)) {
        (void)fwrite(bytes, 1, len, stderr);
        return;
    }
    char *clean = output_clean(stream, bytes, len);
    (void)fputs(clean, stderr);
    free(clean);
}

void output_write_json(struct output *o, const char *line, size_t len)
{
    char *text = mem_strndup(line, len);
    char *clean = output_is_terminal(o) ? text_clean_json(text) : NULL;
    output_write(o, clean != NULL ? clean : text, clean != NULL ? strlen(clean) : len);
    output_write(o, "\n", 1);
    free(clean);
    free(text);
}

void output_flush(struct output *o)
{
    if (o->broken == 0 && fflush(o->file) != 0)
        o->broken = errno;
}

/* Columns of the line, escape sequences of colours left out. */
static size_t output_line_width(const char *line, size_t len)
{
    char *plain = mem_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\033')
            i += strcspn(line + i, "m");
        else
            plain[n++] = line[i];
    }
    plain[n] = '\0';
    size_t width = text_width(plain);
    free(plain);
    return width;
}

/* Whether the text has more lines than that, or a line that is wider than the terminal. */
static bool output_is_large(const struct output *o, const char *text, size_t len, size_t lines_max)
{
    size_t lines = 0;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end != NULL ? (size_t)(end - (text + at)) : len - at;
        if (++lines > lines_max || (n > o->width && output_line_width(text + at, n) > o->width))
            return true;
        at += n + 1;
    }
    return false;
}

static const char *output_pager(void)
{
    const char *pager = getenv("CLUSTERSH_PAGER");
    if (pager == NULL)
        pager = getenv("PAGER");
    return pager != NULL ? pager : "less -FRSX";
}

void output_page(struct output *o, const char *text, size_t len, size_t lines_min)
{
    const char *pager = output_pager();
    size_t lines_max = lines_min > 0 ? lines_min : o->height > 1 ? o->height - 1 : 1;
    bool is_paged = o->has_pager && pager[0] != '\0' && output_is_terminal(o) &&
                    isatty(STDIN_FILENO) && !output_is_dumb() &&
                    output_is_large(o, text, len, lines_max);
    FILE *to = NULL;
    if (is_paged) {
        output_status_clear(o);
        output_flush(o);
        interrupt_mute(true);
        to = popen(pager, "we");
    }
    if (to == NULL) {
        output_write(o, text, len);
        return;
    }
    (void)fwrite(text, 1, len, to);
    int status = pclose(to);
    interrupt_mute(false);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        output_write(o, text, len); /* there is no such pager, as sh has said */
}

/* For a while */

int output_push(struct output *o, const char *target, struct output_saved *saved, struct error *e)
{
    *saved = (struct output_saved){o->file, o->is_pipe, o->broken};
    FILE *file = o->file;
    o->file = stdout; /* so that what was there stays open */
    int rc = output_redirect(o, target, e);
    if (rc != 0)
        o->file = file;
    return rc;
}

int output_pop(struct output *o, const struct output_saved *saved)
{
    output_flush(o);
    int broken = o->broken;
    int status = output_close(o);
    o->file = saved->file;
    o->is_pipe = saved->is_pipe;
    o->broken = saved->broken;
    return broken != 0 && broken != EPIPE ? -broken : status;
}

/* Standard error */

void output_note(struct output *o, const char *fmt, ...)
{
    output_status_clear(o);
    output_above(o);
    output_flush(o);
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    (void)fflush(stderr);
}

void output_status(struct output *o, const char *fmt, ...)
{
    if (!isatty(STDERR_FILENO) || output_is_dumb())
        return;
    struct winsize size = {0};
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    size_t width = size.ws_col > 1 ? size.ws_col - 1U : OUTPUT_WIDTH_DEFAULT - 1;
    char *text;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    char *clean = text_clean(text, (size_t)n, false);
    char *cut = text_cut(clean, width);
    output_flush(o);
    (void)fprintf(stderr, "\r\033[K%s", cut);
    (void)fflush(stderr);
    o->status_shown = true;
    free(cut);
    free(clean);
    free(text);
}

void output_status_clear(struct output *o)
{
    if (!o->status_shown)
        return;
    o->status_shown = false;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
}
