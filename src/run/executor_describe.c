#include "run/executor_describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/executor_error.h"
#include "run/executor_guard.h"
#include "run/executor_input.h"
#include "run/executor_query.h"

/* Of all ASTs of a task, so that the answer fits a frame. */
enum { EXECUTOR_DESCRIBE_AST_BYTES_MAX = 6 * 1024 * 1024 };

void executor_describe_parse(struct executor_task *task, const Wire__SqlParse *parse)
{
    Wire__SqlTaskDone *done = &task->done;
    size_t bytes = 0;
    done->parsed = mem_calloc(parse->n_sql + 1, sizeof *done->parsed);
    for (size_t i = 0; i < parse->n_sql && task->error == NULL; i++) {
        Wire__SqlError *error = NULL;
        char *json = executor_engine_call(task->engine->parse, parse->sql[i], &error);
        if (json == NULL) {
            (void)executor_task_fail(task, error);
            return;
        }
        bytes += strlen(json);
        Wire__SqlParsed *parsed = mem_alloc(sizeof *parsed);
        wire__sql_parsed__init(parsed);
        parsed->json = json;
        done->parsed[done->n_parsed++] = parsed;
        if (strncmp(json, "{\"error\":false", strlen("{\"error\":false")) == 0) {
            parsed->printed = executor_engine_call(task->engine->print, json, &error);
            if (error != NULL)
                wire__sql_error__free_unpacked(error,
                                               NULL); /* what has no text has no names either */
        }
        if (bytes > EXECUTOR_DESCRIBE_AST_BYTES_MAX)
            (void)executor_task_fail_text(
                task, ERR_TOO_LARGE, "limit",
                "the statement is too large to be planned: put long lists of values into a table");
    }
}

void executor_describe_run(struct executor_task *task, const Wire__SqlDescribe *describe)
{
    struct executor_query query = {0};
    size_t len = 0;
    Wire__SqlError *error = NULL;
    bool is_ast = *describe->ast != '\0';
    char *sql = is_ast ? executor_engine_call(task->engine->print, describe->ast, &error)
                       : mem_strdup(describe->sql);
    if (error == NULL)
        error = executor_guard_check(sql, &len);
    if (error == NULL)
        error = executor_guard_files(task->engine, sql);
    int err = error != NULL ? executor_task_fail(task, error) : 0;
    for (size_t i = 0; i < describe->n_inputs && err == 0; i++)
        err = executor_input_describe(task, describe->inputs[i]);
    if (err == 0)
        err = executor_query_prepare(&query, task, sql, DUCKDB_STATEMENT_TYPE_SELECT, 0,
                                     is_ast ? 0 : len);
    if (err == 0)
        executor_query_tell_columns(&query);
    executor_query_done(&query);
    free(sql);
}
