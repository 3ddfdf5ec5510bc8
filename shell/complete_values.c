#include "shell/complete_values.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/cmd_meta_pset.h"
#include "shell/format.h"
#include "shell/vars.h"
#include "wire/event_kind.h"

static void complete_choices(struct complete *complete, const char *choices)
{
    while (choices != NULL && *choices != '\0') {
        size_t n = strcspn(choices, "|");
        char *text = mem_strndup(choices, n);
        complete_add(complete, text, NULL);
        free(text);
        choices += n + (choices[n] == '|');
    }
}

static bool complete_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void complete_files(struct complete *complete)
{
    const char *slash = strrchr(complete->prefix, '/');
    size_t len = slash != NULL ? (size_t)(slash - complete->prefix) + 1 : 0;
    const char *base = complete->prefix + len;
    char *folder = len > 0 ? mem_strndup(complete->prefix, len) : mem_strdup(".");
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        bool is_hidden = entry->d_name[0] == '.';
        if ((is_hidden && base[0] != '.') || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        char *path = mem_printf("%.*s%s", (int)len, complete->prefix, entry->d_name);
        char *shown = complete_is_folder(path) ? mem_printf("%s/", path) : mem_strdup(path);
        complete_add(complete, shown, NULL);
        free(shown);
        free(path);
    }
    if (dir != NULL)
        (void)closedir(dir);
    free(folder);
    complete->is_open = complete->n == 1 && str_ends_with(complete->items[0].text, "/");
}

/* What is set, and what would mean something. */
static void complete_variables(struct complete *complete, complete_names_fn names, void *arg)
{
    for (const struct vars_special *s = vars_specials; s->name != NULL; s++)
        complete_add(complete, s->name, s->help);
    names(arg, COMPLETE_NAMES_VARIABLES, complete);
}

static void complete_settings(struct complete *complete)
{
    const struct cmd_meta_pset_row *row;
    for (size_t i = 0; (row = cmd_meta_pset_at(i)) != NULL; i++)
        complete_add(complete, row->name, row->help);
}

/* The last item of a set: behind the last ',', '!' or '&'. */
static void complete_nodes(struct complete *complete, complete_names_fn names, void *arg)
{
    size_t len = strlen(complete->prefix);
    while (len > 0 && strchr(",!& ", complete->prefix[len - 1]) == NULL)
        len--;
    struct complete item = {.prefix = mem_strdup(complete->prefix + len)};
    names(arg, COMPLETE_NAMES_NODES, &item);
    names(arg, COMPLETE_NAMES_GROUPS, &item);
    for (size_t i = 0; i < item.n; i++) {
        char *text = mem_printf("%.*s%s", (int)len, complete->prefix, item.items[i].text);
        complete_add(complete, text, item.items[i].about);
        free(text);
    }
    complete_done(&item);
}

/* The last of a list of kinds of events: each, and each beginning. */
static void complete_kinds(struct complete *complete)
{
    const char *comma = strrchr(complete->prefix, ',');
    size_t len = comma != NULL ? (size_t)(comma - complete->prefix) + 1 : 0;
    for (unsigned kind = EVENT_NONE + 1; kind < EVENT_KINDS; kind++) {
        const struct event_kind_row *row = event_kind_row((enum event_kind)kind);
        size_t area = strcspn(row->name, ".");
        char *text = mem_printf("%.*s%s", (int)len, complete->prefix, row->name);
        char *all = mem_printf("%.*s%.*s.*", (int)len, complete->prefix, (int)area, row->name);
        complete_add(complete, text, row->help);
        complete_add(complete, all, NULL);
        free(text);
        free(all);
    }
}

void complete_values(struct complete *complete, enum command_type type, const char *choices,
                     complete_names_fn names, void *arg)
{
    switch (type) {
    case COMMAND_TYPE_FORMAT:
        complete_choices(complete, format_choices);
        break;
    case COMMAND_TYPE_NODE:
        names(arg, COMPLETE_NAMES_NODES, complete);
        break;
    case COMMAND_TYPE_NODES:
        complete_nodes(complete, names, arg);
        break;
    case COMMAND_TYPE_JOB:
        names(arg,
              strchr(complete->prefix, '_') != NULL ? COMPLETE_NAMES_TASKS : COMPLETE_NAMES_JOBS,
              complete);
        break;
    case COMMAND_TYPE_KEY:
        names(arg, COMPLETE_NAMES_KEYS, complete);
        break;
    case COMMAND_TYPE_KINDS:
        complete_kinds(complete);
        break;
    case COMMAND_TYPE_FILE:
    case COMMAND_TYPE_PIPE:
        if (complete->leaves_files)
            complete->wants_files = true;
        else
            complete_files(complete);
        break;
    case COMMAND_TYPE_VARIABLE:
        complete_variables(complete, names, arg);
        break;
    case COMMAND_TYPE_SETTING:
        complete_settings(complete);
        break;
    case COMMAND_TYPE_ENDPOINT:
        names(arg, COMPLETE_NAMES_NODES, complete);
        break;
    case COMMAND_TYPE_TABLE:
        names(arg, COMPLETE_NAMES_TABLES, complete);
        break;
    case COMMAND_TYPE_FUNCTION:
        names(arg, COMPLETE_NAMES_FUNCTIONS, complete);
        break;
    case COMMAND_TYPE_MODEL:
        names(arg, COMPLETE_NAMES_MODELS, complete);
        break;
    case COMMAND_TYPE_SERVICE:
        names(arg, COMPLETE_NAMES_SERVICES, complete);
        break;
    case COMMAND_TYPE_CHANNEL:
        names(arg, COMPLETE_NAMES_CHANNELS, complete);
        break;
    case COMMAND_TYPE_TXN:
        names(arg, COMPLETE_NAMES_TXNS, complete);
        break;
    case COMMAND_TYPE_QUERY:
        names(arg, COMPLETE_NAMES_QUERIES, complete);
        break;
    default:
        complete_choices(complete, choices);
        break;
    }
}
