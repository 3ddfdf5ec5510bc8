/* The file is read whole, a line at a time, and written whole: a new one takes the old one's
 * place. */
#include "tui/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

char *settings_default_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        return mem_printf("%s/clusterd/clustertop.conf", config);
    if (home != NULL && home[0] == '/')
        return mem_printf("%s/.config/clusterd/clustertop.conf", home);
    return NULL;
}

static struct settings_view *settings_view(struct settings *settings, const char *name, bool make)
{
    for (size_t i = 0; i < settings->n; i++)
        if (strcmp(settings->views[i].name, name) == 0)
            return &settings->views[i];
    if (!make || settings->n == SETTINGS_VIEWS_MAX || strlen(name) >= SETTINGS_NAME_MAX)
        return NULL;
    struct settings_view *view = &settings->views[settings->n++];
    *view = (struct settings_view){0};
    memcpy(view->name, name, strlen(name) + 1);
    return view;
}

/* Cuts the first word off `*rest`, which then is what follows it. */
static char *settings_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    size_t len = strcspn(word, " \t");
    *rest = word + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    *rest += strspn(*rest, " \t");
    return word;
}

static bool settings_take_sort(struct settings_view *view, char *rest)
{
    static const char descending[] = " descending";
    size_t len = strlen(rest);
    size_t tail = sizeof descending - 1;
    view->descending = len > tail && strcmp(rest + len - tail, descending) == 0;
    if (view->descending)
        rest[len -= tail] = '\0';
    if (len == 0 || len >= sizeof view->sort)
        return false;
    memcpy(view->sort, rest, len + 1);
    return true;
}

/* False for a line that has the right first word and is wrong behind it. */
static bool settings_take_line(struct settings *settings, const char *line)
{
    char *copy = mem_strdup(line);
    char *rest = copy;
    const char *word = settings_word(&rest);
    bool is_right = true;
    if (strcmp(word, "theme") == 0) {
        is_right = theme_from_name(rest, &settings->theme);
    } else if (strcmp(word, "hide") == 0 || strcmp(word, "sort") == 0) {
        struct settings_view *view = settings_view(settings, settings_word(&rest), true);
        if (view == NULL)
            is_right = false;
        else if (word[0] == 's')
            is_right = settings_take_sort(view, rest);
        else if ((is_right = strlen(rest) < sizeof view->hide))
            memcpy(view->hide, rest, strlen(rest) + 1);
    } else if (word[0] != '\0') {
        (void)buf_printf(&settings->other, "%s\n", line);
    }
    free(copy);
    return is_right;
}

static int settings_read(const char *path, struct buf *text, struct error *e)
{
    char bytes[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_set(e, -errno, "%s: %s", path, strerror(errno));
    int rc = 0;
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0)
            rc = error_set(e, -errno, "%s: %s", path, strerror(errno));
        else if (n > 0 && buf_append(text, bytes, (size_t)n) != 0)
            rc = error_set(e, ERR_TOO_LARGE, "%s has more than %d bytes", path, SETTINGS_BYTES_MAX);
        if (n <= 0 || rc != 0)
            break;
    }
    (void)close(fd);
    return rc;
}

int settings_open(struct settings *settings, char *path, struct error *e)
{
    struct buf text;
    *settings = (struct settings){.path = path};
    buf_init(&settings->other, SETTINGS_BYTES_MAX);
    if (path == NULL)
        return 0;
    buf_init(&text, SETTINGS_BYTES_MAX);
    int rc = settings_read(path, &text, e);
    char *rest = mem_strndup(buf_cstr(&text), text.len);
    char *from = rest;
    for (int number = 1; from[0] != '\0'; number++) {
        size_t len = strcspn(from, "\n");
        bool is_last = from[len] == '\0';
        from[len] = '\0';
        if (!settings_take_line(settings, from) && rc == 0)
            rc = error_set(e, ERR_INVALID, "%s:%d: not understood: %.60s", path, number, from);
        from += len + !is_last;
    }
    free(rest);
    buf_done(&text);
    return rc;
}

