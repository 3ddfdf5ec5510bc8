#include "core/delta_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static char *format(const struct delta_schema *schema)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(delta_schema_format(schema, &b), 0);
    buf_cstr(&b);
    return buf_steal(&b, NULL);
}

static void every_type_has_its_form_in_delta_and_in_duckdb(void **state)
{
    (void)state;
    static const struct {
        const char *duckdb, *delta, *back;
    } types[] = {
        {"bool", "\"boolean\"", "BOOLEAN"},
        {"TINYINT", "\"byte\"", "TINYINT"},
        {"int2", "\"short\"", "SMALLINT"},
        {"Integer", "\"integer\"", "INTEGER"},
        {"BIGINT", "\"long\"", "BIGINT"},
        {"real", "\"float\"", "FLOAT"},
        {"double precision", "\"double\"", "DOUBLE"},
        {"decimal", "\"decimal(18,3)\"", "DECIMAL(18,3)"},
        {"NUMERIC( 38 , 10 )", "\"decimal(38,10)\"", "DECIMAL(38,10)"},
        {"DECIMAL(5)", "\"decimal(5,0)\"", "DECIMAL(5,0)"},
        {"varchar(20)", "\"string\"", "VARCHAR"},
        {"TEXT", "\"string\"", "VARCHAR"},
        {"BLOB", "\"binary\"", "BLOB"},
        {"DATE", "\"date\"", "DATE"},
        {"timestamptz", "\"timestamp\"", "TIMESTAMP WITH TIME ZONE"},
        {"TIMESTAMP WITH TIME ZONE", "\"timestamp\"", "TIMESTAMP WITH TIME ZONE"},
        {"TIMESTAMP", "\"timestamp_ntz\"", "TIMESTAMP"},
        {"INTEGER[][]",
         "{\"type\":\"array\",\"elementType\":{\"type\":\"array\",\"elementType\":\"integer\","
         "\"containsNull\":true},\"containsNull\":true}",
         "INTEGER[][]"},
        {"MAP(VARCHAR, INT[])",
         "{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":{\"type\":\"array\","
         "\"elementType\":\"integer\",\"containsNull\":true},\"valueContainsNull\":true}",
         "MAP(VARCHAR, INTEGER[])"},
        {"STRUCT(a INTEGER, \"b \"\"c\" STRUCT(d DATE))",
         "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"integer\",\"nullable\":true,"
         "\"metadata\":{}},{\"name\":\"b \\\"c\",\"type\":{\"type\":\"struct\",\"fields\":[{"
         "\"name\":\"d\",\"type\":\"date\",\"nullable\":true,\"metadata\":{}}]},\"nullable\":true,"
         "\"metadata\":{}}]}",
         "STRUCT(\"a\" INTEGER, \"b \"\"c\" STRUCT(\"d\" DATE))"},
    };
    for (size_t i = 0; i < MEM_COUNT(types); i++) {
        struct delta_schema schema = {0}, again;
        struct error e;
        if (delta_schema_add(&schema, "c", types[i].duckdb, true, &e) < 0)
            fail_msg("%s: %s", types[i].duckdb, e.text);
        char *text = format(&schema);
        char *wanted = mem_printf("{\"type\":\"struct\",\"fields\":[{\"name\":\"c\",\"type\":%s,"
                                  "\"nullable\":true,\"metadata\":{}}]}",
                                  types[i].delta);
        assert_string_equal(text, wanted);
        assert_int_equal(delta_schema_parse(text, strlen(text), &again, NULL), 0);
        assert_true(delta_schema_equal(&schema, &again));
        char *back = delta_type_duckdb(&again.fields[0].type);
        assert_string_equal(back, types[i].back);
        free(back);
        free(wanted);
        free(text);
        delta_schema_done(&schema);
        delta_schema_done(&again);
    }
}

static void what_delta_lacks_is_refused_by_name_with_what_to_use(void **state)
{
    (void)state;
    static const char *const lacking[][2] = {
        {"HUGEINT", "BIGINT"},   {"UINTEGER", "BIGINT"},   {"TIME", "VARCHAR"},
        {"INTERVAL", "VARCHAR"}, {"UUID", "VARCHAR"},      {"TIMESTAMP_NS", "TIMESTAMP"},
        {"JSON", "VARCHAR"},     {"INTEGER[3]", "TYPE[]"}, {"STRUCT(a UBIGINT)", "DECIMAL"},
        {"BIT[]", "VARCHAR"},
    };
    for (size_t i = 0; i < MEM_COUNT(lacking); i++) {
        struct delta_schema schema = {0};
        struct error e = {0};
        assert_int_equal(delta_schema_add(&schema, "col", lacking[i][0], true, &e),
                         ERR_UNSUPPORTED);
        assert_non_null(strstr(e.text, "col"));
        if (strstr(e.text, lacking[i][1]) == NULL)
            fail_msg("%s", e.text);
        assert_int_equal(schema.n, 0);
    }
}

static void what_is_no_type_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "foo",      "DECIMAL(39,0)", "DECIMAL(2,3)",
        "DECIMAL(0)", "STRUCT()", "STRUCT(a)",     "MAP(INTEGER)",
        "INTEGER]",   "MAP(A,B)", "DATE DATE",     "STRUCT(a INTEGER",
    };
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        struct delta_schema schema = {0};
        struct error e = {0};
        if (delta_schema_add(&schema, "c", bad[i], true, &e) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
    }
    char deep[400] = "INTEGER";
    for (int i = 0; i < 100; i++)
        strcat(deep, "[]");
    struct delta_schema schema = {0};
    assert_true(delta_schema_add(&schema, "c", deep, true, NULL) < 0);
}

