#include "run/http_status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void codes_have_the_documented_status(void **state)
{
    (void)state;
    static const struct {
        int code;
        unsigned status;
    } rows[] = {
        {ERR_INVALID, 400},
        {ERR_PROTOCOL, 400},
        {ERR_UNAUTHORIZED, 401},
        {ERR_FORBIDDEN, 403},
        {ERR_WRONG_CLUSTER, 403},
        {ERR_NOT_FOUND, 404},
        {ERR_EXISTS, 409},
        {ERR_CONFLICT, 409},
        {ERR_TOO_LARGE, 413},
        {ERR_BUSY, 503},
        {ERR_NO_LEADER, 503},
        {ERR_UNAVAILABLE, 503},
        {ERR_TIMEOUT, 504},
        {ERR_OUTCOME_UNKNOWN, 504},
        {ERR_UNSUPPORTED, 501},
        {-ENOSPC, 507},
        {-ENOENT, 404},
        {-EACCES, 403},
        {ERR_INTERNAL, 500},
        {ERR_CORRUPT, 500},
        {-EIO, 500},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++)
        assert_int_equal(http_status_of(rows[i].code), rows[i].status);
}

static void every_code_has_a_status_of_failure(void **state)
{
    (void)state;
    static const int codes[] = {
#define CODE(symbol, number, api_name, text) symbol,
        ERR_LIST(CODE)
#undef CODE
    };
    for (size_t i = 0; i < MEM_COUNT(codes); i++) {
        unsigned status = http_status_of(codes[i]);
        assert_true(status >= 400 && status <= 599);
        assert_true(http_status_error(status) < 0);
    }
    assert_int_equal(http_status_error(200), 0);
    assert_int_equal(http_status_error(304), 0);
    assert_int_equal(http_status_error(418), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_the_documented_status),
        cmocka_unit_test(every_code_has_a_status_of_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