void settings_done(struct settings *settings)
{
    free(settings->path);
    buf_done(&settings->other);
    *settings = (struct settings){0};
}

/* Whether `name` is among those of "a, b c, d". */
static bool settings_names(const char *names, const char *name)
{
    while (names[0] != '\0') {
        names += strspn(names, ", \t");
        size_t len = strcspn(names, ",");
        if (len == strlen(name) && strncmp(names, name, len) == 0)
            return true;
        names += len;
    }
    return false;
}

void settings_apply(struct settings *settings, const char *name, struct list *list)
{
    struct settings_view *view = settings_view(settings, name, false);
    if (view == NULL)
        return;
    for (int i = 0; i < list_columns(list); i++) {
        char label[LIST_LABEL_MAX];
        if (settings_names(view->hide, list_column_label(list, i, label)))
            list_hide(list, i, true);
        if (view->sort[0] != '\0' && strcmp(view->sort, label) == 0 &&
            !list->source->columns[i].is_drawn)
            list_sort_by_column(list, i, view->descending);
    }
}

bool settings_take(struct settings *settings, const char *name, const struct list *list)
{
    struct settings_view *view = settings_view(settings, name, true);
    struct settings_view before;
    if (view == NULL)
        return false;
    before = *view;
    view->hide[0] = view->sort[0] = '\0';
    view->descending = false;
    size_t used = 0;
    for (int i = 0; i < list_columns(list); i++) {
        char label[LIST_LABEL_MAX];
        (void)list_column_label(list, i, label);
        if (list_is_hidden(list, i) && used < sizeof view->hide)
            used += (size_t)snprintf(view->hide + used, sizeof view->hide - used, "%s%s",
                                     used > 0 ? ", " : "", label);
        if (list->is_sort_set && list->sort == i) {
            (void)snprintf(view->sort, sizeof view->sort, "%.*s", SETTINGS_NAME_MAX - 1, label);
            view->descending = list->descending;
        }
    }
    return strcmp(before.hide, view->hide) != 0 || strcmp(before.sort, view->sort) != 0 ||
           before.descending != view->descending;
}

static void settings_print(const struct settings *settings, struct buf *b)
{
    if (settings->theme != THEME_DARK)
        (void)buf_printf(b, "theme %s\n", theme_name(settings->theme));
    for (size_t i = 0; i < settings->n; i++) {
        const struct settings_view *view = &settings->views[i];
        if (view->hide[0] != '\0')
            (void)buf_printf(b, "hide %s %s\n", view->name, view->hide);
        if (view->sort[0] != '\0')
            (void)buf_printf(b, "sort %s %s%s\n", view->name, view->sort,
                             view->descending ? " descending" : "");
    }
    (void)buf_append(b, settings->other.data, settings->other.len);
}

static void settings_make_folders(const char *path)
{
    char *folder = mem_strdup(path);
    for (char *at = strchr(folder + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(folder, 0700); /* what is wrong shows when the file is made */
        *at = '/';
    }
    free(folder);
}

int settings_save(const struct settings *settings, struct error *e)
{
    struct buf b;
    if (settings->path == NULL)
        return error_set(e, ERR_UNAVAILABLE, "neither XDG_CONFIG_HOME nor HOME says where");
    buf_init(&b, SETTINGS_BYTES_MAX * 2);
    settings_print(settings, &b);
    settings_make_folders(settings->path);
    char *next = mem_printf("%s.%d", settings->path, (int)getpid());
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = 0;
    if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len || fsync(fd) != 0 ||
        rename(next, settings->path) != 0) {
        rc = error_set(e, errno != 0 ? -errno : -EIO, "%s: %s", settings->path, strerror(errno));
        if (fd >= 0)
            (void)unlink(next);
    }
    if (fd >= 0)
        (void)close(fd);
    free(next);
    buf_done(&b);
    return rc;
}
