/* \pset: one row for each setting. */
#include "shell/cmd_meta_pset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/commands.h"

enum { PSET_VALUE_MAX = 128 };

struct cmd_meta_pset {
    struct cmd_meta_pset_row row;
    void (*get)(const struct shell *shell, char out[static PSET_VALUE_MAX]);
    /* `value` is one of the choices. Nonzero: it does not fit. */
    int (*set)(struct shell *shell, const char *value);
};

void cmd_meta_remark(struct shell *shell, const char *fmt, ...)
{
    if (!shell->is_interactive || vars_is_on(&shell->vars, "QUIET", false))
        return;
    va_list args;
    char *text;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    output_note(&shell->output, "%s", text);
    free(text);
}

static bool is_on(const char *value)
{
    return strcmp(value, "on") == 0;
}

static void say_switch(bool value, char out[static PSET_VALUE_MAX])
{
    (void)snprintf(out, PSET_VALUE_MAX, "%s", value ? "on" : "off");
}

/* Where the setting has a place in struct shell that is a bool. */
#define PSET_SWITCH(name, place)                                                                   \
    static void get_##name(const struct shell *shell, char out[static PSET_VALUE_MAX])             \
    {                                                                                              \
        say_switch(place, out);                                                                    \
    }                                                                                              \
    static int set_##name(struct shell *shell, const char *value)                                  \
    {                                                                                              \
        (place) = is_on(value);                                                                    \
        return 0;                                                                                  \
    }

#define PSET_SWITCH_OFF(name, place)                                                               \
    static void get_##name(const struct shell *shell, char out[static PSET_VALUE_MAX])             \
    {                                                                                              \
        say_switch(!(place), out);                                                                 \
    }                                                                                              \
    static int set_##name(struct shell *shell, const char *value)                                  \
    {                                                                                              \
        (place) = !is_on(value);                                                                   \
        return 0;                                                                                  \
    }

PSET_SWITCH(pager, shell->output.has_pager)
PSET_SWITCH(tuples_only, shell->settings.tuples_only)
PSET_SWITCH(timing, shell->settings.has_timing)
PSET_SWITCH_OFF(footer, shell->settings.no_footer)
PSET_SWITCH_OFF(highlight, shell->settings.no_highlight)

static void get_format(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    (void)snprintf(out, PSET_VALUE_MAX, "%s", format_name(shell->settings.format));
}

static int set_format(struct shell *shell, const char *value)
{
    return format_parse(value, &shell->settings.format);
}

static const char *const expanded_names[] = {"auto", "on", "off"};

static void get_expanded(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    (void)snprintf(out, PSET_VALUE_MAX, "%s", expanded_names[shell->settings.expanded]);
}

static int set_expanded(struct shell *shell, const char *value)
{
    for (size_t i = 0; i < MEM_COUNT(expanded_names); i++) {
        if (strcmp(expanded_names[i], value) == 0)
            shell->settings.expanded = (enum shell_expanded)i;
    }
    return 0;
}

/* As psql counts them. */
static const enum format_border borders[] = {FORMAT_BORDER_NONE, FORMAT_BORDER_INNER,
                                             FORMAT_BORDER_FULL};

static void get_border(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    for (size_t i = 0; i < MEM_COUNT(borders); i++) {
        if (borders[i] == shell->settings.border)
            (void)snprintf(out, PSET_VALUE_MAX, "%zu", i);
    }
}

static int set_border(struct shell *shell, const char *value)
{
    shell->settings.border = borders[value[0] - '0'];
    return 0;
}

static void get_null(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    const char *null = shell->settings.null;
    (void)snprintf(out, PSET_VALUE_MAX, "%.100s", null != NULL ? null : "NULL, nothing in csv");
}

static int set_null(struct shell *shell, const char *value)
{
    free((char *)shell->settings.null);
    shell->settings.null = mem_strdup(value);
    return 0;
}

static void get_lines(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    (void)snprintf(out, PSET_VALUE_MAX, "%u", shell->settings.pager_lines);
}

static int set_lines(struct shell *shell, const char *value)
{
    uint64_t lines;
    int rc = str_parse_u64(value, 0, 1000000, &lines);
    if (rc == 0)
        shell->settings.pager_lines = (unsigned)lines;
    return rc;
}

static void get_consistency(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    const char *level = shell->settings.consistency;
    (void)snprintf(out, PSET_VALUE_MAX, "%s", level != NULL ? level : "linearizable");
}

