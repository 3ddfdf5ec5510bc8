/* The span of time that a query can see, from trees as DuckDB makes them. */
#include "core/sql_range.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/unit/generated.h"

#define NOW INT64_C(1800000000000)

static const struct sql_range_columns COLUMNS_OF_IT = {"time", "seq", "channel"};

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

#define COLUMN "{\"class\":\"COLUMN_REF\",\"column_names\":[\"e\",\"TIME\"]}"
#define ZULU                                                                                       \
    "{\"class\":\"CAST\",\"child\":{\"class\":\"CONSTANT\",\"value\":{\"value\":\"2026-11-20 "     \
    "20:15:00Z\"}}}"
#define DATE   "{\"class\":\"CONSTANT\",\"value\":{\"value\":\"2026-11-20\"}}"
#define NOW_FN "{\"class\":\"FUNCTION\",\"function_name\":\"now\",\"children\":[]}"
#define TEN                                                                                        \
    "{\"class\":\"FUNCTION\",\"function_name\":\"to_minutes\",\"children\":[{\"class\":\"CAST\","  \
    "\"child\":{\"class\":\"FUNCTION\",\"function_name\":\"trunc\",\"children\":[{\"class\":"      \
    "\"CAST\",\"child\":{\"class\":\"CONSTANT\",\"value\":{\"value\":10}}}]}}]}"
#define HOUR                                                                                       \
    "{\"class\":\"CAST\",\"child\":{\"class\":\"CONSTANT\",\"value\":{\"value\":\"1 hour\"}}}"
#define MINUS(a, b) "{\"class\":\"FUNCTION\",\"function_name\":\"-\",\"children\":[" a "," b "]}"
#define COMPARE(type, a, b)                                                                        \
    "{\"class\":\"COMPARISON\",\"type\":\"COMPARE_" type "\",\"left\":" a ",\"right\":" b "}"
#define AND(a, b)                                                                                  \
    "{\"class\":\"CONJUNCTION\",\"type\":\"CONJUNCTION_AND\",\"children\":[" a "," b "]}"
#define OR(a, b)                                                                                   \
    "{\"class\":\"CONJUNCTION\",\"type\":\"CONJUNCTION_OR\",\"children\":[" a "," b "]}"

static struct sql_range range_from(const char *table, const char *where)
{
    char *text = mem_printf("{\"type\":\"SELECT_NODE\",\"from_table\":%s,\"where_clause\":%s}",
                            table, where);
    json_t *query = parse(text);
    struct sql_range range;
    sql_range_of(query, "cluster", "events", &COLUMNS_OF_IT, NOW, &range);
    json_decref(query);
    free(text);
    return range;
}

static struct sql_range range_of(const char *where)
{
    return range_from(
        "{\"type\":\"BASE_TABLE\",\"schema_name\":\"cluster\",\"table_name\":\"events\"}", where);
}

static int64_t at(const char *text)
{
    int64_t ms;
    assert_int_equal(clock_parse_rfc3339(text, &ms), 0);
    return ms;
}

static void test_a_time_with_its_zone_is_the_bound(void **state)
{
    (void)state;
    struct sql_range r = range_of(COMPARE("GREATERTHAN", COLUMN, ZULU));
    assert_int_equal(r.since_ms, at("2026-11-20T20:15:00Z"));
    assert_int_equal(r.until_ms, INT64_MAX);
    r = range_of(COMPARE("GREATERTHANOREQUALTO", ZULU, COLUMN));
    assert_int_equal(r.until_ms, at("2026-11-20T20:15:00Z"));
    r = range_of(COMPARE("EQUAL", COLUMN, ZULU));
    assert_int_equal(r.since_ms, r.until_ms);
}

static void test_a_time_without_a_zone_may_be_anywhere(void **state)
{
    (void)state;
    struct sql_range r = range_of(COMPARE("LESSTHAN", COLUMN, DATE));
    assert_true(r.until_ms > at("2026-11-20T12:00:00Z"));
    r = range_of(COMPARE("GREATERTHAN", COLUMN, DATE));
    assert_true(r.since_ms < at("2026-11-19T12:00:00Z"));
    assert_true(r.since_ms > at("2026-11-18T00:00:00Z"));
}

static void test_now_less_an_interval(void **state)
{
    (void)state;
    struct sql_range r = range_of(COMPARE("GREATERTHAN", COLUMN, MINUS(NOW_FN, TEN)));
    assert_true(r.since_ms <= NOW - 600000 && r.since_ms > NOW - 1200000);
    r = range_of(COMPARE("LESSTHAN", COLUMN, MINUS(NOW_FN, HOUR)));
    assert_true(r.until_ms >= NOW - 3600000 && r.until_ms < NOW);
}

