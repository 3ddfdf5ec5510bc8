/* Tab: a single completion is put in; several are put in as far as they agree, and shown when the
 * key comes again. Names from the cluster are waited for LIVE_WAIT_MS at most. */
#include "shell/repl_complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/readline.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/complete.h"
#include "shell/complete_live.h"
#include "shell/meta_words.h"
#include "shell/statement.h"
#include "shell/text.h"

enum { REPL_COMPLETE_SHOWN_MAX = 200 };

static struct shell *repl_complete_shell;
static const struct buf *repl_complete_pending;

/* The line */

/* Replaces the word in front of the cursor by `text`. */
static void repl_complete_put(const struct complete *complete, size_t skip, const char *text,
                              bool is_whole)
{
    int from = (int)(complete->from - skip);
    char *quoted = complete->is_sql    ? mem_strdup(text)
                   : complete->is_meta ? meta_words_quote(text)
                                       : statement_quote(text);
    /* A part that needs quotes stays open for the rest. */
    size_t len = strlen(quoted);
    if (!complete->is_sql && !is_whole && len > 0 && quoted[len - 1] == '\'' && quoted[0] == '\'')
        quoted[len - 1] = '\0';
    if (text[0] == '\\') {
        free(quoted);
        quoted = mem_strdup(text);
    }
    rl_begin_undo_group();
    (void)rl_delete_text(from, rl_point);
    rl_point = from;
    (void)rl_insert_text(quoted);
    if (is_whole && !complete->is_open && rl_line_buffer[rl_point] != ' ')
        (void)rl_insert_text(" ");
    rl_end_undo_group();
    free(quoted);
}

static void repl_complete_show_lines(const struct complete *complete)
{
    size_t widest = 0;
    for (size_t i = 0; i < complete->n && i < REPL_COMPLETE_SHOWN_MAX; i++) {
        size_t width = text_width(complete->items[i].text);
        widest = width > widest ? width : widest;
    }
    output_measure(&repl_complete_shell->output);
    size_t width = repl_complete_shell->output.width;
    for (size_t i = 0; i < complete->n && i < REPL_COMPLETE_SHOWN_MAX; i++) {
        const struct complete_item *item = &complete->items[i];
        char *line = mem_printf("%s%*s  %s", item->text, (int)(widest - text_width(item->text)), "",
                                item->about != NULL ? item->about : "");
        char *clean = text_clean(line, strlen(line), false);
        char *cut = text_cut(clean, width > 1 ? width - 1 : OUTPUT_WIDTH_DEFAULT);
        (void)fprintf(rl_outstream, "%s\n", cut);
        free(cut);
        free(clean);
        free(line);
    }
    if (complete->n > REPL_COMPLETE_SHOWN_MAX)
        (void)fprintf(rl_outstream, "... and %zu more\n", complete->n - REPL_COMPLETE_SHOWN_MAX);
}

static void repl_complete_show_columns(const struct complete *complete)
{
    size_t n = complete->n < REPL_COMPLETE_SHOWN_MAX ? complete->n : REPL_COMPLETE_SHOWN_MAX;
    char **matches = mem_calloc(n + 2, sizeof *matches);
    size_t widest = 0;
    matches[0] = mem_strdup(complete->prefix);
    for (size_t i = 0; i < n; i++) {
        const char *text = complete->items[i].text;
        matches[i + 1] = text_clean(text, strlen(text), false);
        widest = strlen(matches[i + 1]) > widest ? strlen(matches[i + 1]) : widest;
    }
    rl_display_match_list(matches, (int)n, (int)widest);
    for (size_t i = 0; i <= n; i++)
        free(matches[i]);
    free(matches);
}

static void repl_complete_show(const struct complete *complete)
{
    bool has_about = false;
    for (size_t i = 0; i < complete->n; i++)
        has_about = has_about || complete->items[i].about != NULL;
    (void)rl_crlf();
    if (has_about)
        repl_complete_show_lines(complete);
    else
        repl_complete_show_columns(complete);
    (void)rl_on_new_line();
    (void)rl_forced_update_display();
}

static int repl_complete_key(int count, int key)
{
    (void)count;
    (void)key;
    bool is_again = rl_last_func == repl_complete_key;
    struct script *script = repl_complete_shell->script;
    struct buf before;
    buf_init(&before, SIZE_MAX / 4);
    if (script != NULL) /* a statement that a backslash command cut */
        (void)buf_append(&before, script->query.data, script->query.len);
    (void)buf_append(&before, repl_complete_pending->data, repl_complete_pending->len);
    size_t skip = before.len;
    char *text = mem_printf("%s%.*s", buf_cstr(&before), rl_end, rl_line_buffer);
    buf_done(&before);
    struct complete complete;
    complete_line(&complete, text, skip + (size_t)rl_point, complete_live_names,
                  repl_complete_shell);
    char *common = complete_common(&complete);
    if (complete.n == 0 || complete.from < skip) {
        (void)rl_ding();
    } else if (complete.n == 1) {
        repl_complete_put(&complete, skip, complete.items[0].text, true);
    } else if (strlen(common) > strlen(complete.prefix)) {
        repl_complete_put(&complete, skip, common, false);
    } else if (is_again) {
        repl_complete_show(&complete);
    } else {
        (void)rl_ding();
    }
    free(common);
    complete_done(&complete);
    free(text);
    return 0;
}

void repl_complete_install(struct shell *shell, const struct buf *pending)
{
    repl_complete_shell = shell;
    repl_complete_pending = pending;
    (void)rl_bind_key_in_map('\t', repl_complete_key, emacs_standard_keymap);
    (void)rl_bind_key_in_map('\t', repl_complete_key, vi_insertion_keymap);
}
