/* Records of transactions as JSON, and back. */
#include "tests/unit/generated.h"

#include <string.h>

#include "role/participant_internal.h"

static struct txn_body *a_body(void)
{
    static uint64_t participants[] = {3, 1, 2};
    static char key[] = "web";
    static uint8_t value[] = {0, 255, 7};
    static struct txn_write write = {.key = key, .base_version = 4, .value = value, .len = 3};
    const struct txn_body from = {.txid = {{9}},
                                  .coordinator = 2,
                                  .group = true,
                                  .began_ms = 77,
                                  .participants = participants,
                                  .participants_n = 3,
                                  .writes = &write,
                                  .writes_n = 1};
    char why[TXN_TEXT_MAX];
    struct txn_body *body = txn_body_new(&from, why);
    assert_non_null(body);
    return body;
}

static char *text_of(const struct txn_record *record)
{
    json_t *json = participant_record_json(record);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    json_decref(json);
    return text;
}

static int parse(const char *text, struct txn_record *record)
{
    struct error e;
    json_t *json = json_loads(text, 0, NULL);
    int err = json != NULL ? participant_record_parse(json, record, &e) : ERR_CORRUPT;
    json_decref(json);
    return err;
}

static void a_record_reads_as_it_was_written(void **state)
{
    (void)state;
    char key[] = "web";
    char value[] = "v";
    char reason[] = "no \x01 \"room\"";
    struct txn_item item = {
        .key = key, .version = 5, .txid = {{8}}, .at_ms = 66, .value = value, .len = 1};
    struct txn_body *body = a_body();
    const struct txn_record records[] = {
        {.type = TXN_RECORD_PREPARED, .at_ms = 1, .txid = {{9}}, .body = body},
        {.type = TXN_RECORD_REFUSED, .at_ms = 2, .txid = {{9}}, .text = reason},
        {.type = TXN_RECORD_DECIDED,
         .at_ms = 3,
         .txid = {{9}},
         .outcome = TXN_OUTCOME_ABORT,
         .text = reason},
        {.type = TXN_RECORD_COORDINATED,
         .at_ms = 4,
         .txid = {{9}},
         .outcome = TXN_OUTCOME_COMMIT,
         .text = reason,
         .body = body},
        {.type = TXN_RECORD_ENDED, .at_ms = 5, .txid = {{9}}},
        {.type = TXN_RECORD_ITEM, .at_ms = 6, .txid = {{8}}, .item = &item},
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        char *text = text_of(&records[i]);
        assert_null(strchr(text, '\n'));
        struct txn_record back;
        assert_int_equal(parse(text, &back), 0);
        char *again = text_of(&back);
        assert_string_equal(text, again);
        if (back.body != NULL) {
            assert_int_equal(back.body->participants[0], 1);
            assert_memory_equal(back.body->writes[0].value, body->writes[0].value, 3);
        }
        txn_record_release(&back);
        free(again);
        free(text);
    }
    txn_body_free(body);
}

/* Whatever stands there, it is a record or an error. */
static void damaged_lines_are_refused_or_whole(void **state)
{
    (void)state;
    struct txn_body *body = a_body();
    const struct txn_record record = {.type = TXN_RECORD_PREPARED, .txid = {{9}}, .body = body};
    char *text = text_of(&record);
    size_t len = strlen(text);
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        char *damaged = strdup(text);
        for (uint64_t n = prng_between(&g.prng, 1, 4); n > 0; n--)
            damaged[prng_below(&g.prng, len)] = "\"{}[],:0129a-e"[prng_below(&g.prng, 14)];
        struct txn_record back;
        if (parse(damaged, &back) == 0) {
            generated_check(&g, back.body == NULL || back.body->participants_n > 0, "%s", damaged);
            txn_record_release(&back);
        }
        free(damaged);
    }
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"kind\":\"prepared\"}",
        "{\"kind\":\"version\",\"txid\":\"x\"}",
        "{\"kind\":\"nothing\",\"txid\":\"09000000-0000-0000-0000-000000000000\"}",
        "{\"kind\":\"version\",\"txid\":\"09000000-0000-0000-0000-000000000000\",\"key\":\"web\","
        "\"version\":0,\"value\":\"\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct txn_record back;
        assert_int_equal(parse(bad[i], &back), ERR_CORRUPT);
        txn_record_release(&back);
    }
    free(text);
    txn_body_free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_as_it_was_written),
        cmocka_unit_test(damaged_lines_are_refused_or_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
