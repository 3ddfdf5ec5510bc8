#include "shell/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
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

static void output_close(struct output *o)
{
    if (o->file == stdout)
        return;
    if (o->is_pipe)
        (void)pclose(o->file);
    else
        (void)fclose(o->file);
    o->file = stdout;
    o->is_pipe = false;
}

void output_done(struct output *o)
{
    output_status_clear(o);
    output_flush(o);
    output_close(o);
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
    output_close(o);
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

void output_write(struct output *o, const void *bytes, size_t len)
{
    output_status_clear(o);
    if (o->broken == 0 && len > 0 && fwrite(bytes, 1, len, o->file) != len)
        o->broken = errno;
}

void output_flush(struct output *o)
{
    if (o->broken == 0 && fflush(o->file) != 0)
        o->broken = errno;
}

static size_t output_count_lines(const char *text, size_t len)
{
    size_t lines = 0;
    for (const char *p = text; (p = memchr(p, '\n', len - (size_t)(p - text))) != NULL; p++)
        lines++;
    return lines;
}

static const char *output_pager(void)
{
    const char *pager = getenv("CLUSTERSH_PAGER");
    if (pager == NULL)
        pager = getenv("PAGER");
    return pager != NULL ? pager : "less -FRSX";
}

void output_page(struct output *o, const char *text, size_t len)
{
    const char *pager = output_pager();
    bool is_paged = o->has_pager && pager[0] != '\0' && output_is_terminal(o) &&
                    !output_is_dumb() && output_count_lines(text, len) + 1 > o->height;
    FILE *to = NULL;
    if (is_paged) {
        output_flush(o);
        to = popen(pager, "we");
    }
    if (to == NULL) {
        output_write(o, text, len);
        return;
    }
    (void)fwrite(text, 1, len, to);
    (void)pclose(to);
}

/* Standard error */

void output_note(struct output *o, const char *fmt, ...)
{
    output_status_clear(o);
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
