/* What a person chose and finds again: the theme, and for each view the columns and the order of
 * its list. Kept in one small file of lines:
 *
 *     theme light
 *     hide nodes roles, labels
 *     sort jobs age descending
 *
 * Lines of other words are left as they are, so that an older clustertop loses nothing of a newer
 * one's. */
#ifndef TUI_SETTINGS_H
#define TUI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "tui/list.h"
#include "tui/theme.h"

enum { SETTINGS_BYTES_MAX = 64 * 1024, SETTINGS_VIEWS_MAX = 16, SETTINGS_NAME_MAX = 32 };

struct settings_view {
    char name[SETTINGS_NAME_MAX];
    char hide[LIST_COLUMNS_MAX * SETTINGS_NAME_MAX]; /* as it stands in the file */
    char sort[SETTINGS_NAME_MAX];                    /* "" for the view's own */
    bool descending;
};

struct settings {
    char *path; /* NULL: nothing is kept */
    enum theme theme;
    struct settings_view views[SETTINGS_VIEWS_MAX];
    size_t n;
    struct buf other; /* lines that are not understood */
};

/* $XDG_CONFIG_HOME/clusterd/clustertop.conf, or below ~/.config; malloc'ed, NULL when neither is
 * known. */
char *settings_default_path(void);

/* Takes `path`. A file that is not there is empty; one that can't be read, or a wrong line, is an
 * error, and what could be read counts. */
int settings_open(struct settings *settings, char *path, struct error *e);
void settings_done(struct settings *settings);

/* Gives a list the columns and the order that were chosen for the view. */
void settings_apply(struct settings *settings, const char *view, struct list *list);
/* Remembers those of the list; true when that changed something. */
bool settings_take(struct settings *settings, const char *view, const struct list *list);
/* Writes the file whole, with its folder when it is missing. */
int settings_save(const struct settings *settings, struct error *e);

#endif
