#include "tests/lib/top_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

int top_bed_set_up(void **state)
{
    struct top_bed *w = mem_zalloc(sizeof *w);
    const char *build = getenv("TOP_BUILDDIR");
    (void)snprintf(w->program, sizeof w->program, "%s/clustertop", build != NULL ? build : ".");
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/clustertop_pty.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->socket_path, sizeof w->socket_path, "%s/api.sock", w->dir);
    char *endpoint = mem_printf("unix:%s", w->socket_path);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoint, 1), 0);
    assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    assert_int_equal(unsetenv("TMUX"), 0);
    assert_int_equal(setenv("XDG_CONFIG_HOME", w->dir, 1), 0);
    free(endpoint);
    *state = w;
    return 0;
}

int top_bed_tear_down(void **state)
{
    struct top_bed *w = *state;
    screen_close(w->screen);
    if (w->top != NULL)
        fake_top_free(w->top);
    (void)unlink(w->socket_path);
    char *file = mem_printf("%s/clusterd/clustertop.conf", w->dir);
    (void)unlink(file);
    *strrchr(file, '/') = '\0';
    (void)rmdir(file);
    free(file);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

void top_bed_begin(struct top_bed *w, unsigned nodes, double rate, bool is_hostile)
{
    w->top = fake_top_new(&(struct fake_top_options){.socket_path = w->socket_path,
                                                     .nodes = nodes,
                                                     .jobs = 12,
                                                     .rate = rate,
                                                     .with_vitals = true,
                                                     .is_hostile = is_hostile,
                                                     .seed = 7});
}

struct screen *top_bed_open(struct top_bed *w, const char *term, unsigned short rows,
                            unsigned short columns, const char *option)
{
    const char *const argv[] = {w->program, option, NULL};
    screen_close(w->screen);
    w->screen = screen_open(&(struct screen_options){argv, term, rows, columns});
    return w->screen;
}

struct screen *top_bed_open_usual(struct top_bed *w)
{
    if (w->top == NULL)
        top_bed_begin(w, 3, 0, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, NULL);
    screen_wait(s, "3 nodes");
    return s;
}

void top_bed_check_restored(struct screen *s)
{
    size_t len;
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    const char *left = strstr(text, "\033[?1049l");
    assert_non_null(left);
    assert_null(strstr(left, "\033[?1049h"));
    assert_non_null(strstr(text, "\033[?2004l"));
    free(text);
}

int top_bed_run(const char *command, char *out, size_t size)
{
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
