/* Happy path: script_feed finds the first statement, script_run_piece puts the variables in and
 * runs it. A statement that a backslash command cuts goes to the frame's query; \g and the like
 * take it from there, a ';' runs it. */
#include "shell/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "shell/cmd_meta_if.h"
#include "shell/interpolate.h"
#include "shell/meta_words.h"
#include "shell/shell.h"
#include "shell/sql.h"
#include "shell/statement.h"

/* Frames */

void script_begin(struct shell *shell, struct script *script, const char *name)
{
    *script = (struct script){.outer = shell->script, .name = name};
    buf_init(&script->query, INTERPOLATE_BYTES_MAX);
    shell->script = script;
}

int script_end(struct shell *shell, int status)
{
    struct script *script = shell->script;
    size_t open = script->condition.depth;
    if (open > 0 && !shell->wants_quit && !script->is_prompt && status == SHELL_STATUS_OK) {
        shell_error(shell, "%zu \\if without \\endif", open);
        status = SHELL_STATUS_USAGE;
    }
    buf_done(&script->query);
    shell->script = script->outer;
    return status;
}

bool script_goes_on(const struct shell *shell)
{
    bool stops = shell->script == NULL || !shell->script->is_prompt;
    if (shell->is_interactive)
        stops = false;
    return !vars_is_on(&shell->vars, "ON_ERROR_STOP", stops);
}

