/* What becomes of the statement that waits: \g, \gx, \gset, \gexec, \gdesc; and looking at it: \p,
 * \r, \w, \e, \errverbose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/cmd_meta_pset.h"
#include "shell/commands.h"
#include "shell/editor.h"
#include "shell/meta_words.h"
#include "shell/shell.h"
#include "shell/statement.h"
#include "shell/text.h"

/* ---- \g, \gx --------------------------------------------------------------------------------- */

/* "(format=csv null='-')" as words; settings until the statement is over. How many words it took,
 * or -1 after saying what is wrong. */
static int take_options(struct shell *shell, const struct command_value *words, size_t n)
{
    size_t taken = 0;
    bool is_over = n == 0 || words[0].text[0] != '(';
    for (; !is_over && taken < n; taken++) {
        char *word = mem_strdup(words[taken].text + (taken == 0));
        size_t len = strlen(word);
        is_over = len > 0 && word[len - 1] == ')';
        if (is_over)
            word[len - 1] = '\0';
        struct error e = {0};
        char *equals = strchr(word, '=');
        int rc = 0;
        if (equals != NULL) {
            *equals = '\0';
            rc = cmd_meta_pset_set(shell, word, equals + 1, &e);
        } else if (word[0] != '\0') {
            rc = error_set(&e, ERR_INVALID, "\"%s\" is not NAME=VALUE", word);
        }
        free(word);
        if (rc != 0) {
            shell_error(shell, "%s", e.text);
            return -1;
        }
    }
    if (is_over)
        return (int)taken;
    shell_error(shell, "a ) is missing behind the options");
    return -1;
}

static int run_to(struct shell *shell, const char *text, bool is_sql, const char *target)
{
    struct output_saved saved;
    struct error e = {0};
    if (target == NULL)
        return script_run_one(shell, text, is_sql);
    if (output_push(&shell->output, target, &saved, &e) != 0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    int status = script_run_one(shell, text, is_sql);
    int rc = output_pop(&shell->output, &saved);
    if (rc < 0) {
        shell_error(shell, "%s: %s", target, strerror(-rc));
        return status != SHELL_STATUS_OK ? status : SHELL_STATUS_USAGE;
    }
    return status;
}

static int cmd_meta_g_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    bool is_sql;
    const struct command_value *words = command_argument_all(call, 0, &n);
    struct shell_settings saved = shell->settings;
    bool had_pager = shell->output.has_pager;
    enum output_color color = shell->output.color;
    shell->settings.null = mem_strdup(saved.null);
    int taken = take_options(shell, words, n);
    int status = SHELL_STATUS_USAGE;
    if (call->command == &cmd_meta_gx)
        shell->settings.expanded = SHELL_EXPANDED_ON;
    if (taken >= 0 && n > (size_t)taken + 1) {
        shell_error(shell, "%s takes one file", call->command->name);
    } else if (taken >= 0) {
        char *text = script_take(shell, &is_sql);
        if (text != NULL)
            status = run_to(shell, text, is_sql, n > (size_t)taken ? words[taken].text : NULL);
        free(text);
    }
    free((char *)shell->settings.null);
    shell->settings = saved;
    shell->output.has_pager = had_pager;
    shell->output.color = color;
    return status;
}

#define TARGET                                                                                     \
    {                                                                                              \
        "(NAME=VALUE...) FILE or |COMMAND", COMMAND_TYPE_PIPE, COMMAND_COUNT_ANY, NULL,            \
            "settings of \\pset for this one, and where its results go"                            \
    }

const struct command cmd_meta_g = {
    .name = "\\g",
    .summary = "Run the statement in front of it, or the last one again; its results to a file",
    .arguments = {TARGET},
    .examples = {{"SELECT * FROM t \\g (format=csv) t.csv", "a table as a file"},
                 {"job list \\g |grep nightly", "through a command"}},
    .run = cmd_meta_g_run,
};