static int set_consistency(struct shell *shell, const char *value)
{
    shell->settings.consistency = strcmp(value, "weak") == 0    ? "weak"
                                  : strcmp(value, "stale") == 0 ? "stale"
                                                                : "linearizable";
    return 0;
}

static const char *const color_names[] = {"auto", "always", "never"};

static void get_color(const struct shell *shell, char out[static PSET_VALUE_MAX])
{
    (void)snprintf(out, PSET_VALUE_MAX, "%s", color_names[shell->output.color]);
}

static int set_color(struct shell *shell, const char *value)
{
    for (size_t i = 0; i < MEM_COUNT(color_names); i++) {
        if (strcmp(color_names[i], value) == 0)
            shell->output.color = (enum output_color)i;
    }
    return 0;
}

static const char on_off[] = "on|off";

static const struct cmd_meta_pset cmd_meta_psets[] = {
    {{"border", "0|1|2", "lines of tables: under the header, between columns too, a frame"},
     get_border,
     set_border},
    {{"color", "auto|always|never", "colours of results"}, get_color, set_color},
    {{"consistency", "linearizable|weak|stale", "of reads"}, get_consistency, set_consistency},
    {{"expanded", "auto|on|off", "each row as a list; auto: where a table does not fit"},
     get_expanded,
     set_expanded},
    {{"footer", on_off, "the count of rows under a table"}, get_footer, set_footer},
    {{"format", FORMAT_CHOICES, "of output"}, get_format, set_format},
    {{"highlight", on_off, "colours in the line that is typed"}, get_highlight, set_highlight},
    {{"null", NULL, "what NULL looks like in results of SQL"}, get_null, set_null},
    {{"pager", on_off, "what is higher or wider than the terminal goes through $PAGER"},
     get_pager,
     set_pager},
    {{"pager_min_lines", NULL, "only what has more lines than this; 0: than the terminal"},
     get_lines,
     set_lines},
    {{"timing", on_off, "how long each statement took"}, get_timing, set_timing},
    {{"tuples_only", on_off, "no header, no footer"}, get_tuples_only, set_tuples_only},
};

const struct cmd_meta_pset_row *cmd_meta_pset_at(size_t index)
{
    return index < MEM_COUNT(cmd_meta_psets) ? &cmd_meta_psets[index].row : NULL;
}

static const struct cmd_meta_pset *cmd_meta_pset_find(const char *name, struct error *e)
{
    for (size_t i = 0; i < MEM_COUNT(cmd_meta_psets); i++) {
        if (strcmp(cmd_meta_psets[i].row.name, name) == 0)
            return &cmd_meta_psets[i];
    }
    (void)error_set(e, ERR_INVALID, "there is no setting \"%.60s\"; \\pset lists them", name);
    return NULL;
}

/* "TRUE" and the like are "on" for a switch. */
static const char *cmd_meta_pset_value(const struct cmd_meta_pset *setting, const char *value)
{
    bool as_bool;
    bool is_switch = setting->row.choices != NULL && strcmp(setting->row.choices, on_off) == 0;
    return is_switch && vars_parse_bool(value, &as_bool) == 0 ? as_bool ? "on" : "off" : value;
}

int cmd_meta_pset_set(struct shell *shell, const char *name, const char *value, struct error *e)
{
    const struct cmd_meta_pset *setting = cmd_meta_pset_find(name, e);
    if (setting == NULL)
        return ERR_INVALID;
    value = cmd_meta_pset_value(setting, value);
    const char *choices = setting->row.choices;
    if (choices != NULL && !command_choices_has(choices, value))
        return error_set(e, ERR_INVALID, "%s: \"%.60s\" is none of %s", name, value, choices);
    if (setting->set(shell, value) != 0)
        return error_set(e, ERR_INVALID, "%s: \"%.60s\" is no number that fits", name, value);
    return 0;
}