static void test_conditions_that_all_hold_narrow_together(void **state)
{
    (void)state;
    struct sql_range r = range_of(AND(COMPARE("GREATERTHAN", COLUMN, MINUS(NOW_FN, HOUR)),
                                      COMPARE("GREATERTHAN", COLUMN, MINUS(NOW_FN, TEN))));
    assert_true(r.since_ms > NOW - 1200000);
}

static void test_what_is_not_understood_narrows_nothing(void **state)
{
    static const char *const wheres[] = {
        OR(COMPARE("GREATERTHAN", COLUMN, ZULU), COMPARE("GREATERTHAN", COLUMN, DATE)),
        COMPARE("NOTEQUAL", COLUMN, ZULU),
        COMPARE("GREATERTHAN", "{\"class\":\"COLUMN_REF\",\"column_names\":[\"other\"]}", ZULU),
        COMPARE("GREATERTHAN", COLUMN, "{\"class\":\"CONSTANT\",\"value\":{\"value\":\"soon\"}}"),
        COMPARE("GREATERTHAN", COLUMN, "{\"class\":\"CONSTANT\",\"value\":{\"value\":7}}"),
        COMPARE("GREATERTHAN", COLUMN, MINUS(COLUMN, TEN)),
        "null",
        "7",
        "[]"};
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(wheres); i++) {
        struct sql_range r = range_of(wheres[i]);
        assert_int_equal(r.since_ms, INT64_MIN);
        assert_int_equal(r.until_ms, INT64_MAX);
    }
}

static void test_other_tables_and_queries_inside_narrow_nothing(void **state)
{
    (void)state;
    const char *where = COMPARE("GREATERTHAN", COLUMN, ZULU);
    assert_int_equal(range_from("{\"type\":\"JOIN\"}", where).since_ms, INT64_MIN);
    assert_int_equal(
        range_from("{\"type\":\"BASE_TABLE\",\"schema_name\":\"\",\"table_name\":\"events\"}",
                   where)
            .since_ms,
        INT64_MIN);
    assert_int_equal(
        range_of(AND(COMPARE("GREATERTHAN", COLUMN, ZULU), "{\"type\":\"SELECT_NODE\"}")).since_ms,
        INT64_MIN);
}

#define SEQ     "{\"class\":\"COLUMN_REF\",\"column_names\":[\"Seq\"]}"
#define CHANNEL "{\"class\":\"COLUMN_REF\",\"column_names\":[\"m\",\"channel\"]}"
#define TYPED(id, v)                                                                               \
    "{\"class\":\"CONSTANT\",\"value\":{\"type\":{\"id\":\"" id "\"},\"value\":" v "}}"
#define NUMBER(n)  TYPED("INTEGER", #n)
#define TEXT(text) TYPED("VARCHAR", "\"" text "\"")
#define BETWEEN(a, b)                                                                              \
    "{\"class\":\"BETWEEN\",\"type\":\"COMPARE_BETWEEN\",\"input\":" SEQ ",\"lower\":" a           \
    ",\"upper\":" b "}"
#define LIMIT(n) "{\"type\":\"LIMIT_MODIFIER\",\"limit\":" NUMBER(n) "}"
#define ORDER(type, e)                                                                             \
    "{\"type\":\"ORDER_MODIFIER\",\"orders\":[{\"type\":\"" type "\",\"expression\":" e "}]}"
#define STAR "{\"class\":\"STAR\",\"type\":\"STAR\",\"replace_list\":[],\"exclude_list\":[]}"

static struct sql_range range_of_query(const char *items, const char *where, const char *modifiers)
{
    char *text = mem_printf("{\"type\":\"SELECT_NODE\",\"select_list\":[%s],\"aggregate_handling\":"
                            "\"STANDARD_HANDLING\",\"group_expressions\":[],\"group_sets\":[],"
                            "\"from_table\":{\"type\":\"BASE_TABLE\",\"schema_name\":\"cluster\","
                            "\"table_name\":\"events\"},\"where_clause\":%s,\"modifiers\":[%s]}",
                            items, where, modifiers);
    json_t *query = parse(text);
    struct sql_range range;
    sql_range_of(query, "cluster", "events", &COLUMNS_OF_IT, NOW, &range);
    json_decref(query);
    free(text);
    return range;
}

static void test_numbers_and_texts_narrow(void **state)
{
    (void)state;
    struct sql_range r = range_of(
        AND(COMPARE("GREATERTHAN", SEQ, NUMBER(5)), COMPARE("LESSTHANOREQUALTO", SEQ, NUMBER(9))));
    assert_int_equal(r.first, 6);
    assert_int_equal(r.last, 9);
    r = range_of(
        AND(COMPARE("GREATERTHAN", NUMBER(5), SEQ), COMPARE("EQUAL", CHANNEL, TEXT("a b"))));
    assert_int_equal(r.first, INT64_MIN);
    assert_int_equal(r.last, 4);
    assert_string_equal(r.text, "a b");
    r = range_of(COMPARE("EQUAL", SEQ, NUMBER(7)));
    assert_int_equal(r.first, 7);
    assert_int_equal(r.last, 7);
    r = range_of(BETWEEN(NUMBER(3), NUMBER(4)));
    assert_int_equal(r.first, 3);
    assert_int_equal(r.last, 4);
}

