#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/sql_plan.h"

enum { SQL_EXPLAIN_MAX = 1024 * 1024 };

static const char *sql_op_text(enum sql_op op)
{
    static const char *const texts[] = {
        [SQL_OP_EQ] = "=",        [SQL_OP_LT] = "<",
        [SQL_OP_LE] = "<=",       [SQL_OP_GT] = ">",
        [SQL_OP_GE] = ">=",       [SQL_OP_IS_NULL] = "is null",
        [SQL_OP_PREFIX] = "like", [SQL_OP_IS_NOT_NULL] = "is not null",
        [SQL_OP_IN] = "in",
    };
    return texts[op];
}

static void sql_explain_filters(const struct sql_input *input, const struct sql_table *table,
                                struct buf *out)
{
    for (size_t i = 0; i < input->filters_n; i++) {
        const struct sql_filter *filter = &input->filters[i];
        (void)buf_printf(out, "%s%s %s", i > 0 ? " and " : " where ",
                         table->columns[filter->column].name, sql_op_text(filter->op));
        for (size_t v = 0; v < filter->values_n; v++)
            (void)buf_printf(out, "%s%s", v > 0 ? ", " : " ", filter->values[v]);
    }
}

static void sql_explain_input(const struct sql_input *input, const struct sql_refs *refs,
                              const struct sql_table *tables, struct buf *out)
{
    const char *how = input->split ? "split" : "whole";
    if (input->kind == SQL_INPUT_STAGE) {
        (void)buf_printf(out, "    reads stage %zu, %s\n", input->index + 1,
                         input->split ? "one partition" : "whole");
        return;
    }
    const struct sql_table *table = &tables[input->index];
    const struct sql_ref *ref = &refs->refs[input->index];
    char bytes[STR_SHORT_MAX];
    (void)buf_printf(out, "    reads %s%s%s, %s: %zu of %zu files, %s, %zu of %zu columns",
                     ref->schema, ref->schema[0] != '\0' ? "." : "", ref->name, how, input->files_n,
                     table->files_n, str_format_bytes(input->bytes, bytes), input->columns_n,
                     table->columns_n);
    sql_explain_filters(input, table, out);
    (void)buf_append_byte(out, '\n');
}

char *sql_plan_explain(const struct sql_plan *plan, const struct sql_refs *refs,
                       const struct sql_table *tables)
{
    struct buf out;
    buf_init(&out, SQL_EXPLAIN_MAX);
    for (size_t i = 0; i < plan->stages_n; i++) {
        const struct sql_stage *stage = &plan->stages[i];
        (void)buf_printf(&out, "stage %zu: %s, %zu task%s", i + 1, stage->what, stage->tasks,
                         stage->tasks == 1 ? "" : "s");
        if (stage->output == SQL_OUTPUT_HASH)
            (void)buf_printf(&out, " -> %zu partitions by %zu key%s", stage->partitions,
                             stage->keys_n, stage->keys_n == 1 ? "" : "s");
        else
            (void)buf_append_str(&out, stage->output == SQL_OUTPUT_ROWS ? " -> rows" : " -> files");
        if (plan->whole && plan->why[0] != '\0')
            (void)buf_printf(&out, " (not distributed: %s)", plan->why);
        (void)buf_append_byte(&out, '\n');
        for (size_t k = 0; k < stage->inputs_n; k++)
            sql_explain_input(&stage->inputs[k], refs, tables, &out);
    }
    char *text = buf_steal(&out, NULL);
    buf_done(&out);
    return text;
}
