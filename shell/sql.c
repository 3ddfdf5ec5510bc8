/* Happy path: columns come first, rows in batches, the end with its counts. Rows are gathered up to
 * SQL_CHUNK_ROWS and rendered; what follows goes on under the same header. JSON is one array, so
 * its rows are kept to the end. */
#include "shell/sql.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/render.h"
#include "shell/request.h"
#include "shell/text.h"

struct sql_answer {
    struct shell *shell;
    const char *text; /* what was sent */
    char **names;
    struct column *columns; /* names_n, and an end */
    size_t names_n;
    json_t *rows;
    bool is_done;
    bool has_shown; /* a header is there already */
    bool has_begun; /* some of an answer has come: there was a connection */
    bool has_end;   /* the cluster's own last line has come */
    bool failed;
    bool wants_again; /* the connection broke before anything was shown, and asking twice is safe */
    bool is_read;     /* the statement changes nothing */
    unsigned tries;
    int status;
};

/* ---- rows ------------------------------------------------------------------------------------ */

static bool sql_is_number(const char *type)
{
    static const char *const types[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",  "HUGEINT",
                                        "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
                                        "FLOAT",    "DOUBLE",    "BIGNUM"};
    for (size_t i = 0; i < MEM_COUNT(types); i++) {
        if (strcmp(types[i], type) == 0)
            return true;
    }
    return str_starts_with(type, "DECIMAL(") && strchr(type, '[') == NULL;
}

static bool sql_has_name(const struct sql_answer *a, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(a->names[i], name) == 0)
            return true;
    }
    return false;
}

/* Keys must differ, names of columns need not. */
static void sql_take_columns(struct sql_answer *a, const json_t *columns)
{
    if (a->names != NULL)
        return;
    a->names_n = json_array_size(columns);
    a->names = mem_calloc(a->names_n + 1, sizeof *a->names);
    a->columns = mem_calloc(a->names_n + 1, sizeof *a->columns);
    for (size_t i = 0; i < a->names_n; i++) {
        const json_t *column = json_array_get(columns, i);
        const char *name = json_string_value(json_object_get(column, "name"));
        const char *type = json_string_value(json_object_get(column, "type"));
        char *key = mem_strdup(name != NULL ? name : "");
        for (unsigned k = 1; sql_has_name(a, i, key); k++) {
            free(key);
            key = mem_printf("%s_%u", name != NULL ? name : "", k);
        }
        a->names[i] = key;
        a->columns[i] = (struct column){
            .key = key,
            .kind = type != NULL && sql_is_number(type) ? COLUMN_KIND_NUMBER : COLUMN_KIND_TEXT};
    }
}

/* A value as text; JSON formats keep it as it is. */
static json_t *sql_cell(const struct sql_answer *a, json_t *value)
{
    bool is_table = a->shell->format == FORMAT_TABLE || a->shell->format == FORMAT_VERTICAL;
    if (format_is_json(a->shell->format) || json_is_string(value))
        return json_incref(value);
    const char *null = a->shell->settings.null;
    if (json_is_null(value))
        return json_string(null != NULL ? null : is_table ? "NULL" : "");
    char *text = NULL;
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
        free(text);
        text =
            json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION((size_t)digits));
        if (!json_is_real(value) || text == NULL || strtod(text, NULL) == json_real_value(value))
            break;
    }
    json_t *cell = json_string(text != NULL ? text : "");
    free(text);
    return cell;
}

static void sql_show(struct sql_answer *a)
{
    struct shell *shell = a->shell;
    bool tuples_only = shell->settings.tuples_only;
    enum format format = shell->format;
    output_status_clear(&shell->output);
    if (format == FORMAT_TABLE && a->names_n > RENDER_COLUMNS_MAX)
        shell->format = FORMAT_VERTICAL;
    shell->settings.tuples_only |= a->has_shown;
    shell_print_rows(shell, a->columns, a->rows);
    shell->settings.tuples_only = tuples_only;
    shell->format = format;
    a->has_shown = true;
    json_array_clear(a->rows);
}

static void sql_take_rows(struct sql_answer *a, const json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_t *object = json_object();
        for (size_t c = 0; c < a->names_n; c++) {
            json_t *value = json_array_get(row, c);
            json_object_set_new_nocheck(object, a->names[c],
                                        value != NULL ? sql_cell(a, value) : json_null());
        }
        json_array_append_new(a->rows, object);
    }
    if (json_array_size(a->rows) >= SQL_CHUNK_ROWS && a->shell->format != FORMAT_JSON)
        sql_show(a);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The line of the statement that has the position, and a caret under it. */
