#include "tui/man.h"

#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "tui/app.h"
#include "tui/options.h"

static void man_views(struct buf *b)
{
    mdoc_subsection(b, "views");
    mdoc_line(b, "Numbers switch between them, Enter goes into what is selected, Esc back.");
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; view_tabs[i] != NULL; i++) {
        mdoc_macro(b, "It");
        mdoc_word(b, "Cm");
        mdoc_arg(b, view_tabs[i]->name);
        mdoc_end(b);
        mdoc_sentence(b, view_tabs[i]->about);
    }
    mdoc_line(b, ".El");
}

static void man_items(const char *title, const char *macro, const char *const (*items)[2], size_t n,
                      struct buf *b)
{
    mdoc_section(b, title);
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; i < n; i++) {
        mdoc_macro(b, "It");
        if (macro != NULL)
            mdoc_word(b, macro);
        mdoc_arg(b, items[i][0]);
        mdoc_end(b);
        mdoc_sentence(b, items[i][1]);
    }
    mdoc_line(b, ".El");
}

static void man_rest(struct buf *b)
{
    static const char *const environment[][2] = {
        {"CLUSTERSH_ENDPOINT", "where the cluster is, unless -s says it"},
        {"CLUSTERSH_TOKEN", "the token for TCP"},
        {"NO_COLOR", "no colours"},
        {"TERM", "what the terminal can do; where that is little, so is what is drawn"},
        {"COLUMNS", "width of --once"},
        {"XDG_CONFIG_HOME", "where what was chosen is kept; see FILES"},
        {"TMUX", "what is copied goes to tmux, which hands it on to its terminal"},
    };
    static const char *const statuses[][2] = {
        {"0", "it was ended by q"},
        {"1", "an error of its own, such as a wrong option or terminal"},
        {"2", "no connection, with --once"},
        {"128+N", "ended by signal N, with the terminal restored"},
    };
    static const char *const files[][2] = {
        {"$XDG_CONFIG_HOME/clusterd/clustertop.conf",
         "what was chosen in clustertop and is found again; without XDG_CONFIG_HOME, below "
         "~/.config. Lines are: theme dark, light or mono; hide VIEW COLUMN, COLUMN ...; sort VIEW "
         "COLUMN, with descending behind it or not"},
    };
    man_items("ENVIRONMENT", "Ev", environment, MEM_COUNT(environment), b);
    man_items("FILES", "Pa", files, MEM_COUNT(files), b);
    man_items("EXIT STATUS", NULL, statuses, MEM_COUNT(statuses), b);
    mdoc_section(b, "EXAMPLES");
    mdoc_line(b, "The cluster of this machine, nothing of it to be changed:");
    mdoc_literal(b, "clustertop --readonly");
    mdoc_line(b, ".Pp\nThe nodes as JSON, for a script:");
    mdoc_literal(b, "clustertop --once -o json --view nodes");
    mdoc_see_also(b, "clustersh(1) clusterd(8)");
}

int man_print(const char *page, struct buf *b)
{
    if (strcmp(page, "list") == 0) {
        (void)buf_append_str(b, "clustertop.1\n");
        return 0;
    }
    if (strcmp(page, "clustertop.1") != 0)
        return ERR_NOT_FOUND;
    mdoc_head(b, "clustertop", 1, "a cluster on one screen");
    mdoc_section(b, "SYNOPSIS");
    mdoc_line(b, ".Nm");
    options_man_synopsis(b);
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(
        b,
        "clustertop shows a cluster as it is now, and as it was: nodes, elections, jobs, queries, "
        "rollouts, chat and logs, with keys to step back and forth in time and to act from there. "
        "It reads from one node and goes on with another when that is lost.\n\n"
        "Without -s it talks to $CLUSTERSH_ENDPOINT, else to the first socket there is of "
        "$XDG_RUNTIME_DIR/clusterd/clusterd.sock, /run/clusterd/clusterd.sock and your own below "
        "./.quickstart or ./clusterd-dev.\n\nThe options are as follows:");
    options_print_man(b);
    man_views(b);
    mdoc_section(b, "KEYS");
    mdoc_line(b, "A command behind a colon may be shortened as long as it is unique.");
    keys_print_man(b);
    man_rest(b);
    return 0;
}
