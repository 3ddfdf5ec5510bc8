/* \copy: a file of this machine to a table, a table or a query to a file of this machine.
 *
 * Rows go as INSERT of text values, which the table's types take; up to CMD_COPY_BATCH_BYTES are
 * one statement, and so one version of the table: seen whole or not at all. Larger files are
 * several; where one fails, what was before it is in, and that is said. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "shell/commands.h"
#include "shell/copy_spec.h"
#include "shell/csv_reader.h"
#include "shell/interrupt.h"
#include "shell/shell.h"

enum { CMD_COPY_BATCH_BYTES = 8 * 1024 * 1024, CMD_COPY_STATEMENT_BYTES_MAX = 16 * 1024 * 1024 };

struct cmd_copy {
    struct shell *shell;
    const struct copy_spec *spec;
    struct csv_reader reader;
    struct buf sql;
    size_t fields; /* of each record */
    uint64_t in_batch;
    uint64_t done;       /* rows that are in */
    uint64_t first_line; /* of the batch */
    char *names;         /* "(a, b)", or "" */
};

/* ---- from ------------------------------------------------------------------------------------ */

/* Sends the rows that are gathered. */
static int send_batch(struct cmd_copy *copy)
{
    struct shell *shell = copy->shell;
    struct shell_capture capture;
    if (copy->in_batch == 0)
        return SHELL_STATUS_OK;
    output_status(&shell->output, "%llu rows", (unsigned long long)copy->done);
    shell_capture_begin(shell, &capture);
    int status = shell_run_sql(shell, buf_cstr(&copy->sql), copy->sql.len);
    shell_capture_end(shell);
    shell_capture_done(&capture);
    output_status_clear(&shell->output);
    if (status == SHELL_STATUS_OK)
        copy->done += copy->in_batch;
    else
        shell_hint(shell, "that was about lines %llu to %llu; %llu rows in front of them are in",
                   (unsigned long long)copy->first_line, (unsigned long long)copy->reader.ended,
                   (unsigned long long)copy->done);
    copy->in_batch = 0;
    buf_clear(&copy->sql);
    return status;
}

/* "(a, b)" as the file's first line names them. */
static char *names_of_header(const struct csv_reader *reader)
{
    struct buf b;
    buf_init(&b, CMD_COPY_STATEMENT_BYTES_MAX);
    for (size_t i = 0; i < reader->n; i++) {
        const char *field = csv_reader_field(reader, i);
        char *name = sql_quote_name(field != NULL ? field : "");
        (void)buf_printf(&b, "%s%s", i > 0 ? ", " : " (", name);
        free(name);
    }
    (void)buf_append_str(&b, ")");
    return buf_steal(&b, NULL);
}

static int add_record(struct cmd_copy *copy)
{
    struct buf *sql = &copy->sql;
    int rc = 0;
    if (copy->in_batch == 0) {
        copy->first_line = copy->reader.line;
        rc = buf_printf(sql, "INSERT INTO %s%s VALUES ", copy->spec->what, copy->names);
    }
    rc = rc != 0 ? rc : buf_append_str(sql, copy->in_batch > 0 ? ",(" : "(");
    for (size_t i = 0; rc == 0 && i < copy->reader.n; i++) {
        const char *field = csv_reader_field(&copy->reader, i);
        char *text = field != NULL ? sql_quote_text(field) : mem_strdup("NULL");
        rc = buf_append_str(sql, i > 0 ? "," : "");
        rc = rc != 0 ? rc : buf_append_str(sql, text);
        free(text);
    }
    rc = rc != 0 ? rc : buf_append_byte(sql, ')');
    copy->in_batch++;
    return rc;
}

static int take_record(struct cmd_copy *copy, bool *is_over)
{
    struct error e = {0};
    struct shell *shell = copy->shell;
    int rc = csv_reader_next(&copy->reader, &e);
    *is_over = rc == 0;
    if (rc > 0 && copy->fields == 0)
        copy->fields = copy->reader.n;
    if (rc > 0 && copy->reader.n != copy->fields)
        rc = error_set(&e, ERR_INVALID, "line %llu: it has %zu values, not %zu",
                       (unsigned long long)copy->reader.line, copy->reader.n, copy->fields);
    if (rc < 0) {
        shell_error(shell, "%s: %s", copy->spec->place != NULL ? copy->spec->place : "\\copy",
                    e.text);
        if (copy->done > 0)
            shell_hint(shell, "%llu rows in front of it are in", (unsigned long long)copy->done);
        return SHELL_STATUS_USAGE;
    }
    if (rc > 0 && copy->names == NULL) {
        bool from_header = copy->spec->has_header && copy->spec->columns == NULL;
        copy->names = from_header                   ? names_of_header(&copy->reader)
                      : copy->spec->columns != NULL ? mem_printf(" (%s)", copy->spec->columns)
                                                    : mem_strdup("");
        if (copy->spec->has_header)
            return SHELL_STATUS_OK;
    }
    if (rc > 0 && add_record(copy) != 0) {
        shell_error(shell, "line %llu: it is too large", (unsigned long long)copy->reader.line);
        return SHELL_STATUS_USAGE;
    }
    return SHELL_STATUS_OK;
}