static unsigned script_count_lines(const char *text, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

/* One statement */

static void script_remember(struct shell *shell, const char *text, bool is_sql)
{
    char *copy = mem_strdup(text);
    free(shell->last);
    shell->last = copy;
    shell->last_is_sql = is_sql;
}

static void script_echo(struct shell *shell, const char *when, const char *text, size_t len)
{
    const char *echo = vars_get(&shell->vars, "ECHO");
    if (echo == NULL || strcmp(echo, when) != 0)
        return;
    while (len > 0 && strchr("\r\n", text[len - 1]) != NULL)
        len--;
    output_write(&shell->output, text, len);
    output_write(&shell->output, "\n", 1);
}

static int script_run_command(struct shell *shell, const char *text)
{
    struct statement statement;
    struct error e = {0};
    int status = SHELL_STATUS_OK;
    if (statement_split(&statement, text, strlen(text), false, &e) != 0) {
        shell_error(shell, "%s", e.text);
        status = SHELL_STATUS_USAGE;
    } else if (statement.n > 0) {
        status = shell_run_words(shell, statement.texts, statement.n);
    }
    statement_done(&statement);
    return status;
}

/* A variable may have brought a ';' into SQL. */
static int script_run_sql(struct shell *shell, const char *text)
{
    struct sql_split split;
    size_t len = strlen(text);
    unsigned line = shell->script != NULL ? shell->script->line : 0;
    int status = SHELL_STATUS_OK;
    for (size_t at = 0; at < len && sql_split_next(text + at, len - at, &split); at += split.end) {
        if (shell->script != NULL)
            shell->script->line = line + script_count_lines(text, at + split.at);
        int one = shell_run_sql(shell, text + at + split.at, split.len);
        status = status == SHELL_STATUS_OK ? one : status;
        if (one == SHELL_STATUS_INTERRUPTED || (one != SHELL_STATUS_OK && !script_goes_on(shell)))
            break;
    }
    if (shell->script != NULL)
        shell->script->line = line;
    return status;
}

int script_run_one(struct shell *shell, const char *text, bool is_sql)
{
    script_echo(shell, "queries", text, strlen(text));
    script_remember(shell, text, is_sql);
    shell_begin_statement(shell);
    int status = is_sql ? script_run_sql(shell, text) : script_run_command(shell, text);
    shell_end_statement(shell, status, text);
    return status;
}

char *script_take(struct shell *shell, bool *is_sql)
{
    struct script *script = shell->script;
    if (script != NULL && script->query.len > 0) {
        *is_sql = script->query_is_sql;
        return buf_steal(&script->query, NULL);
    }
    if (shell->last == NULL) {
        shell_error(shell, "there is no statement yet");
        return NULL;
    }
    *is_sql = shell->last_is_sql;
    return mem_strdup(shell->last);
}

const char *script_look(const struct shell *shell)
{
    if (shell->script != NULL && shell->script->query.len > 0)
        return buf_cstr(&shell->script->query);
    return shell->last != NULL ? shell->last : "";
}

/* Backslash commands */

static int script_run_meta(struct shell *shell, const char *text, size_t len)
{
    size_t name;
    struct error e = {0};
    struct meta_words words;
    if (len >= 2 && text[1] == '\\')
        return SHELL_STATUS_OK;
    const struct command *command = meta_words_command(text, len, &name);
    bool is_active = condition_is_active(&shell->script->condition);
    if (cmd_meta_if_is(command))
        return cmd_meta_if_run(shell, command, text + name, len - name);
    if (!is_active)
        return SHELL_STATUS_OK;
    if (command == NULL)
        return shell_unknown_meta(shell, text, name);
    int status = SHELL_STATUS_USAGE;
    if (meta_words_read(&words, &shell->vars, text + name, len - name, meta_words_form(command),
                        true, &e) != 0)
        shell_error(shell, "%s: %s", command->name, e.text);
    else
        status = shell_run_meta(shell, command, (const char *const *)words.texts, words.n);
    shell_set_exit_code(shell, words.exit_code);
    meta_words_done(&words);
    return status;
}

/* Pieces */

static int script_add(struct shell *shell, const char *text, size_t len, bool is_sql)
{
    struct script *script = shell->script;
    struct error e = {0};
    char *with = is_sql ? interpolate_sql(&shell->vars, text, len, &e)
                        : interpolate_command(&shell->vars, text, len, &e);
    bool is_added = with != NULL && buf_append_str(&script->query, with) == 0;
    script->query_is_sql = is_sql;
    free(with);
    if (is_added)
        return SHELL_STATUS_OK;
    buf_clear(&script->query);
    shell_error(shell, "%s", with == NULL ? e.text : "the statement is too large");
    return SHELL_STATUS_USAGE;
}

static int script_run_query(struct shell *shell)
{
    struct script *script = shell->script;
    if (script->query.len == 0)
        return SHELL_STATUS_OK;
    bool is_sql = script->query_is_sql;
    char *text = buf_steal(&script->query, NULL);
    int status = SHELL_STATUS_OK;
    if (text[strspn(text, " \t\r\n;")] != '\0')
        status = script_run_one(shell, text, is_sql);
    free(text);
    return status;
}

/* ":name" at the beginning stands for a statement or its beginning. Malloc'ed, or NULL. */
static char *script_expand_first(struct shell *shell, const char *text, size_t len)
{
    char *value;
    size_t start = statement_skip_space(text, len);
    size_t n = start < len && text[start] == ':'
                   ? interpolate_at(&shell->vars, text + start, len - start, true, &value)
                   : 0;
    if (n == 0)
        return NULL;
    char *whole =
        mem_printf("%.*s%s%.*s", (int)start, text, value, (int)(len - start - n), text + start + n);
    free(value);
    return whole;
}

static int script_run_piece(struct shell *shell, const char *text, size_t len, bool is_cut)
{
    struct script *script = shell->script;
    bool in_query = script->query.len > 0;
    size_t start = in_query ? strspn(text, " \t\r\n") : statement_skip_space(text, len);
    start = start < len ? start : len;
    script_echo(shell, "all", text, len);
    if (len - start >= 2 && text[start] == '\\') {
        script->line += script_count_lines(text, start);
        int status = script_run_meta(shell, text + start, len - start);
        script->line -= script_count_lines(text, start);
        return status;
    }
    if (!condition_is_active(&script->condition) || (!in_query && start == len))
        return SHELL_STATUS_OK;
    bool is_sql = in_query ? script->query_is_sql : statement_begins_sql(text + start, len - start);
    int status = script_add(shell, text, len, is_sql);
    if (status == SHELL_STATUS_OK && !is_cut)
        status = script_run_query(shell);
    return status;
}

static int script_feed_expanded(struct shell *shell, char *text)
{
    size_t used;
    enum { DEPTH_MAX = 16 };
    int status = SHELL_STATUS_USAGE;
    if (shell->expansions == DEPTH_MAX) {
        shell_error(shell, "a variable stands for a statement that begins with itself");
    } else {
        shell->expansions++;
        status = script_feed(shell, text, true, &used);
        shell->expansions--;
    }
    free(text);
    return status;
}

int script_feed(struct shell *shell, const char *text, bool is_last, size_t *used)
{
    struct script *script = shell->script;
    int first = SHELL_STATUS_OK;
    size_t at = 0;
    while (text[at] != '\0' && !shell->wants_quit) {
        size_t len;
        bool in_sql = script->query.len > 0 && script->query_is_sql;
        enum statement_end end =
            in_sql ? statement_next_behind(text + at, &len) : statement_next(text + at, &len);
        if (statement_end_is_open(end) && !is_last)
            break;
        char *expanded = script->query.len == 0 && condition_is_active(&script->condition)
                             ? script_expand_first(shell, text + at, len)
                             : NULL;
        int status = expanded != NULL
                         ? script_feed_expanded(shell, expanded)
                         : script_run_piece(shell, text + at, len, end == STATEMENT_END_CUT);
        script->line += script_count_lines(text + at, len);
        at += len;
        first = first == SHELL_STATUS_OK ? status : first;
        if (status == SHELL_STATUS_INTERRUPTED ||
            (status != SHELL_STATUS_OK && !script_goes_on(shell))) {
            at += strlen(text + at);
            buf_clear(&script->query);
            break;
        }
    }
    if (is_last && !shell->wants_quit) {
        int status = script_run_query(shell);
        first = first == SHELL_STATUS_OK ? status : first;
    }
    *used = at;
    return first;
}

/* Sources */

int script_run_text(struct shell *shell, const char *text)
{
    struct script script;
    size_t used;
    script_begin(shell, &script, NULL);
    return script_end(shell, script_feed(shell, text, true, &used));
}

/* Whether a further line may complete the statement that is open: in SQL only a ';' or a backslash
 * can. Saves looking through a large statement for each of its lines. */
static bool script_may_end(const struct buf *text, size_t from)
{
    const char *all = (const char *)text->data;
    size_t start = statement_skip_space(all, text->len);
    if (statement_begins_comment(all + start, text->len - start))
        return memmem(all + from, text->len - from, "*/", 2) != NULL;
    return !statement_begins_sql(all + start, text->len - start) ||
           memchr(all + from, ';', text->len - from) != NULL ||
           memchr(all + from, '\\', text->len - from) != NULL;
}

/* Of the first line: what some editors put in front of UTF-8. */
static size_t script_mark_len(const char *line, ssize_t n)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    return n >= (ssize_t)sizeof mark && memcmp(line, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

/* What cannot be read to its end is not run to where it was cut. */
static int script_check_end(struct shell *shell, FILE *stream, const char *name)
{
    if (!ferror(stream))
        return SHELL_STATUS_OK;
    shell_error(shell, "%s: %s", name != NULL ? name : "standard input", strerror(errno));
    return SHELL_STATUS_USAGE;
}

static int script_take_line(struct shell *shell, struct buf *text, const char *line, ssize_t n)
{
    if (memchr(line, '\0', (size_t)n) != NULL)
        shell_error(shell, "a line holds a NUL character: that is no text");
    else if (buf_append(text, line, (size_t)n) != 0)
        shell_error(shell, "a statement is longer than %d MiB: COPY and \\copy take large data",
                    STATEMENT_BYTES_MAX >> 20);
    else
        return SHELL_STATUS_OK;
    return SHELL_STATUS_USAGE;
}

int script_run_stream(struct shell *shell, FILE *stream, const char *name)
{
    struct script script;
    struct buf text;
    char *line = NULL;
    size_t cap = 0;
    bool is_first = true;
    int first = SHELL_STATUS_OK;
    script_begin(shell, &script, name);
    script.line = 1;
    buf_init(&text, STATEMENT_BYTES_MAX);
    for (bool is_over = false; !is_over && !shell->wants_quit;) {
        ssize_t n = getline(&line, &cap, stream);
        size_t used;
        size_t was = text.len;
        is_over = n < 0;
        size_t mark = is_first ? script_mark_len(line, n) : 0;
        int status = n > 0 ? script_take_line(shell, &text, line + mark, n - (ssize_t)mark)
                           : script_check_end(shell, stream, name);
        is_first = false;
        is_over = is_over || status != SHELL_STATUS_OK;
        if (status == SHELL_STATUS_OK && !is_over && was > 0 && !script_may_end(&text, was))
            continue;
        if (status == SHELL_STATUS_OK) {
            status = script_feed(shell, buf_cstr(&text), is_over, &used);
            buf_consume(&text, used);
        }
        first = first == SHELL_STATUS_OK ? status : first;
        if (status == SHELL_STATUS_INTERRUPTED ||
            (status != SHELL_STATUS_OK && !script_goes_on(shell)))
            break;
    }
    free(line);
    buf_done(&text);
    return script_end(shell, first);
}

int script_run_file(struct shell *shell, const char *path)
{
    if (strcmp(path, "-") == 0)
        return script_run_stream(shell, stdin, NULL);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        return SHELL_STATUS_USAGE;
    }
    int status = script_run_stream(shell, file, path);
    (void)fclose(file);
    return status;
}