static void test_other_constants_narrow_no_number(void **state)
{
    static const char *const wheres[] = {
        COMPARE("GREATERTHAN", SEQ, TYPED("DECIMAL", "35")),
        COMPARE("GREATERTHAN", SEQ, TYPED("DOUBLE", "3.5")),
        COMPARE("GREATERTHAN", SEQ, TYPED("BOOLEAN", "true")),
        COMPARE("EQUAL", SEQ, TEXT("7")),
        COMPARE("EQUAL", CHANNEL, NUMBER(7)),
        COMPARE("GREATERTHAN", CHANNEL, TEXT("a")),
        COMPARE("EQUAL", CHANNEL, TEXT("")),
        OR(COMPARE("EQUAL", SEQ, NUMBER(7)), COMPARE("EQUAL", CHANNEL, TEXT("a"))),
    };
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(wheres); i++) {
        struct sql_range r = range_of_query(STAR, wheres[i], LIMIT(3));
        assert_int_equal(r.first, INT64_MIN);
        assert_int_equal(r.last, INT64_MAX);
        assert_string_equal(r.text, "");
        assert_int_equal(r.rows, -1);
    }
}

static void test_a_limit_is_enough_when_the_range_says_all(void **state)
{
    (void)state;
    struct sql_range r = range_of_query(STAR, "null", LIMIT(3));
    assert_int_equal(r.rows, 3);
    assert_false(r.backwards);
    r = range_of_query(SEQ "," CHANNEL, COMPARE("EQUAL", CHANNEL, TEXT("a")),
                       ORDER("DESCENDING", SEQ) "," LIMIT(20));
    assert_int_equal(r.rows, 20);
    assert_true(r.backwards);
    r = range_of_query(STAR, BETWEEN(NUMBER(3), NUMBER(400)),
                       ORDER("ORDER_DEFAULT", SEQ) "," LIMIT(2));
    assert_int_equal(r.rows, 2);
    assert_false(r.backwards);
}

static void test_a_limit_of_something_else_is_no_limit(void **state)
{
    static const char *const queries[][3] = {
        {STAR, COMPARE("GREATERTHAN", COLUMN, ZULU), LIMIT(3)}, /* a time is not that exact */
        {STAR, COMPARE("NOTEQUAL", SEQ, NUMBER(3)), LIMIT(3)},
        {STAR, "null", ORDER("ASCENDING", CHANNEL) "," LIMIT(3)},
        {STAR, "null", ORDER("ASCENDING", NUMBER(1)) "," LIMIT(3)},
        {"{\"class\":\"FUNCTION\",\"function_name\":\"count_star\"}", "null", LIMIT(3)},
        {"{\"class\":\"COLUMN_REF\",\"alias\":\"SEQ\",\"column_names\":[\"channel\"]}", "null",
         ORDER("DESCENDING", SEQ) "," LIMIT(3)},
        {"{\"class\":\"STAR\",\"replace_list\":[{\"key\":\"seq\",\"value\":" CHANNEL "}]}", "null",
         ORDER("DESCENDING", SEQ) "," LIMIT(3)},
        {STAR, "null", "{\"type\":\"DISTINCT_MODIFIER\",\"distinct_on_targets\":[]}," LIMIT(3)},
        {STAR, "null", "{\"type\":\"LIMIT_PERCENT_MODIFIER\"}"},
        {STAR, "null", ""},
    };
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(queries); i++) {
        struct sql_range r = range_of_query(queries[i][0], queries[i][1], queries[i][2]);
        assert_int_equal(r.rows, -1);
        assert_false(r.backwards);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_time_with_its_zone_is_the_bound),
        cmocka_unit_test(test_a_time_without_a_zone_may_be_anywhere),
        cmocka_unit_test(test_now_less_an_interval),
        cmocka_unit_test(test_conditions_that_all_hold_narrow_together),
        cmocka_unit_test(test_what_is_not_understood_narrows_nothing),
        cmocka_unit_test(test_other_tables_and_queries_inside_narrow_nothing),
        cmocka_unit_test(test_numbers_and_texts_narrow),
        cmocka_unit_test(test_other_constants_narrow_no_number),
        cmocka_unit_test(test_a_limit_is_enough_when_the_range_says_all),
        cmocka_unit_test(test_a_limit_of_something_else_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