static int read_records(struct cmd_copy *copy)
{
    bool is_over = false;
    int status = SHELL_STATUS_OK;
    while (status == SHELL_STATUS_OK && !is_over) {
        status = take_record(copy, &is_over);
        if (status == SHELL_STATUS_OK && shell_take_interrupt(copy->shell)) {
            shell_error(copy->shell, "interrupted: %llu rows are in",
                        (unsigned long long)copy->done);
            return SHELL_STATUS_INTERRUPTED;
        }
        if (status == SHELL_STATUS_OK && (is_over || copy->sql.len >= CMD_COPY_BATCH_BYTES))
            status = send_batch(copy);
    }
    return status;
}

static int copy_from(struct shell *shell, const struct copy_spec *spec)
{
    FILE *file = spec->place == NULL ? stdin
                 : spec->is_command  ? popen(spec->place, "re")
                                     : fopen(spec->place, "re");
    if (file == NULL) {
        shell_error(shell, "%s: %s", spec->place, strerror(errno));
        return SHELL_STATUS_USAGE;
    }
    struct cmd_copy copy = {.shell = shell, .spec = spec};
    csv_reader_init(&copy.reader, file);
    buf_init(&copy.sql, CMD_COPY_STATEMENT_BYTES_MAX);
    if (spec->format == FORMAT_TSV) {
        copy.reader.delimiter = '\t';
        copy.reader.quote = '\0';
    }
    if (spec->delimiter != '\0')
        copy.reader.delimiter = spec->delimiter;
    if (spec->null != NULL)
        copy.reader.null = spec->null;
    int status = read_records(&copy);
    if (status == SHELL_STATUS_OK)
        shell_say(shell, "COPY %llu", (unsigned long long)copy.done);
    shell->row_count = copy.done;
    csv_reader_done(&copy.reader);
    buf_done(&copy.sql);
    free(copy.names);
    if (spec->is_command)
        (void)pclose(file);
    else if (file != stdin)
        (void)fclose(file);
    return status;
}

/* ---- to -------------------------------------------------------------------------------------- */

static int copy_to(struct shell *shell, const struct copy_spec *spec)
{
    struct output_saved saved;
    struct error e = {0};
    struct shell_settings settings = shell->settings;
    char *target = spec->place == NULL ? NULL
                   : spec->is_command  ? mem_printf("|%s", spec->place)
                                       : mem_strdup(spec->place);
    int rc = output_push(&shell->output, target, &saved, &e);
    if (rc != 0) {
        shell_error(shell, "%s", e.text);
        free(target);
        return SHELL_STATUS_USAGE;
    }
    shell->settings.format = spec->format;
    shell->settings.tuples_only = !spec->has_header;
    shell->settings.null = spec->null;
    char *sql = spec->is_query
                    ? mem_strdup(spec->what)
                    : mem_printf("SELECT %s FROM %s", spec->columns != NULL ? spec->columns : "*",
                                 spec->what);
    int status = shell_run_sql(shell, sql, strlen(sql));
    uint64_t rows = shell->row_count;
    shell->settings = settings;
    shell->format = settings.format;
    rc = output_pop(&shell->output, &saved);
    if (rc < 0 && status == SHELL_STATUS_OK) {
        shell_error(shell, "%s: %s", target != NULL ? target : "standard output", strerror(-rc));
        status = SHELL_STATUS_USAGE;
    }
    if (status == SHELL_STATUS_OK && target != NULL)
        shell_say(shell, "COPY %llu", (unsigned long long)rows);
    free(sql);
    free(target);
    return status;
}

static int cmd_meta_copy_run(struct shell *shell, const struct command_call *call)
{
    const char *line = command_argument_text(call, 0);
    struct copy_spec spec;
    struct error e = {0};
    int status = SHELL_STATUS_USAGE;
    if (copy_spec_parse(&spec, line != NULL ? line : "", &e) != 0) {
        shell_error(shell, "%s", e.text);
        shell_hint(shell, "\\? copy shows its form");
    } else {
        shell_begin_statement(shell);
        status = spec.is_from ? copy_from(shell, &spec) : copy_to(shell, &spec);
        shell_end_statement(shell, status, line);
    }
    copy_spec_done(&spec);
    return status;
}

const struct command cmd_meta_copy = {
    .name = "\\copy",
    .summary = "Copy a file of this machine to a table, or a table or query to a file",
    .text = "\\copy TABLE [(COLUMN, ...)] FROM 'FILE' | PROGRAM 'COMMAND' | STDIN [(OPTION, ...)]\n"
            "\n"
            "\\copy TABLE | (QUERY) TO 'FILE' | PROGRAM 'COMMAND' | STDOUT [(OPTION, ...)]\n"
            "\n"
            "Options: FORMAT csv or tsv, to files also json, jsonl, markdown (default: by the "
            "file's name, else csv); HEADER false, without which the first line names the columns; "
            "DELIMITER ';'; NULL 'text'. A file of up to 8 MiB is one version of the table, seen "
            "whole or not at all; a larger one is several.",
    .arguments = {{"TABLE FROM|TO 'FILE'", COMMAND_TYPE_FILE, COMMAND_COUNT_LINE, NULL,
                   "the rest of the line"}},
    .examples = {{"\\copy sales FROM 'sales.csv'", "its first line names the columns"},
                 {"\\copy (SELECT * FROM cluster.jobs) TO 'jobs.json'", "a query as JSON"}},
    .run = cmd_meta_copy_run,
};
