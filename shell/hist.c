#include "shell/hist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/mem.h"

enum { HIST_FILE_BYTES_MAX = 64 * 1024 * 1024, HIST_OPENS_MAX = 8 };

char *hist_default_path(void)
{
    const char *given = getenv("CLUSTERSH_HISTORY");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);
    if (state != NULL && state[0] == '/')
        return mem_printf("%s/clustersh/history", state);
    if (home != NULL && home[0] == '/')
        return mem_printf("%s/.local/state/clustersh/history", home);
    return NULL;
}

/* The form in the file */

static char *hist_escape(const char *item)
{
    struct buf b;
    buf_init(&b, 2 * strlen(item) + 1);
    for (; *item != '\0'; item++) {
        if (*item == '\n')
            (void)buf_append_str(&b, "\\n");
        else if (*item == '\\')
            (void)buf_append_str(&b, "\\\\");
        else
            (void)buf_append_byte(&b, (uint8_t)*item);
    }
    return buf_steal(&b, NULL);
}

static void hist_unescape(char *line)
{
    char *to = line;
    for (const char *from = line; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0')
            *to++ = *++from == 'n' ? '\n' : *from;
        else
            *to++ = *from;
    }
    *to = '\0';
}

/* Loading */

struct hist_line {
    UT_hash_handle hh;
    char *text;
};

struct hist_lines {
    char **lines; /* escaped, oldest first */
    size_t n;
    size_t cap;
};

static void hist_lines_done(struct hist_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        free(lines->lines[i]);
    free(lines->lines);
}

/* Keeps the last of equal lines, and of those the newest HIST_ITEMS_MAX. */
static void hist_lines_dedupe(struct hist_lines *lines)
{
    struct hist_line *seen = NULL;
    struct hist_line *found;
    struct hist_line *next;
    size_t to = lines->n;
    for (size_t i = lines->n; i-- > 0;) {
        char *text = lines->lines[i];
        HASH_FIND_STR(seen, text, found);
        if (found != NULL || lines->n - to == HIST_ITEMS_MAX) {
            free(text);
            continue;
        }
        found = mem_zalloc(sizeof *found);
        found->text = text;
        HASH_ADD_KEYPTR(hh, seen, found->text, strlen(found->text), found);
        lines->lines[--to] = text;
    }
    HASH_ITER (hh, seen, found, next) {
        HASH_DEL(seen, found);
        free(found);
    }
    if (lines->n > to)
        memmove(lines->lines, lines->lines + to, (lines->n - to) * sizeof *lines->lines);
    lines->n -= to;
}

static void hist_lines_read(struct hist_lines *lines, FILE *file)
{
    char *line = NULL;
    size_t cap = 0;
    size_t total = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, file)) > 0 && total < HIST_FILE_BYTES_MAX) {
        total += (size_t)n;
        if (line[n - 1] == '\n')
            line[--n] = '\0';
        if (n == 0 || n > HIST_ITEM_BYTES_MAX)
            continue;
        MEM_GROW(lines->lines, lines->cap, lines->n + 1);
        lines->lines[lines->n++] = mem_strndup(line, (size_t)n);
    }
    free(line);
}

/* Replaces the file under its lock. Another shell that waits for the lock sees that it was
 * replaced. */
static void hist_rewrite(const char *path, FILE *old, const struct hist_lines *lines)
{
    char *path_new = mem_printf("%s.%ld", path, (long)getpid());
    if (flock(fileno(old), LOCK_EX | LOCK_NB) == 0) {
        int fd = open(path_new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (file != NULL) {
            bool is_good = true;
            for (size_t i = 0; i < lines->n && is_good; i++)
                is_good = fprintf(file, "%s\n", lines->lines[i]) > 0;
            if (fclose(file) != 0 || !is_good || rename(path_new, path) != 0)
                (void)unlink(path_new);
        }
    }
    free(path_new);
}

int hist_load(const char *path, struct error *e)
{
    struct hist_lines lines = {0};
    using_history();
    stifle_history(HIST_ITEMS_MAX);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT ? 0 : error_set(e, -errno, "history %s: %s", path, strerror(errno));
    errno = 0;
    hist_lines_read(&lines, file);
    if (ferror(file)) {
        int code = errno != 0 ? errno : EIO;
        (void)fclose(file);
        hist_lines_done(&lines);
        return error_set(e, -code, "history %s: %s", path, strerror(code));
    }
    bool is_long = lines.n >= 2 * HIST_ITEMS_MAX;
    hist_lines_dedupe(&lines);
    if (is_long)
        hist_rewrite(path, file, &lines);
    for (size_t i = 0; i < lines.n; i++) {
        hist_unescape(lines.lines[i]);
        add_history(lines.lines[i]);
    }
    (void)fclose(file);
    hist_lines_done(&lines);
    return 0;
}

/* Adding */

static void hist_forget_equal(const char *item)
{
    HIST_ENTRY **list = history_list();
    for (int i = 0; list != NULL && list[i] != NULL; i++) {
        if (strcmp(list[i]->line, item) != 0)
            continue;
        HIST_ENTRY *entry = remove_history(i);
        free(entry->line);
        free(entry->timestamp);
        free(entry);
        return;
    }
}

static void hist_make_folders(const char *path)
{
    char *copy = mem_strdup(path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0700);
        *slash = '/';
    }
    free(copy);
}

/* Opens the file and locks it; again when it was replaced before the lock was had. A file system
 * without locks gives it unlocked. */
static int hist_open_locked(const char *path)
{
    for (int tries = 1;; tries++) {
        struct stat open_st;
        struct stat path_st;
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 && errno == ENOENT) {
            hist_make_folders(path);
            fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        }
        if (fd < 0)
            return -errno;
        bool is_same = flock(fd, LOCK_EX) == 0 && fstat(fd, &open_st) == 0 &&
                       stat(path, &path_st) == 0 && open_st.st_ino == path_st.st_ino;
        if (is_same || tries == HIST_OPENS_MAX)
            return fd;
        (void)close(fd);
    }
}

static int hist_append(const char *path, const char *item, struct error *e)
{
    int fd = hist_open_locked(path);
    if (fd < 0)
        return error_set(e, fd, "history %s: %s", path, strerror(-fd));
    char *escaped = hist_escape(item);
    char *line = mem_printf("%s\n", escaped);
    size_t len = strlen(line);
    ssize_t n = write(fd, line, len);
    int code = n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
    (void)close(fd);
    free(line);
    free(escaped);
    return code == 0 ? 0 : error_set(e, code, "history %s: %s", path, strerror(-code));
}

char *hist_text(void)
{
    struct buf b;
    HIST_ENTRY **list = history_list();
    buf_init(&b, SIZE_MAX / 4);
    for (int i = 0; list != NULL && list[i] != NULL; i++)
        (void)buf_printf(&b, "%s\n", list[i]->line);
    return buf_steal(&b, NULL);
}

int hist_add(const char *path, const char *item, struct error *e)
{
    size_t len = strlen(item);
    while (len > 0 && strchr(" \t\r\n", item[len - 1]) != NULL)
        len--;
    if (len == 0 || len > HIST_ITEM_BYTES_MAX)
        return 0;
    char *text = mem_strndup(item, len);
    hist_forget_equal(text);
    add_history(text);
    int rc = path != NULL ? hist_append(path, text, e) : 0;
    free(text);
    return rc;
}
