#include "tests/lib/shell_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

void shell_bed_environment(void)
{
    static const char *const unset[] = {"NO_COLOR",        "CLUSTERSH_PAGER", "CLUSTERSH_TOKEN",
                                        "XDG_CONFIG_HOME", "CLUSTERSHRC",     "CLUSTERSH_EDITOR",
                                        "VISUAL",          "CLUSTERTOP",      "COLORTERM"};
    for (size_t i = 0; i < MEM_COUNT(unset); i++)
        (void)unsetenv(unset[i]);
    (void)setenv("LC_ALL", "C.UTF-8", 1);
    (void)setenv("INPUTRC", "/dev/null", 1);
    (void)setenv("PAGER", "", 1);
}

int shell_bed_set_up(void **state)
{
    struct shell_bed *bed = mem_zalloc(sizeof *bed);
    (void)snprintf(bed->dir, sizeof bed->dir, "/tmp/shell_bed.XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    (void)snprintf(bed->socket_path, sizeof bed->socket_path, "%s/api.sock", bed->dir);
    (void)snprintf(bed->history, sizeof bed->history, "%s/history", bed->dir);
    char *endpoint = mem_printf("unix:%s", bed->socket_path);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoint, 1), 0);
    assert_int_equal(setenv("CLUSTERSH_HISTORY", bed->history, 1), 0);
    assert_int_equal(setenv("HOME", bed->dir, 1), 0);
    assert_int_equal(setenv("DIR", bed->dir, 1), 0);
    free(endpoint);
    bed->cluster = fake_cluster_new(bed->socket_path);
    *state = bed;
    return 0;
}

int shell_bed_tear_down(void **state)
{
    struct shell_bed *bed = *state;
    screen_close(bed->screen);
    fake_cluster_free(bed->cluster);
    char *line = mem_printf("rm -rf '%s'", bed->dir);
    assert_int_equal(system(line), 0);
    free(line);
    free(bed);
    return 0;
}

struct screen *shell_bed_open_as(struct shell_bed *bed, const char *term, unsigned short rows,
                                 unsigned short columns, const char *const *arguments)
{
    const char *top = getenv("TOP_BUILDDIR");
    char *path = mem_printf("%s/clustersh", top != NULL ? top : ".");
    const char *argv[6] = {path};
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && i < 4; i++)
        argv[i + 1] = arguments[i];
    screen_close(bed->screen);
    bed->screen = screen_open(&(struct screen_options){argv, term, rows, columns});
    free(path);
    return bed->screen;
}

struct screen *shell_bed_open(struct shell_bed *bed)
{
    (void)shell_bed_open_as(bed, "xterm-256color", 24, 80, NULL);
    screen_wait_cursor(bed->screen, SHELL_BED_PROMPT);
    return bed->screen;
}

void shell_bed_run(struct shell_bed *bed, const char *line)
{
    /* Its last character alone: the line may take several rows. */
    screen_type(bed->screen, line);
    screen_wait_cursor(bed->screen, line + strlen(line) - 1);
    screen_type(bed->screen, "\r");
    screen_wait_cursor(bed->screen, "> ");
}

static const char *shell_bed_write_as(struct shell_bed *bed, const char *name, const char *text,
                                      mode_t mode)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bed->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

const char *shell_bed_write(struct shell_bed *bed, const char *name, const char *text)
{
    return shell_bed_write_as(bed, name, text, 0600);
}

const char *shell_bed_script(struct shell_bed *bed, const char *name, const char *text)
{
    return shell_bed_write_as(bed, name, text, 0700);
}

char *shell_bed_read(struct shell_bed *bed, const char *name)
{
    char path[160];
    char *text = NULL;
    size_t cap = 0;
    (void)snprintf(path, sizeof path, "%s/%s", bed->dir, name);
    FILE *file = fopen(path, "re");
    if (file == NULL || getdelim(&text, &cap, '\0', file) < 0) {
        free(text);
        text = mem_strdup("");
    }
    if (file != NULL)
        (void)fclose(file);
    return text;
}