static void sql_point(struct sql_answer *a, size_t at)
{
    size_t len = strlen(a->text);
    at = at < len ? at : len;
    size_t from = at, to = at;
    while (from > 0 && a->text[from - 1] != '\n')
        from--;
    while (to < len && a->text[to] != '\n')
        to++;
    enum { WIDTH = 70 };
    if (at - from > WIDTH / 2)
        from = at - WIDTH / 2;
    while (from < at && ((unsigned char)a->text[from] & 0xc0) == 0x80)
        from++;
    if (to - from > WIDTH)
        to = from + WIDTH;
    while (to < len && ((unsigned char)a->text[to] & 0xc0) == 0x80)
        to++;
    char *line = text_clean(a->text + from, to - from, false);
    char *before = text_clean(a->text + from, at - from, false);
    output_note(&a->shell->output, "  %s", line);
    output_note(&a->shell->output, "  %*s^", (int)text_width(before), "");
    free(line);
    free(before);
}

static void sql_take_error(struct sql_answer *a, const json_t *error)
{
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));
    const json_t *position = json_object_get(error, "position");
    output_status_clear(&a->shell->output);
    a->failed = true;
    /* In a file the line that is named is the one with the caret. */
    struct script *script = a->shell->script;
    unsigned line = script != NULL ? script->line : 0;
    for (json_int_t i = 0; script != NULL && i < json_integer_value(position); i++) {
        if (a->text[i] == '\0')
            break;
        script->line += a->text[i] == '\n';
    }
    const char *code = json_string_value(json_object_get(error, "code"));
    shell_error(a->shell, "%s", message != NULL ? message : "the statement failed");
    shell_note_failure(a->shell, code != NULL ? err_from_name(code) : ERR_INTERNAL, 0);
    if (script != NULL)
        script->line = line;
    if (json_is_integer(position) && json_integer_value(position) >= 0)
        sql_point(a, (size_t)json_integer_value(position));
    if (hint != NULL && hint[0] != '\0')
        shell_hint(a->shell, "%s", hint);
    a->status = SHELL_STATUS_FAILED;
}

static void sql_take_progress(struct sql_answer *a, const json_t *progress)
{
    enum { WIDTH = 20 };
    json_int_t tasks = json_integer_value(json_object_get(progress, "tasks"));
    json_int_t done = json_integer_value(json_object_get(progress, "tasks_done"));
    json_int_t rows = json_integer_value(json_object_get(progress, "rows"));
    json_int_t bytes = json_integer_value(json_object_get(progress, "bytes"));
    char size[STR_SHORT_MAX], bar[WIDTH + 1];
    size_t filled = tasks > 0 && done >= 0 && done <= tasks ? (size_t)(WIDTH * done / tasks) : 0;
    memset(bar, '#', filled);
    memset(bar + filled, '.', WIDTH - filled);
    bar[WIDTH] = '\0';
    output_status(&a->shell->output, "[%s] stage %lld of %lld, %lld of %lld tasks, %lld rows, %s",
                  bar, (long long)json_integer_value(json_object_get(progress, "stage")),
                  (long long)json_integer_value(json_object_get(progress, "stages")),
                  (long long)done, (long long)tasks, (long long)rows,
                  str_format_bytes(bytes > 0 ? (uint64_t)bytes : 0, size));
}

static void sql_take_done(struct sql_answer *a, const json_t *done)
{
    const char *command = json_string_value(json_object_get(done, "command"));
    const json_t *affected = json_object_get(done, "affected");
    if (a->names != NULL && (!a->has_shown || json_array_size(a->rows) > 0))
        sql_show(a);
    if (affected != NULL)
        a->shell->row_count = (uint64_t)json_integer_value(affected);
    if (a->names == NULL && affected != NULL)
        shell_say(a->shell, "%s %lld", command != NULL ? command : "done",
                  (long long)json_integer_value(affected));
    else if (a->names == NULL)
        shell_say(a->shell, "%s", command != NULL ? command : "done");
}

static void sql_on_line(void *arg, const char *line, size_t len)
{
    struct sql_answer *a = arg;
    json_t *event = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const json_t *part;
    a->has_begun = true;
    if ((part = json_object_get(event, "columns")) != NULL)
        sql_take_columns(a, part);
    else if ((part = json_object_get(event, "rows")) != NULL)
        sql_take_rows(a, part);
    else if ((part = json_object_get(event, "progress")) != NULL)
        sql_take_progress(a, part);
    else if ((part = json_object_get(event, "error")) != NULL)
        sql_take_error(a, part);
    else if ((part = json_object_get(event, "done")) != NULL)
        sql_take_done(a, part);
    a->has_end = a->has_end || json_object_get(event, "error") != NULL ||
                 json_object_get(event, "done") != NULL;
    json_decref(event);
}

