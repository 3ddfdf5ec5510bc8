#include "base/uuid.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static void a_generated_id_is_of_version_4_and_variant_10(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct uuid id;
        char text[UUID_TEXT_MAX];
        uuid_generate(&id);
        uuid_format(&id, text);
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_false(uuid_is_nil(&id));
    }
}

static void generated_ids_differ(void **state)
{
    (void)state;
    struct uuid ids[100];
    for (int i = 0; i < 100; i++) {
        uuid_generate(&ids[i]);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(uuid_compare(&ids[i], &ids[j]), 0);
    }
}

static void ids_read_back_as_written(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        struct uuid id;
        struct uuid again;
        char text[UUID_TEXT_MAX];
        prng_bytes(&g.prng, id.bytes, sizeof id.bytes);
        uuid_format(&id, text);
        generated_check(&g, uuid_parse(text, &again) == 0, "%s", text);
        generated_check(&g, uuid_compare(&id, &again) == 0, "%s", text);
    }
}

/* RFC 9562, appendix A.3. */
static void the_example_of_rfc_9562_is_read_in_either_case(void **state)
{
    (void)state;
    static const uint8_t want[] = {0x91, 0x91, 0x08, 0xf7, 0x52, 0xd1, 0x43, 0x20,
                                   0x9b, 0xac, 0xf8, 0x47, 0xdb, 0x41, 0x48, 0xa8};
    struct uuid id;
    char text[UUID_TEXT_MAX];
    assert_int_equal(uuid_parse("919108F7-52D1-4320-9BAC-F847DB4148A8", &id), 0);
    assert_memory_equal(id.bytes, want, sizeof want);
    assert_string_equal(uuid_format(&id, text), "919108f7-52d1-4320-9bac-f847db4148a8");
}

static void wrong_forms_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "919108f752d143209bacf847db4148a8",
        "919108f7-52d1-4320-9bac-f847db4148a",
        "919108f7-52d1-4320-9bac-f847db4148a80",
        "919108f7-52d1-4320-9bac-f847db4148ag",
        "919108f7-52d1-4320-9bac_f847db4148a8",
        "919108f-752d1-4320-9bac-f847db4148a8",
        "{19108f7-52d1-4320-9bac-f847db4148a}",
        "919108f7-52d1-4320-9bac-f847db4148 8",
    };
    struct uuid id = {{1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(uuid_parse(wrong[i], &id), ERR_INVALID);
    assert_int_equal(id.bytes[0], 1);
}

static void any_text_of_the_right_length_is_an_id_or_refused(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[] = "919108f7-52d1-4320-9bac-f847db4148a8";
        static const char alphabet[] = "0f9AaFgG-: \x80\xe1";
        for (uint64_t n = prng_below(&g.prng, 3); n > 0; n--)
            text[prng_below(&g.prng, sizeof text - 1)] =
                alphabet[prng_below(&g.prng, sizeof alphabet - 1)];
        struct uuid id;
        char again[UUID_TEXT_MAX];
        int err = uuid_parse(text, &id);
        generated_check(&g, err == 0 || err == ERR_INVALID, "%s", text);
        generated_check(&g, err < 0 || strcasecmp(uuid_format(&id, again), text) == 0, "%s", text);
    }
}

static void ids_order_as_their_text(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        struct uuid a;
        struct uuid b;
        char a_text[UUID_TEXT_MAX];
        char b_text[UUID_TEXT_MAX];
        prng_bytes(&g.prng, a.bytes, sizeof a.bytes);
        b = a;
        b.bytes[prng_below(&g.prng, 16)] ^= (uint8_t)prng_below(&g.prng, 256);
        int want = strcmp(uuid_format(&a, a_text), uuid_format(&b, b_text));
        int order = uuid_compare(&a, &b);
        generated_check(&g, (want > 0) - (want < 0) == (order > 0) - (order < 0), "%s %s", a_text,
                        b_text);
    }
}

static void only_all_zeros_is_nil(void **state)
{
    (void)state;
    struct uuid id = {{0}};
    assert_true(uuid_is_nil(&id));
    id.bytes[15] = 1;
    assert_false(uuid_is_nil(&id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_id_is_of_version_4_and_variant_10),
        cmocka_unit_test(generated_ids_differ),
        cmocka_unit_test(ids_read_back_as_written),
        cmocka_unit_test(the_example_of_rfc_9562_is_read_in_either_case),
        cmocka_unit_test(wrong_forms_are_refused),
        cmocka_unit_test(any_text_of_the_right_length_is_an_id_or_refused),
        cmocka_unit_test(ids_order_as_their_text),
        cmocka_unit_test(only_all_zeros_is_nil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
