#include "run/executor_diagnose.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/duck.h"
#include "run/executor_error.h"
#include "run/executor_input.h"
#include "run/executor_sql.h"

/* ---- csv: "CSV Error on Line: 3\nOriginal Line: 1,x\nError when converting column \"a\". Could
 * not convert string \"x\" to 'INTEGER'\n...\n  file = /path\n  ..."
 * -------------------------------- */

/* What follows `label` up to the end of its line; malloc'ed, NULL when it isn't there. */
static char *executor_diagnose_after(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    if (at == NULL)
        return NULL;
    at += strlen(label);
    return mem_strndup(at, strcspn(at, "\n"));
}

/* The line behind that of `label`. */
static char *executor_diagnose_below(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    at = at != NULL ? strchr(at, '\n') : NULL;
    if (at == NULL)
        return NULL;
    at++;
    return mem_strndup(at, strcspn(at, "\n"));
}

static void executor_diagnose_kind(struct executor_task *task, const char *kind)
{
    free(task->error->kind);
    task->error->kind = mem_strdup(kind);
}

static void executor_diagnose_csv(struct executor_task *task)
{
    Wire__SqlError *error = task->error;
    const char *text = error->message;
    char *line = executor_diagnose_after(text, "CSV Error on Line: ");
    char *original = executor_diagnose_after(text, "Original Line: ");
    char *reason = executor_diagnose_below(text, "Original Line: ");
    char *file = executor_diagnose_after(text, "  file = ");
    if (strstr(text, "unterminated quote") != NULL) { /* the row is several lines */
        free(reason);
        reason = mem_strdup("a value begins with a quote that nothing closes");
    }
    executor_diagnose_kind(task, "csv");
    error->code = ERR_INVALID;
    error->elsewhere = false;
    if (line != NULL && file != NULL && reason != NULL) {
        if (original != NULL && strstr(reason, "Invalid unicode") == NULL) /* names another one */
            executor_error_hint(error, "the line is: %.200s", original);
        if (error->name != protobuf_c_empty_string)
            free(error->name);
        error->name = mem_strdup(file);
        executor_error_say(error, "%s, line %s: %s", file, line, reason);
    } else {
        char *first = mem_strndup(text, strcspn(text, "\n"));
        executor_error_say(error, "%s", first);
        free(first);
    }
    free(line);
    free(original);
    free(reason);
    free(file);
}

/* DuckDB guesses the dialect first, and a row with too many or too few fields spoils the guess:
 * what it says then names no line. Without guessing it says which row it is. */
static void executor_diagnose_guess(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    char *file = executor_diagnose_after(task->error->message, "Error when sniffing file \"");
    if (file == NULL)
        return;
    file[strcspn(file, "\"")] = '\0';
    Wire__SqlError *first = task->error;
    executor_task_rollback(task);
    task->error = NULL;
    for (size_t i = 0; i < fragment->n_inputs && task->error == NULL; i++)
        if (fragment->inputs[i]->format == WIRE__SQL_FORMAT__SQL_FORMAT_CSV)
            executor_input_try(task, fragment->inputs[i], file);
    if (task->error != NULL && str_starts_with(task->error->message, "CSV Error")) {
        wire__sql_error__free_unpacked(first, NULL);
        executor_diagnose_csv(task);
    } else {
        if (task->error != NULL)
            wire__sql_error__free_unpacked(task->error, NULL);
        task->error = first;
        executor_diagnose_kind(task, "csv");
        executor_error_say(first, "%s does not look like csv with these columns", file);
        executor_error_hint(first, "say what it is like with the options delim, quote, header, "
                                   "or look for rows with more or fewer fields");
    }
    free(file);
}

/* ---- JSON: "Malformed JSON in file \"/path\", at byte 6 in line 3: unexpected character. "; or
 * "JSON transform error in file \"/path\", in record/value 2: ..." -------------------------------
 */

static const char executor_diagnose_malformed[] = "Malformed JSON in file \"";
static const char executor_diagnose_transform[] = "JSON transform error in file \"";

static bool executor_diagnose_is_json(const char *message)
{
    return str_starts_with(message, executor_diagnose_malformed) ||
           str_starts_with(message, executor_diagnose_transform);
}