/* The node died, or its answer was cut off. */
static bool sql_is_broken(const struct sql_answer *a, const struct client_reply *reply)
{
    return reply->code == 0 ? !a->has_end
                            : reply->code == ERR_UNAVAILABLE || reply->code == ERR_OUTCOME_UNKNOWN;
}

static void sql_on_done(void *arg, const struct client_reply *reply)
{
    struct sql_answer *a = arg;
    struct client_reply said = *reply;
    a->is_done = true;
    if (a->failed || (reply->code == 0 && a->has_end))
        return;
    bool is_broken = sql_is_broken(a, reply);
    a->wants_again =
        is_broken && a->is_read && !a->has_shown && a->has_begun && a->tries < SQL_TRIES_MAX;
    if (a->wants_again)
        return;
    if (reply->code == 0) {
        said.code = a->is_read ? ERR_UNAVAILABLE : ERR_OUTCOME_UNKNOWN;
        said.text = "the answer ended early";
    }
    if (a->has_shown && is_broken)
        said.hint = "what is shown above is only a part of the rows";
    a->status = request_report_reply(a->shell, &said);
}

/* Whether a statement only reads: then it may run twice. */
static bool sql_is_read(const char *text, size_t len)
{
    static const char *const first[] = {"select",    "from",     "values", "with",
                                        "show",      "desc",     "table",  "explain",
                                        "summarize", "describe", "pivot"};
    static const char *const changes[] = {"insert", "update", "delete", "merge",  "create",
                                          "drop",   "copy",   "alter",  "vacuum", "optimize"};
    struct sql_token token = sql_lex_next(text, len, 0);
    bool is_read = sql_token_is_op(text, &token, "(");
    for (size_t i = 0; i < MEM_COUNT(first); i++)
        is_read = is_read || sql_token_is(text, &token, first[i]);
    for (; is_read && token.kind != SQL_TOKEN_END;
         token = sql_lex_next(text, len, token.at + token.len)) {
        for (size_t i = 0; i < MEM_COUNT(changes); i++)
            is_read = is_read && !sql_token_is(text, &token, changes[i]);
    }
    return is_read;
}

static int sql_wait(struct sql_answer *a, struct client_call *call)
{
    while (!a->is_done) {
        shell_wait(a->shell, INT64_MAX);
        if (!a->is_done && shell_take_interrupt(a->shell)) {
            client_cancel(call); /* the node sees the connection close and cancels everywhere */
            output_status_clear(&a->shell->output);
            shell_error(a->shell, "interrupted");
            return SHELL_STATUS_INTERRUPTED;
        }
    }
    output_status_clear(&a->shell->output);
    return a->status;
}

/* Forgets what an answer that broke had brought. */
static void sql_forget(struct sql_answer *a)
{
    for (size_t i = 0; i < a->names_n; i++)
        free(a->names[i]);
    free(a->names);
    free(a->columns);
    a->names = NULL;
    a->columns = NULL;
    a->names_n = 0;
    json_array_clear(a->rows);
}

/* Sends the statement and waits; again, to whoever answers, as long as that helps. */
static int sql_ask(struct sql_answer *a, const char *data)
{
    static const struct client_handler handler = {sql_on_line, sql_on_done};
    for (;;) {
        struct error e = {0};
        a->is_done = a->has_begun = a->has_end = a->wants_again = false;
        struct client_call *call =
            client_start(a->shell->client,
                         &CLIENT_REQUEST(.method = "POST", .path = "/api/sql", .data = data,
                                         .data_len = strlen(data), .body = CLIENT_BODY_LINES,
                                         .repeatable = a->is_read, .attempt_ms = SHELL_ATTEMPT_MS),
                         &handler, a, &e);
        if (call == NULL) {
            shell_error(a->shell, "%s", e.text);
            return SHELL_STATUS_USAGE;
        }
        int status = sql_wait(a, call);
        if (!a->wants_again)
            return status;
        a->tries++;
        sql_forget(a);
    }
}

int sql_run(struct shell *shell, const char *text, size_t len)
{
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    char *sent = mem_strndup(text, len);
    char *session = mem_printf("clustersh-%ld", (long)getpid());
    json_t *body = json_pack("{s:s,s:s}", "sql", sent, "session", session);
    char *data = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct sql_answer a = {
        .shell = shell, .text = sent, .rows = json_array(), .is_read = sql_is_read(text, len)};
    if (data == NULL) {
        shell_error(shell, "the statement isn't UTF-8 text");
        status = SHELL_STATUS_USAGE;
    } else {
        status = sql_ask(&a, data);
    }
    sql_forget(&a);
    json_decref(a.rows);
    json_decref(body);
    free(data);
    free(session);
    free(sent);
    return status;
}