static void names_of_columns_are_checked(void **state)
{
    (void)state;
    struct delta_schema schema = {0};
    assert_int_equal(delta_schema_add(&schema, "Größe", "INT", true, NULL), 0);
    assert_int_equal(delta_schema_add(&schema, "b", "INT", true, NULL), 0);
    assert_int_equal(delta_schema_add(&schema, "B", "INT", true, NULL), ERR_INVALID);
    assert_int_equal(delta_schema_add(&schema, "a b", "INT", true, NULL), ERR_INVALID);
    assert_int_equal(delta_schema_add(&schema, "", "INT", true, NULL), ERR_INVALID);
    assert_int_equal(delta_schema_find(&schema, "B"), 1);
    assert_true(delta_schema_find(&schema, "c") == SIZE_MAX);
    delta_schema_done(&schema);
}

static void a_schema_of_another_writer_is_read_and_kept(void **state)
{
    (void)state;
    static const char json[] =
        "{\"fields\":[{\"metadata\":{\"comment\":\"x\",\"n\":[1]},\"nullable\":false,\"name\":"
        "\"id\",\"type\":\"long\"},{\"name\":\"l\",\"type\":{\"containsNull\":false,"
        "\"elementType\":\"void\",\"type\":\"array\"},\"nullable\":true,\"metadata\":{}}],"
        "\"type\":\"struct\"}";
    struct delta_schema schema;
    assert_int_equal(delta_schema_parse(json, sizeof json - 1, &schema, NULL), 0);
    char *text = format(&schema);
    assert_string_equal(text,
                        "{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\","
                        "\"nullable\":false,\"metadata\":{\"comment\":\"x\",\"n\":[1]}},{\"name\":"
                        "\"l\",\"type\":{\"type\":\"array\",\"elementType\":\"void\","
                        "\"containsNull\":false},\"nullable\":true,\"metadata\":{}}]}");
    free(text);
    delta_schema_done(&schema);
}

static void what_is_no_schema_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "\"long\"",
        "{\"type\":\"struct\"",
        "{\"type\":\"array\"}",
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\"}]}",
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"\",\"type\":\"long\"}]}",
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"},"
        "{\"name\":\"A\",\"type\":\"long\"}]}",
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"map\"}}]}",
        "{\"type\":\"struct\",\"fields\":[]}x",
    };
    for (size_t i = 0; i < MEM_COUNT(bad); i++) {
        struct delta_schema schema;
        if (delta_schema_parse(bad[i], strlen(bad[i]), &schema, NULL) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
    }
    static const char variant[] =
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":\"variant\"}]}";
    struct delta_schema schema;
    struct error e;
    assert_int_equal(delta_schema_parse(variant, sizeof variant - 1, &schema, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "variant"));
}

static void a_time_without_zone_needs_its_feature(void **state)
{
    (void)state;
    struct delta_schema schema = {0};
    assert_int_equal(delta_schema_add(&schema, "a", "TIMESTAMPTZ", true, NULL), 0);
    assert_false(delta_schema_needs_ntz(&schema));
    assert_int_equal(
        delta_schema_add(&schema, "b", "MAP(VARCHAR, STRUCT(x TIMESTAMP[]))", true, NULL), 0);
    assert_true(delta_schema_needs_ntz(&schema));
    delta_schema_done(&schema);
}

static void any_text_is_safe(void **state)
{
    (void)state;
    static const char *const words[] = {"STRUCT", "(",  ")", "[]",  "MAP", ",",      "a ",
                                        "INT",    "\"", " ", "DEC", "3",   "DOUBLE", "TIMESTAMP "};
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[200] = "";
        size_t n = prng_below(&g.prng, 14);
        for (size_t i = 0; i < n; i++)
            strcat(text, words[prng_below(&g.prng, MEM_COUNT(words))]);
        struct delta_schema schema = {0}, again = {0};
        if (delta_schema_add(&schema, "c", text, true, NULL) == 0) {
            char *back = delta_type_duckdb(&schema.fields[0].type);
            int err = delta_schema_add(&again, "c", back, true, NULL);
            generated_check(&g, err == 0 && delta_schema_equal(&schema, &again), "%s -> %s", text,
                            back);
            free(back);
        }
        delta_schema_done(&schema);
        delta_schema_done(&again);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_form_in_delta_and_in_duckdb),
        cmocka_unit_test(what_delta_lacks_is_refused_by_name_with_what_to_use),
        cmocka_unit_test(what_is_no_type_is_refused),
        cmocka_unit_test(names_of_columns_are_checked),
        cmocka_unit_test(a_schema_of_another_writer_is_read_and_kept),
        cmocka_unit_test(what_is_no_schema_is_refused),
        cmocka_unit_test(a_time_without_zone_needs_its_feature),
        cmocka_unit_test(any_text_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