/* The number behind `label`, which ends at a colon; false: it isn't there. */
static bool executor_diagnose_number(const char *message, const char *label, uint64_t *out)
{
    const char *at = strstr(message, label);
    if (at == NULL)
        return false;
    at += strlen(label);
    char *digits = mem_strndup(at, strspn(at, "0123456789"));
    int err = str_parse_u64(digits, 1, UINT64_MAX, out);
    free(digits);
    return err == 0;
}

static void executor_diagnose_json(struct executor_task *task)
{
    Wire__SqlError *error = task->error;
    bool is_malformed = str_starts_with(error->message, executor_diagnose_malformed);
    char *message = mem_strdup(error->message);
    char *file = executor_diagnose_after(message, " in file \"");
    file[strcspn(file, "\"")] = '\0';
    const char *behind = strstr(message, file) + strlen(file);
    bool is_line = strstr(behind, " in line ") != NULL;
    uint64_t at = 0;
    executor_diagnose_kind(task, "json");
    error->code = ERR_INVALID;
    error->elsewhere = false;
    if (executor_diagnose_number(behind, is_line ? " in line " : " in record/value ", &at)) {
        /* DuckDB has counted one that it could not read before it says where it is. */
        at -= is_malformed && at > 1;
        const char *reason = strstr(strstr(behind, " in "), ": ");
        int len = reason != NULL ? (int)strcspn(reason + 2, "\n") : 0;
        while (len > 0 && strchr(" .", reason[1 + len]) != NULL)
            len--;
        executor_error_say(error, "%s, %s %" PRIu64 ": %s%.*s", file, is_line ? "line" : "value",
                           at, is_malformed ? "this is no JSON: " : "", len,
                           reason != NULL ? reason + 2 : "");
    }
    if (error->name != protobuf_c_empty_string)
        free(error->name);
    error->name = file;
    executor_error_hint(error, "a file has one value a line, or one array of them; of the former "
                               "(IGNORE_ERRORS true) leaves out what can't be read");
    free(message);
}

/* ---- a file that is damaged, where the message has no name ------------------------------------
 */

static bool executor_diagnose_names_file(const char *message, const Wire__SqlFragment *fragment)
{
    for (size_t i = 0; i < fragment->n_inputs; i++)
        for (size_t j = 0; j < fragment->inputs[i]->n_files; j++)
            if (strstr(message, fragment->inputs[i]->files[j]->path) != NULL)
                return true;
    return false;
}

/* Reads all of one file. */
static bool executor_diagnose_reads(struct executor_task *task, const char *path)
{
    struct executor_sql sql;
    executor_sql_init(&sql);
    executor_sql_add(&sql, "SELECT count(h) FROM (SELECT hash(COLUMNS(*)) AS h FROM read_parquet(");
    executor_sql_literal(&sql, path);
    executor_sql_add(&sql, ", hive_partitioning=false))");
    Wire__SqlError *error = executor_engine_execute(task->con, executor_sql_text(&sql));
    bool reads = error == NULL || error->code == ERR_CANCELLED;
    if (error != NULL)
        wire__sql_error__free_unpacked(error, NULL);
    executor_sql_done(&sql);
    return reads;
}

static void executor_diagnose_file(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    executor_task_rollback(task);
    for (size_t i = 0; i < fragment->n_inputs; i++) {
        const Wire__SqlInput *input = fragment->inputs[i];
        const char *root = strstr(input->root, "/");
        if (input->format != WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET || root == NULL)
            continue;
        for (size_t j = 0; j < input->n_files; j++) {
            char *path = mem_printf("%s/%s", root, input->files[j]->path);
            bool reads =
                executor_port_is_cancelled(task->port) || executor_diagnose_reads(task, path);
            if (!reads) {
                char *reason = mem_strdup(task->error->message);
                executor_error_say(task->error, "%s is damaged: %s", path, reason);
                if (task->error->name != protobuf_c_empty_string)
                    free(task->error->name);
                task->error->name = mem_strdup(path);
                free(reason);
            }
            free(path);
            if (!reads)
                return;
        }
    }
}

