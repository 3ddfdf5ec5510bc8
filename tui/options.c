#include "tui/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "base/str.h"
#include "tui/app.h"

enum { OPTIONS_INTERVAL_MIN_MS = 20, OPTIONS_INTERVAL_MAX_MS = 60000, OPTIONS_HELP_COLUMN = 24 };

enum options_kind {
    OPTIONS_FLAG,
    OPTIONS_TEXT,
    OPTIONS_INTERVAL,
    OPTIONS_FORMAT,
    OPTIONS_VIEW,
    OPTIONS_THEME,
};

struct options_row {
    char letter; /* 0: none */
    const char *name;
    const char *value; /* placeholder; NULL for flags */
    enum options_kind kind;
    size_t at; /* in struct options */
    const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct options_row options_rows[] = {
    {'s', "server", "ENDPOINT", OPTIONS_TEXT, AT(server),
     "unix:PATH, http://HOST:PORT or https://HOST:PORT; several apart by commas"},
    {'v', "view", "NAME", OPTIONS_VIEW, AT(view),
     "begin with overview, nodes, elections, jobs, queries, rollouts, chat or logs"},
    {'r', "readonly", NULL, OPTIONS_FLAG, AT(readonly), "change nothing, whatever is typed"},
    {0, "replay", "FILE", OPTIONS_TEXT, AT(replay),
     "show what a report of clusterd report holds, without a cluster"},
    {'1', "once", NULL, OPTIONS_FLAG, AT(once), "print what the view shows and end"},
    {'o', "output", "FORMAT", OPTIONS_FORMAT, AT(json), "of --once: text or json"},
    {'i', "interval", "TIME", OPTIONS_INTERVAL, AT(interval_ms),
     "between two pictures at least; default 200ms"},
    {0, "ascii", NULL, OPTIONS_FLAG, AT(ascii), "no other characters than ASCII"},
    {0, "no-color", NULL, OPTIONS_FLAG, AT(no_color), "no colours; also when NO_COLOR is set"},
    {0, "theme", "NAME", OPTIONS_THEME, AT(theme),
     "colours for a dark or a light terminal, or mono; :theme remembers one"},
    {0, "no-mouse", NULL, OPTIONS_FLAG, AT(no_mouse), "leave the mouse to the terminal"},
    {0, "token-file", "FILE", OPTIONS_TEXT, AT(token_file),
     "the token for TCP; default $CLUSTERSH_TOKEN, or api.token beside the socket"},
    {0, "ca", "FILE", OPTIONS_TEXT, AT(ca), "authority that https is checked by"},
    {0, "cert", "FILE", OPTIONS_TEXT, AT(cert), "client certificate for https"},
    {0, "key", "FILE", OPTIONS_TEXT, AT(key), "its key"},
    {'V', "version", NULL, OPTIONS_FLAG, AT(version), "print the version"},
    {'h', "help", NULL, OPTIONS_FLAG, AT(help), "show this help"},
    {0, "dump-man", "PAGE", OPTIONS_TEXT, AT(dump_man),
     "print a manual page as mdoc; list names the pages"},
};

enum { OPTIONS_N = sizeof options_rows / sizeof options_rows[0] };

static int options_take(struct options *options, const struct options_row *row, const char *value,
                        struct error *e)
{
    char *to = (char *)options + row->at;
    int64_t ms;
    switch (row->kind) {
    case OPTIONS_FLAG:
        *(bool *)to = true;
        return 0;
    case OPTIONS_TEXT:
        *(const char **)to = value;
        return 0;
    case OPTIONS_FORMAT:
        *(bool *)to = strcmp(value, "json") == 0;
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
            return error_set(e, ERR_INVALID, "--output is text or json, not '%.64s'", value);
        return 0;
    case OPTIONS_INTERVAL:
        if (str_parse_duration_ms(value, &ms) != 0 || ms < OPTIONS_INTERVAL_MIN_MS ||
            ms > OPTIONS_INTERVAL_MAX_MS)
            return error_set(e, ERR_INVALID, "--interval is a time from 20ms to 60s, not '%.64s'",
                             value);
        *(int64_t *)to = ms;
        return 0;
    case OPTIONS_THEME:
        if (!theme_from_name(value, (enum theme *)to))
            return error_set(e, ERR_INVALID, "--theme is dark, light or mono, not '%.64s'", value);
        return 0;
    case OPTIONS_VIEW:
        *(const char **)to = value;
        for (size_t i = 0; view_tabs[i] != NULL; i++) {
            if (value[0] != '\0' && str_starts_with(view_tabs[i]->name, value))
                return 0;
        }
        return error_set(e, ERR_INVALID, "there is no view '%.64s': %s", value, row->help);
    }
    return 0;
}

int options_parse(struct options *options, int argc, const char *const *argv, struct error *e)
{
    struct option longs[OPTIONS_N + 1] = {0};
    char shorts[OPTIONS_N * 2 + 2] = ":";
    size_t len = 1;
    int chosen;
    *options = (struct options){.interval_ms = 200, .theme = -1};
    for (int i = 0; i < OPTIONS_N; i++) {
        const struct options_row *row = &options_rows[i];
        longs[i] = (struct option){row->name, row->value != NULL, NULL, 256 + i};
        if (row->letter == 0)
            continue;
        shorts[len++] = row->letter;
        if (row->value != NULL)
            shorts[len++] = ':';
    }
    opterr = 0;
    optind = 1;
    while ((chosen = getopt_long(argc, (char *const *)(uintptr_t)argv, shorts, longs, NULL)) !=
           -1) {
        int i = chosen >= 256 ? chosen - 256 : 0;
        const char *word = argv[optind - 1];
        if (chosen == ':')
            return error_set(e, ERR_INVALID, "%.64s needs a value", word);
        if (chosen == '?')
            return error_set(e, ERR_INVALID, "unknown option: %.64s", word);
        while (chosen < 256 && i < OPTIONS_N && options_rows[i].letter != chosen)
            i++;
        int rc = options_take(options, &options_rows[i], optarg, e);
        if (rc != 0)
            return rc;
    }
    if (optind < argc)
        return error_set(e, ERR_INVALID, "clustertop takes no '%.64s'", argv[optind]);
    if (options->replay != NULL && options->server != NULL)
        return error_set(e, ERR_INVALID, "give either --server or --replay");
    return 0;
}

void options_print_help(struct buf *b)
{
    (void)buf_append_str(b,
                         "usage: clustertop [OPTION...]\n\n"
                         "The cluster on one screen, now and before. ? there tells the keys.\n\n");
    for (size_t i = 0; i < OPTIONS_N; i++) {
        const struct options_row *row = &options_rows[i];
        char left[64];
        int n = row->letter != 0
                    ? snprintf(left, sizeof left, "  -%c, --%s", row->letter, row->name)
                    : snprintf(left, sizeof left, "      --%s", row->name);
        if (row->value != NULL)
            n += snprintf(left + n, sizeof left - (size_t)n, " %s", row->value);
        (void)buf_printf(b,
                         n < OPTIONS_HELP_COLUMN ? "%-24s%s\n" : "%s\n                        %s\n",
                         left, row->help);
    }
    (void)buf_append_str(
        b, "\nWithout -s it talks to $CLUSTERSH_ENDPOINT, else to the first socket there is of\n"
           "$XDG_RUNTIME_DIR/clusterd/clusterd.sock, /run/clusterd/clusterd.sock and your\n"
           "own below ./.quickstart or ./clusterd-dev.\n\n"
           "Exit status: 0 done; 1 an error of its own, such as a wrong option or terminal;\n"
           "2 no connection (with --once).\n");
}

static void options_man_name(const struct options_row *row, bool both, struct buf *b)
{
    char dashed[64];
    (void)snprintf(dashed, sizeof dashed, "-%s", row->name);
    mdoc_word(b, "Fl");
    if (row->letter != 0)
        mdoc_arg(b, (const char[]){row->letter, '\0'});
    if (row->letter != 0 && both)
        mdoc_word(b, ", Fl");
    if (row->letter == 0 || both)
        mdoc_arg(b, dashed);
    if (row->value != NULL) {
        mdoc_word(b, "Ar");
        mdoc_arg(b, row->value);
    }
    mdoc_end(b);
}

void options_man_synopsis(struct buf *b)
{
    for (size_t i = 0; i < OPTIONS_N; i++) {
        mdoc_macro(b, "Op");
        options_man_name(&options_rows[i], false, b);
    }
}

void options_print_man(struct buf *b)
{
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; i < OPTIONS_N; i++) {
        mdoc_macro(b, "It");
        options_man_name(&options_rows[i], true, b);
        mdoc_sentence(b, options_rows[i].help);
    }
    mdoc_line(b, ".El");
}