const struct command cmd_meta_gx = {
    .name = "\\gx",
    .summary = "As \\g, each row as a list",
    .arguments = {TARGET},
    .run = cmd_meta_g_run,
};

/* ---- \gset, \gexec --------------------------------------------------------------------------- */

/* Runs a statement and takes its rows. */
static int take_rows_of(struct shell *shell, const char *text, bool is_sql,
                        struct shell_capture *capture)
{
    enum format format = shell->settings.format;
    shell_capture_begin(shell, capture);
    shell->settings.format = FORMAT_JSONL;
    int status = script_run_one(shell, text, is_sql);
    shell->settings.format = format;
    shell_capture_end(shell);
    return status;
}

/* The same with the one that waits. */
static int take_rows(struct shell *shell, struct shell_capture *capture)
{
    bool is_sql;
    char *text = script_take(shell, &is_sql);
    *capture = (struct shell_capture){0};
    if (text == NULL)
        return SHELL_STATUS_USAGE;
    int status = take_rows_of(shell, text, is_sql, capture);
    free(text);
    return status;
}

static int set_variables(struct shell *shell, const struct shell_capture *capture,
                         const char *prefix)
{
    const json_t *row = json_array_get(capture->rows, 0);
    int status = SHELL_STATUS_OK;
    for (size_t i = 0; i < capture->n_names; i++) {
        struct error e = {0};
        char *name = mem_printf("%s%s", prefix, capture->names[i]);
        char *value = shell_capture_text(json_array_get(row, i));
        if (value == NULL) {
            (void)vars_unset(&shell->vars, name);
        } else if (vars_set(&shell->vars, name, value, &e) != 0) {
            shell_error(shell, "%s", e.text);
            status = SHELL_STATUS_USAGE;
        }
        free(value);
        free(name);
    }
    return status;
}

static int cmd_meta_gset_run(struct shell *shell, const struct command_call *call)
{
    struct shell_capture capture;
    const char *prefix = command_argument_text(call, 0);
    int status = take_rows(shell, &capture);
    size_t n = json_array_size(capture.rows);
    if (status == SHELL_STATUS_OK && n != 1) {
        shell_error(shell,
                    n == 0 ? "\\gset: there is no row" : "\\gset: there is more than one row");
        status = SHELL_STATUS_FAILED;
    } else if (status == SHELL_STATUS_OK) {
        status = set_variables(shell, &capture, prefix != NULL ? prefix : "");
    }
    shell_capture_done(&capture);
    return status;
}

const struct command cmd_meta_gset = {
    .name = "\\gset",
    .summary = "Run the statement in front of it and keep its one row as variables",
    .text = "Each column is a variable of its name, behind the prefix; NULL unsets it.",
    .arguments = {{"PREFIX", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL,
                   "of the variables' names"}},
    .examples = {{"SELECT count(*) AS n FROM t \\gset", "then :n"},
                 {"job show last \\gset job_", "then :job_id, :job_state"}},
    .run = cmd_meta_gset_run,
};

/* A statement that a query made: no backslash commands, no variables. */
static int run_generated(struct shell *shell, const char *text)
{
    int first = SHELL_STATUS_OK;
    for (size_t at = 0, len; text[at] != '\0' && !shell->wants_quit; at += len) {
        enum statement_end end = statement_next(text + at, &len);
        size_t start = statement_skip_space(text + at, len);
        if (start >= len)
            continue;
        if (end == STATEMENT_END_CUT || statement_is_meta(text + at, len)) {
            shell_error(shell, "\\gexec runs SQL and commands, none that begin with a backslash");
            return SHELL_STATUS_USAGE;
        }
        char *one = mem_strndup(text + at, len);
        int status = script_run_one(shell, one, statement_begins_sql(one + start, len - start));
        free(one);
        first = first == SHELL_STATUS_OK ? status : first;
        if (status == SHELL_STATUS_INTERRUPTED ||
            (status != SHELL_STATUS_OK && !script_goes_on(shell)))
            break;
    }
    return first;
}