/* ---- a file that is missing or cut -------------------------------------------------------------
 */

/* What stands in the first quotes of the message; malloc'ed, NULL when there is none. */
static char *executor_diagnose_quoted(const char *message)
{
    const char *begin = strpbrk(message, "'\"");
    const char *end = begin != NULL ? strchr(begin + 1, *begin) : NULL;
    return end != NULL ? mem_strndup(begin + 1, (size_t)(end - begin - 1)) : NULL;
}

static bool executor_diagnose_is_copy(const Wire__SqlFragment *fragment)
{
    for (size_t i = 0; i < fragment->n_inputs; i++)
        for (size_t j = 0; j < fragment->inputs[i]->n_files; j++)
            if (fragment->inputs[i]->files[j]->bytes == 0)
                return true;
    return false;
}

static void executor_diagnose_missing(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    char *path = executor_diagnose_quoted(task->error->message);
    if (path == NULL)
        return;
    if (executor_diagnose_is_copy(fragment)) {
        executor_error_say(task->error, "no file matches %s", path);
        executor_error_hint(task->error,
                            "the path is one of the node that reads it: each node must "
                            "reach it, by a shared folder or a bucket");
    } else {
        executor_error_say(task->error, "a file of the table is missing: %s", path);
        executor_error_hint(task->error, "restore it from a copy, or take an older version that "
                                         "doesn't have it: AT (VERSION => n)");
    }
    free(path);
}

/* DuckDB names the file in some of its sentences, each time at another place. */
static void executor_diagnose_cut(struct executor_task *task)
{
    const char *message = task->error->message;
    bool is_cut = strstr(message, "magic bytes") != NULL || strstr(message, "too small") != NULL;
    char *path = is_cut ? executor_diagnose_quoted(message) : NULL;
    if (path != NULL)
        executor_error_say(task->error, "%s is damaged: it is cut, or no Parquet file", path);
    if (*task->error->hint == '\0')
        executor_error_hint(task->error, "restore it from a copy; of a table, an older version may "
                                         "not have it: AT (VERSION => n)");
    free(path);
}

/* ---- a csv row without a value that the table wants --------------------------------------------
 */

/* The line of the first row of the input whose column has no value: its number, the header, and the
 * line ends within texts before it. malloc'ed, NULL when it isn't found. */
static char *executor_diagnose_null_line(struct executor_task *task, const Wire__SqlInput *input,
                                         const char *column)
{
    struct executor_sql sql;
    duckdb_prepared_statement statement = NULL;
    char *line = NULL;
    executor_sql_init(&sql);
    executor_sql_add(&sql, "SELECT CAST(n + h AS VARCHAR) FROM (SELECT row_number() OVER () AS n, "
                           "sum(0");
    for (size_t i = 0; i < input->n_columns; i++) {
        if (strcmp(input->columns[i]->type, "VARCHAR") != 0)
            continue;
        executor_sql_add(&sql, " + coalesce(length(");
        executor_sql_name(&sql, input->columns[i]->name);
        executor_sql_add(&sql, ") - length(replace(");
        executor_sql_name(&sql, input->columns[i]->name);
        executor_sql_add(&sql, ", chr(10), '')), 0)");
    }
    executor_sql_printf(&sql, ") OVER (ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) + %d AS h, ",
                        executor_input_has_header(input) ? 1 : 0);
    executor_sql_name(&sql, column);
    executor_sql_add(&sql, " IS NULL AS lacks FROM ");
    executor_sql_name(&sql, input->name);
    executor_sql_add(&sql, ") WHERE lacks LIMIT 1");
    if (sql.failed == 0 &&
        duck.prepare(task->con, executor_sql_text(&sql), &statement) == DuckDBSuccess)
        line = executor_engine_first(statement);
    duck.destroy_prepare(&statement);
    executor_sql_done(&sql);
    return line;
}