/* ---- completion ------------------------------------------------------------------------------ */

static const struct options_row *options_find(const char *word)
{
    size_t len = strcspn(word, "=");
    for (size_t i = 0; word[0] == '-' && i < OPTIONS_N; i++) {
        const struct options_row *row = &options_rows[i];
        bool is_it = word[1] == '-' ? len > 2 && strlen(row->name) == len - 2 &&
                                          strncmp(row->name, word + 2, len - 2) == 0
                                    : row->letter != 0 && row->letter == word[1];
        if (is_it)
            return row;
    }
    return NULL;
}

static void options_complete_put(const char *attached, const char *text, const char *about,
                                 const char *prefix, FILE *out)
{
    char *whole = mem_printf("%s%s", attached, text);
    if (str_starts_with(whole, prefix))
        (void)fprintf(out, "%s\t%s\n", whole, about);
    free(whole);
}

/* What may follow as the option's value, behind `attached`. */
static void options_complete_value(const struct options_row *row, const char *attached,
                                   const char *prefix, FILE *out)
{
    for (size_t i = 0; row->kind == OPTIONS_VIEW && view_tabs[i] != NULL; i++)
        options_complete_put(attached, view_tabs[i]->name, view_tabs[i]->about, prefix, out);
    for (unsigned i = 0; row->kind == OPTIONS_THEME && i < THEMES; i++)
        options_complete_put(attached, theme_name(i), "", prefix, out);
    if (row->kind == OPTIONS_FORMAT) {
        options_complete_put(attached, "json", "", prefix, out);
        options_complete_put(attached, "text", "", prefix, out);
    }
    bool is_file = row->value != NULL && strcmp(row->value, "FILE") == 0;
    (void)fprintf(out, ":%s\n", is_file ? "f" : "");
}

void options_complete(const char *const *words, size_t n, FILE *out)
{
    const char *prefix = n > 0 ? words[n - 1] : "";
    const struct options_row *before = n > 1 ? options_find(words[n - 2]) : NULL;
    const struct options_row *attached = strchr(prefix, '=') != NULL ? options_find(prefix) : NULL;
    bool is_alone = before != NULL && before->value != NULL && strchr(words[n - 2], '=') == NULL &&
                    (words[n - 2][1] == '-' || words[n - 2][2] == '\0');
    if (is_alone) {
        options_complete_value(before, "", prefix, out);
    } else if (attached != NULL && attached->value != NULL) {
        char *front = mem_strndup(prefix, strcspn(prefix, "=") + 1);
        options_complete_value(attached, front, prefix, out);
        free(front);
    } else {
        for (size_t i = 0; i < OPTIONS_N; i++)
            options_complete_put("--", options_rows[i].name, options_rows[i].help, prefix, out);
        (void)fprintf(out, ":\n");
    }
}
