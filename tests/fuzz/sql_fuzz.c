/* Text of SQL: words, where statements end, what clusterd runs itself; selectors as well. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/selector.h"
#include "core/sql_ast.h"
#include "core/sql_text.h"

static void read_words(const char *text, size_t len)
{
    struct sql_token token;
    size_t at = 0;
    while ((token = sql_lex_next(text, len, at)).kind != SQL_TOKEN_END) {
        fuzz_check(token.len > 0 && token.at >= at && token.at + token.len <= len);
        if (token.kind == SQL_TOKEN_WORD || token.kind == SQL_TOKEN_QUOTED ||
            (token.kind == SQL_TOKEN_STRING && !token.open))
            free(sql_token_value(text, &token));
        at = token.at + token.len;
    }
}

static void read_statements(const char *text, size_t len)
{
    struct sql_split split;
    for (size_t at = 0; at < len && sql_split_next(text + at, len - at, &split); at += split.end) {
        struct sql_statement statement;
        struct sql_values values;
        struct sql_error e = {0};
        fuzz_check(split.end > 0 && split.end <= len - at);
        fuzz_check(split.at + split.len <= split.end);
        const char *one = text + at + split.at;
        if (sql_parse(one, split.len, &statement, &e) == 0) {
            fuzz_check(*sql_kind_name(statement.kind) != '\0');
            sql_statement_done(&statement);
        } else {
            fuzz_check(e.error.text[0] != '\0');
            fuzz_check(e.at == SQL_AT_NONE || e.at <= split.len);
        }
        (void)sql_values_count(one, split.len, &values);
    }
}

static void read_selector(const char *text)
{
    struct selector selector, again;
    struct error e = {0};
    if (selector_parse(&selector, text, &e) < 0)
        return;
    char *printed = selector_format(&selector);
    fuzz_check(selector_parse(&again, printed, &e) == 0);
    char *twice = selector_format(&again);
    fuzz_check(strcmp(printed, twice) == 0);
    free(printed);
    free(twice);
    selector_done(&again);
    selector_done(&selector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *text = len > 0 ? (const char *)data : "";
    struct sql_error e = {0};
    json_t *query;
    read_words(text, len);
    read_statements(text, len);
    if (sql_ast_read(text, len, &query, &e) == 0) {
        free(sql_ast_write(query));
        free(sql_ast_key(query));
        json_decref(query);
    }
    char *string = fuzz_text(data, len);
    read_selector(string);
    free(string);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(add,
                  "CREATE OR REPLACE TABLE IF NOT EXISTS \"a\"\"b\" (c DECIMAL(10,2) NOT NULL, "
                  "d STRUCT(x INT, y INT[])) PARTITIONED BY (c) LOCATION 's3://b/p';");
    fuzz_add_text(add, "create table t partitioned by (d) as select 1 as d");
    fuzz_add_text(add, "INSERT INTO t (a, b) BY NAME VALUES (1, 'it''s'), (E'\\n\\x41', $q$x$q$)");
    fuzz_add_text(add,
                  "COPY (SELECT 1) TO '/x' (FORMAT csv, HEADER, DELIMITER '|'); COPY t FROM 'y'");
    fuzz_add_text(add, "DELETE FROM s.t WHERE a = (SELECT max(a) FROM t) /* a /* b */ c */ -- d\n");
    fuzz_add_text(add, "UPDATE t SET a = a + 1, b = case when c then ';' end WHERE x::int <> 3");
    fuzz_add_text(add,
                  "EXPLAIN ANALYZE FROM t; VACUUM t RETAIN 168 HOURS DRY RUN; OPTIMIZE t; SHOW "
                  "TABLES; DESCRIBE HISTORY t; DROP TABLE IF EXISTS t; PRAGMA x; VALUES (1)");
    fuzz_add_text(add, "name=n1,gpu,!slow,zone!=b, kind = agent");
    fuzz_add_text(add, "{\"error\":false,\"statements\":[{\"node\":{\"type\":\"SELECT_NODE\","
                       "\"modifiers\":[],\"select_list\":[{\"class\":\"CONSTANT\",\"type\":"
                       "\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":7}]}}]}");
}