static void executor_diagnose_null(struct executor_task *task, const Wire__SqlFragment *fragment)
{
    executor_diagnose_kind(task, "constraint");
    const Wire__SqlInput *input = fragment->n_inputs == 1 ? fragment->inputs[0] : NULL;
    if (input == NULL || input->format != WIRE__SQL_FORMAT__SQL_FORMAT_CSV || input->n_files != 1 ||
        strpbrk(input->files[0]->path, "*?[") != NULL)
        return;
    static const char head[] = "column ", tail[] = " takes no null";
    Wire__SqlError *error = task->error;
    char *column = mem_strndup(error->message + strlen(head),
                               strlen(error->message) - strlen(head) - strlen(tail));
    executor_task_rollback(task);
    task->error = NULL;
    char *line = executor_input_create(task, input) == 0
                     ? executor_diagnose_null_line(task, input, column)
                     : NULL;
    if (task->error != NULL)
        wire__sql_error__free_unpacked(task->error, NULL);
    task->error = error;
    if (line != NULL)
        executor_error_say(error, "%s/%s, line %s: column %s takes no null",
                           strchr(input->root, '/'), input->files[0]->path, line, column);
    free(line);
    free(column);
}

/* ---- a value that doesn't fit the column it is written to --------------------------------------
 */

/* The first value of the `i`th column that can't be cast; malloc'ed, NULL when all can. */
static char *executor_diagnose_value(struct executor_task *task, const char *select, size_t i,
                                     const char *type)
{
    char *text = mem_printf("SELECT CAST(#%zu AS VARCHAR) FROM (%s\n) WHERE #%zu IS NOT NULL AND "
                            "TRY_CAST(#%zu AS %s) IS NULL LIMIT 1",
                            i + 1, select, i + 1, i + 1, type);
    duckdb_prepared_statement statement = NULL;
    char *value = NULL;
    if (duck.prepare(task->con, text, &statement) == DuckDBSuccess)
        value = executor_engine_first(statement);
    duck.destroy_prepare(&statement);
    free(text);
    return value;
}

static void executor_diagnose_column(struct executor_task *task, const Wire__SqlFragment *fragment,
                                     const char *select)
{
    const Wire__SqlOutput *output = fragment->output;
    executor_task_rollback(task);
    Wire__SqlError *error = task->error;
    task->error = NULL;
    int err = 0;
    for (size_t i = 0; i < fragment->n_inputs && err == 0; i++)
        err = executor_input_create(task, fragment->inputs[i]);
    for (size_t i = 0; i < output->n_columns && err == 0; i++) {
        char *value = executor_diagnose_value(task, select, i, output->columns[i]->type);
        if (value == NULL)
            continue;
        executor_error_say(error, "column %s: %.200s is no %s", output->columns[i]->name, value,
                           output->columns[i]->type);
        if (error->name != protobuf_c_empty_string)
            free(error->name);
        error->name = mem_strdup(output->columns[i]->name);
        free(value);
        break;
    }
    if (task->error != NULL)
        wire__sql_error__free_unpacked(task->error, NULL);
    task->error = error;
}

void executor_diagnose(struct executor_task *task, const Wire__SqlFragment *fragment,
                       const char *select)
{
    const Wire__SqlError *error = task->error;
    if (error == NULL || error->code == ERR_CANCELLED)
        return;
    bool is_conversion =
        strcmp(error->kind, "conversion") == 0 || strcmp(error->kind, "range") == 0;
    if (str_starts_with(error->message, "CSV Error"))
        executor_diagnose_csv(task);
    else if (executor_diagnose_is_json(error->message))
        executor_diagnose_json(task);
    else if (str_starts_with(error->message, "Error when sniffing"))
        executor_diagnose_guess(task, fragment);
    else if (str_ends_with(error->message, " takes no null"))
        executor_diagnose_null(task, fragment);
    else if (error->code == ERR_NOT_FOUND && strcmp(error->kind, "file") == 0)
        executor_diagnose_missing(task, fragment);
    else if (error->code == ERR_CORRUPT && !executor_diagnose_names_file(error->message, fragment))
        executor_diagnose_file(task, fragment);
    else if (is_conversion && fragment->output != NULL && fragment->output->n_columns > 0)
        executor_diagnose_column(task, fragment, select);
    if (task->error->code == ERR_CORRUPT)
        executor_diagnose_cut(task);
}