static int run_cells(struct shell *shell, const json_t *rows)
{
    int first = SHELL_STATUS_OK;
    size_t i, k;
    const json_t *row, *cell;
    json_array_foreach(rows, i, row)
    {
        json_array_foreach(row, k, cell)
        {
            char *text = shell_capture_text(cell);
            int status = text != NULL ? run_generated(shell, text) : SHELL_STATUS_OK;
            free(text);
            first = first == SHELL_STATUS_OK ? status : first;
            if (status == SHELL_STATUS_INTERRUPTED ||
                (status != SHELL_STATUS_OK && !script_goes_on(shell)) || shell->wants_quit)
                return first;
        }
    }
    return first;
}

static int cmd_meta_gexec_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct shell_capture capture;
    int status = take_rows(shell, &capture);
    if (status == SHELL_STATUS_OK)
        status = run_cells(shell, capture.rows);
    shell_capture_done(&capture);
    return status;
}

const struct command cmd_meta_gexec = {
    .name = "\\gexec",
    .summary = "Run the statement in front of it, then each value of its rows as a statement",
    .text = "Row by row, from left to right; NULL is left out. A value may be SQL or a command.",
    .examples = {{"SELECT 'job cancel ' || id FROM cluster.jobs WHERE name = 'nightly' \\gexec",
                  "act on what a query finds"}},
    .run = cmd_meta_gexec_run,
};

/* ---- \gdesc -----------------------------------------------------------------------------------
 */

static int describe_rows(struct shell *shell, const char *text)
{
    static const struct column columns[] = {COLUMN("column", NULL, TEXT),
                                            COLUMN("type", NULL, TEXT), COLUMN_END};
    struct shell_capture capture = {0};
    size_t i;
    const json_t *row;
    char *sql = mem_printf("DESCRIBE %s", text);
    int status = take_rows_of(shell, sql, true, &capture);
    json_t *rows = json_array();
    json_array_foreach(capture.rows, i, row)
    {
        if (json_array_size(row) >= 2)
            (void)json_array_append_new(rows,
                                        json_pack("{s:O, s:O}", "column", json_array_get(row, 0),
                                                  "type", json_array_get(row, 1)));
    }
    shell->format = shell->settings.format;
    if (status == SHELL_STATUS_OK)
        shell_print_rows(shell, columns, rows);
    json_decref(rows);
    shell_capture_done(&capture);
    free(sql);
    return status;
}

static int cmd_meta_gdesc_run(struct shell *shell, const struct command_call *call)
{
    bool is_sql;
    char *text = script_take(shell, &is_sql);
    int status = SHELL_STATUS_USAGE;
    (void)call;
    if (text != NULL && is_sql) {
        status = describe_rows(shell, text);
    } else if (text != NULL) {
        shell_error(shell, "\\gdesc describes SQL, not commands");
        shell_hint(shell, "the keys of a command's rows: -o json, or \\g (format=json)");
    }
    free(text);
    return status;
}

const struct command cmd_meta_gdesc = {
    .name = "\\gdesc",
    .summary = "Show the columns that the query in front of it would give, without running it",
    .examples = {{"SELECT * FROM cluster.jobs \\gdesc", "names and types"}},
    .run = cmd_meta_gdesc_run,
};

/* ---- looking at it --------------------------------------------------------------------------- */

static int cmd_meta_print_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    const char *text = script_look(shell);
    bool is_seen = output_is_terminal(&shell->output);
    char *clean = is_seen ? text_clean(text, strlen(text), true) : mem_strdup(text);
    output_write(&shell->output, clean, strlen(clean));
    output_write(&shell->output, "\n", 1);
    free(clean);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_print = {
    .name = "\\p",
    .summary = "Print the statement that is being typed, or the last one",
    .run = cmd_meta_print_run,
};

