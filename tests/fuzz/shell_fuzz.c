/* What is typed or read from a file: statements, their words, records of CSV. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/csv_reader.h"
#include "shell/statement.h"

static void read_statements(const char *text)
{
    size_t at = 0, len = 0, all = strlen(text);
    while (at < all) {
        struct statement statement;
        struct error e = {0};
        size_t from, sql_len;
        (void)statement_next(text + at, &len);
        fuzz_check(len > 0 && len <= all - at);
        if (statement_is_sql(text + at, len, &from, &sql_len)) {
            fuzz_check(from + sql_len <= len);
        } else {
            (void)statement_split(&statement, text + at, len, at % 2 == 0, &e);
            for (size_t i = 0; i < statement.n; i++)
                fuzz_check(statement.words[i].to <= len);
            statement_done(&statement);
        }
        at += len;
    }
}

static void read_csv(const uint8_t *data, size_t len)
{
    struct csv_reader reader;
    struct error e = {0};
    FILE *file = fmemopen((void *)(uintptr_t)data, len, "r");
    if (file == NULL)
        return;
    csv_reader_init(&reader, file);
    reader.quote = len % 3 == 0 ? '\0' : '"';
    reader.delimiter = len % 2 == 0 ? ',' : '\t';
    while (csv_reader_next(&reader, &e) == 1)
        for (size_t i = 0; i < reader.n; i++)
            (void)csv_reader_field(&reader, i);
    csv_reader_done(&reader);
    (void)fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    read_statements(text);
    free(text);
    read_csv(data, len);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(
        add, "job submit --array 0-9 -- sh -c 'echo \"a\" \\\n b' ; # comment\n-- x\nnode list");
    fuzz_add_text(add, "select 'a;b', $$ ; $$ from t -- ;\n; \\g | less\n\\set x 'y z'\n");
    fuzz_add_text(add, "with a as (select 1) select * from a /* ; */ \\gx\nstatus \\watch 1\n");
    fuzz_add_text(add, "a,\"b \"\"c\"\"\nd\",\\N,\r\n1\t2\t\\t\n\"");
}