static int cmd_meta_pset_list(struct shell *shell)
{
    static const struct column columns[] = {
        COLUMN("name", NULL, TEXT),
        COLUMN("value", NULL, TEXT),
        COLUMN("about", NULL, TEXT),
        COLUMN_END,
    };
    json_t *rows = json_array();
    for (size_t i = 0; i < MEM_COUNT(cmd_meta_psets); i++) {
        char value[PSET_VALUE_MAX] = "";
        cmd_meta_psets[i].get(shell, value);
        json_t *text = json_string(value);
        (void)json_array_append_new(rows,
                                    json_pack("{s:s, s:o, s:s}", "name", cmd_meta_psets[i].row.name,
                                              "value", text != NULL ? text : json_string("?"),
                                              "about", cmd_meta_psets[i].row.help));
    }
    shell_print_rows(shell, columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

/* Without a value a switch turns over, anything else is shown. */
static int cmd_meta_pset_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    const char *value = command_argument_text(call, 1);
    char now[PSET_VALUE_MAX] = "";
    struct error e = {0};
    if (name == NULL)
        return cmd_meta_pset_list(shell);
    const struct cmd_meta_pset *setting = cmd_meta_pset_find(name, &e);
    bool is_switch = setting != NULL && setting->row.choices != NULL &&
                     strcmp(setting->row.choices, on_off) == 0;
    if (setting != NULL && value == NULL && is_switch) {
        setting->get(shell, now);
        value = is_on(now) ? "off" : "on";
    }
    if (setting == NULL || (value != NULL && cmd_meta_pset_set(shell, name, value, &e) != 0)) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    setting->get(shell, now);
    if (value == NULL)
        shell_say(shell, "%s is %s", name, now);
    else
        cmd_meta_remark(shell, "%s is %s", name, now);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_pset = {
    .name = "\\pset",
    .summary = "Set how results look: format, border, null, pager and others",
    .text = "Without a name it lists the settings, their values and what they do. Without a value "
            "a switch turns over.",
    .arguments = {{"NAME", COMMAND_TYPE_SETTING, COMMAND_COUNT_OPTIONAL, NULL,
                   "border, color, consistency, expanded, footer, format, highlight, null, pager, "
                   "pager_min_lines, timing or tuples_only"},
                  {"VALUE", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL, "its value"}},
    .examples = {{"\\pset format csv", "for the rest of the session"},
                 {"\\pset null '-'", "a dash for every NULL"}},
    .run = cmd_meta_pset_run,
};

/* Letters for some of them */

static int cmd_meta_set_one(struct shell *shell, const char *name, const char *value)
{
    struct error e = {0};
    char now[PSET_VALUE_MAX] = "";
    const struct cmd_meta_pset *setting = cmd_meta_pset_find(name, &e);
    setting->get(shell, now);
    if (value == NULL)
        value = is_on(now) ? "off" : "on";
    if (cmd_meta_pset_set(shell, name, value, &e) != 0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    setting->get(shell, now);
    cmd_meta_remark(shell, "%s is %s", name, now);
    return SHELL_STATUS_OK;
}

static int cmd_meta_timing_run(struct shell *shell, const struct command_call *call)
{
    return cmd_meta_set_one(shell, "timing", command_argument_text(call, 0));
}

const struct command cmd_meta_timing = {
    .name = "\\timing",
    .summary = "Show how long each statement took",
    .arguments = {{"on|off", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off",
                   "without it: turn over"}},
    .run = cmd_meta_timing_run,
};

static int cmd_meta_tuples_run(struct shell *shell, const struct command_call *call)
{
    return cmd_meta_set_one(shell, "tuples_only", command_argument_text(call, 0));
}

const struct command cmd_meta_tuples = {
    .name = "\\t",
    .summary = "Show only the rows: no header, no footer",
    .arguments = {{"on|off", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off",
                   "without it: turn over"}},
    .run = cmd_meta_tuples_run,
};

static int cmd_meta_expanded_run(struct shell *shell, const struct command_call *call)
{
    const char *value = command_argument_text(call, 0);
    if (value == NULL)
        value = shell->settings.expanded == SHELL_EXPANDED_ON ? "auto" : "on";
    return cmd_meta_set_one(shell, "expanded", value);
}

const struct command cmd_meta_expanded = {
    .name = "\\x",
    .summary = "Show each row as a list: on, off, or auto where a table does not fit",
    .arguments = {{"on|off|auto", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off|auto",
                   "without it: turn over"}},
    .run = cmd_meta_expanded_run,
};

static int cmd_meta_format_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    return cmd_meta_set_one(shell, "format", "table");
}

const struct command cmd_meta_aligned = {
    .name = "\\a",
    .summary = "Show results as tables again",
    .run = cmd_meta_format_run,
};
