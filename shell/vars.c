#include "shell/vars.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command.h"

static const char vars_switch[] = "on|off|true|false|yes|no|1|0";

const struct vars_special vars_specials[] = {
    {"ECHO", "none|all|queries|errors",
     "what is shown before it runs: all lines of scripts, the statements as they are sent, those "
     "that failed"},
    {"ERROR", NULL, "set after each statement: whether it failed"},
    {"HISTCONTROL", "none|ignorespace",
     "ignorespace: lines that begin with a space stay out of the history"},
    {"LAST_ERROR_CODE", NULL, "set when a statement fails: the code of the API"},
    {"LAST_ERROR_MESSAGE", NULL, "set when a statement fails"},
    {"ON_ERROR_STOP", vars_switch,
     "end a script at its first error; on by default, and off at the prompt"},
    {"PROMPT1", NULL, "the prompt; help prompts lists what it may hold"},
    {"PROMPT2", NULL, "the prompt of further lines"},
    {"QUIET", vars_switch, "no greeting, no remarks about settings"},
    {"ROW_COUNT", NULL, "set after each statement: rows returned or changed"},
    {"SHELL_ERROR", NULL, "set by \\! and `...`: whether the command failed"},
    {"SHELL_EXIT_CODE", NULL, "set by \\! and `...`: how the command ended"},
    {.name = NULL},
};

void vars_init(struct vars *vars)
{
    *vars = (struct vars){0};
}

void vars_done(struct vars *vars)
{
    for (size_t i = 0; i < vars->n; i++) {
        free(vars->items[i].name);
        free(vars->items[i].value);
    }
    free(vars->items);
    *vars = (struct vars){0};
}

bool vars_is_name(const char *name, size_t len)
{
    if (len == 0 || len > VARS_NAME_MAX || isdigit((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c >= 0x80 || (!isalnum(c) && c != '_'))
            return false;
    }
    return true;
}

/* Where the name is, or would be. */
static size_t vars_find(const struct vars *vars, const char *name, bool *is_there)
{
    size_t low = 0;
    size_t high = vars->n;
    *is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(vars->items[middle].name, name);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *vars_get(const struct vars *vars, const char *name)
{
    bool is_there;
    size_t at = vars_find(vars, name, &is_there);
    return is_there ? vars->items[at].value : NULL;
}

static int vars_check(const char *name, const char *value, struct error *e)
{
    bool as_bool;
    if (!vars_is_name(name, strlen(name)))
        return error_set(e, ERR_INVALID,
                         "\"%.80s\" is no name of a variable: letters, digits and _ make one, no "
                         "digit first",
                         name);
    if (strlen(value) > VARS_VALUE_BYTES_MAX)
        return error_set(e, ERR_TOO_LARGE, "the value of %s is larger than %d bytes", name,
                         VARS_VALUE_BYTES_MAX);
    for (const struct vars_special *s = vars_specials; s->name != NULL; s++) {
        if (strcmp(s->name, name) != 0 || s->choices == NULL)
            continue;
        bool fits = s->choices == vars_switch ? vars_parse_bool(value, &as_bool) == 0
                                              : command_choices_has(s->choices, value);
        if (!fits)
            return error_set(e, ERR_INVALID, "%s: \"%.80s\" is none of %s", name, value,
                             s->choices);
    }
    return 0;
}

int vars_set(struct vars *vars, const char *name, const char *value, struct error *e)
{
    bool is_there;
    int rc = vars_check(name, value, e);
    if (rc != 0)
        return rc;
    size_t at = vars_find(vars, name, &is_there);
    char *copy = mem_strdup(value); /* may be of the variable itself */
    if (is_there) {
        free(vars->items[at].value);
        vars->items[at].value = copy;
        return 0;
    }
    if (vars->n == VARS_MAX) {
        free(copy);
        return error_set(e, ERR_TOO_LARGE, "there are %d variables already", VARS_MAX);
    }
    MEM_GROW(vars->items, vars->cap, vars->n + 1);
    memmove(vars->items + at + 1, vars->items + at, (vars->n - at) * sizeof *vars->items);
    vars->items[at] = (struct vars_item){mem_strdup(name), copy};
    vars->n++;
    return 0;
}

bool vars_unset(struct vars *vars, const char *name)
{
    bool is_there;
    size_t at = vars_find(vars, name, &is_there);
    if (!is_there)
        return false;
    free(vars->items[at].name);
    free(vars->items[at].value);
    vars->n--;
    memmove(vars->items + at, vars->items + at + 1, (vars->n - at) * sizeof *vars->items);
    return true;
}

int vars_parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *word;
        size_t min;
        bool value;
    } words[] = {
        {"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
        {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false},
    };
    size_t len = strlen(text);
    for (size_t i = 0; i < MEM_COUNT(words); i++) {
        if (len >= words[i].min && len <= strlen(words[i].word) &&
            strncasecmp(words[i].word, text, len) == 0) {
            *value = words[i].value;
            return 0;
        }
    }
    return ERR_INVALID;
}

bool vars_is_on(const struct vars *vars, const char *name, bool otherwise)
{
    const char *text = vars_get(vars, name);
    bool value = otherwise;
    if (text != NULL)
        (void)vars_parse_bool(text, &value);
    return value;
}