static int cmd_meta_reset_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    if (shell->script != NULL)
        buf_clear(&shell->script->query);
    cmd_meta_remark(shell, "the statement is dropped");
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_reset = {
    .name = "\\r",
    .summary = "Drop the statement that is being typed",
    .run = cmd_meta_reset_run,
};

static int cmd_meta_write_run(struct shell *shell, const struct command_call *call)
{
    struct output_saved saved;
    struct error e = {0};
    const char *target = command_argument_text(call, 0);
    const char *text = script_look(shell);
    int rc = output_push(&shell->output, target, &saved, &e);
    if (rc == 0) {
        output_write(&shell->output, text, strlen(text));
        output_write(&shell->output, "\n", 1);
        rc = output_pop(&shell->output, &saved);
        if (rc < 0)
            (void)error_set(&e, rc, "%s: %s", target, strerror(-rc));
    }
    if (rc >= 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_write = {
    .name = "\\w",
    .summary = "Write the statement that is being typed, or the last one, to a file",
    .arguments = {{"FILE or |COMMAND", COMMAND_TYPE_PIPE, COMMAND_COUNT_ONE, NULL,
                   "a file of this machine, or a command"}},
    .run = cmd_meta_write_run,
};

static int cmd_meta_edit_run(struct shell *shell, const struct command_call *call)
{
    struct error e = {0};
    char *text = NULL;
    bool has_changed = false;
    if (!shell->is_interactive) {
        shell_error(shell, "\\e needs a terminal");
        return SHELL_STATUS_USAGE;
    }
    output_flush(&shell->output);
    if (editor_run(command_argument_text(call, 0), script_look(shell), &text, &has_changed, &e) !=
        0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    if (has_changed) {
        if (shell->script != NULL)
            buf_clear(&shell->script->query);
        free(shell->typed);
        shell->typed = text;
        text = NULL;
    }
    free(text);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_edit = {
    .name = "\\e",
    .summary = "Edit the statement that is being typed, the last one, or a file; then run it",
    .text = "The editor is $CLUSTERSH_EDITOR, else $VISUAL, else $EDITOR, else vi. What is "
            "complete runs when the editor ends, SQL without a semicolon goes on being typed. "
            "Nothing happens where nothing was changed.",
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_OPTIONAL, NULL, "of this machine"}},
    .run = cmd_meta_edit_run,
};

static int cmd_meta_errverbose_run(struct shell *shell, const struct command_call *call)
{
    static const struct column columns[] = {
        COLUMN("message", NULL, TEXT),
        COLUMN("code", NULL, TEXT),
        COLUMN("status", "HTTP", TEXT),
        COLUMN("hint", NULL, TEXT),
        COLUMN("endpoint", NULL, TEXT),
        COLUMN("statement", NULL, TEXT),
        COLUMN_END,
    };
    const struct shell_failure *f = &shell->failure;
    char status[16] = "";
    (void)call;
    if (f->text == NULL) {
        shell_say(shell, "Nothing has failed yet.");
        return SHELL_STATUS_OK;
    }
    if (f->status != 0)
        (void)snprintf(status, sizeof status, "%u", f->status);
    json_t *object = json_object();
    const char *const keys[] = {"message", "code", "status", "hint", "endpoint", "statement"};
    const char *const values[] = {f->text,
                                  f->code != 0 ? err_name(f->code) : NULL,
                                  status[0] != '\0' ? status : NULL,
                                  f->hint,
                                  f->endpoint,
                                  f->statement};
    for (size_t i = 0; i < MEM_COUNT(keys); i++) {
        json_t *value = values[i] != NULL ? json_string(values[i]) : json_null();
        (void)json_object_set_new(object, keys[i], value != NULL ? value : json_string("?"));
    }
    shell_print_object(shell, columns, object);
    json_decref(object);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_errverbose = {
    .name = "\\errverbose",
    .summary = "Show everything about the last failure: code, hint, node, statement",
    .run = cmd_meta_errverbose_run,
};
