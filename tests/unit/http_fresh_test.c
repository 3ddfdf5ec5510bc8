/* What may be kept of an answer, for how long, and what is asked with. */
#include "run/http_fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define DATE  "Sun, 06 Nov 1994 08:49:37 GMT"
#define OLDER "Sun, 06 Nov 1994 08:49:30 GMT"

static void what_an_answer_allows(void **state)
{
    (void)state;
    static const struct {
        struct http_fresh_fields fields;
        bool keep;
        int64_t fresh_ms;
        const char *question;
    } cases[] = {
        {{NULL}, false, 0, ""},
        {{.etag = "\"a\""}, true, 0, "If-None-Match: \"a\""},
        {{.etag = "W/\"a\""}, true, 0, "If-None-Match: W/\"a\""},
        {{.etag = "a"}, false, 0, ""},
        {{.etag = "\"a"}, false, 0, ""},
        {{.etag = "\"a\", \"b\""}, false, 0, ""},
        {{.etag = "\"a\r\nX: y\""}, false, 0, ""},
        {{.etag = ""}, false, 0, ""},
        {{.last_modified = OLDER, .date = DATE}, true, 0, "If-Modified-Since: " OLDER},
        {{.etag = "\"a\"", .last_modified = OLDER, .date = DATE}, true, 0, "If-None-Match: \"a\""},
        /* may change again within its second */
        {{.last_modified = DATE, .date = DATE}, false, 0, ""},
        {{.last_modified = OLDER}, false, 0, ""},
        {{.last_modified = "yesterday", .date = DATE}, false, 0, ""},
        {{.cache_control = "max-age=60"}, true, 60000, ""},
        {{.cache_control = "public,Max-Age = \"60\" , immutable"}, true, 60000, ""},
        {{.cache_control = "max-age=60", .age = "59"}, true, 1000, ""},
        {{.cache_control = "max-age=60", .age = "60"}, false, 0, ""},
        {{.cache_control = "max-age=60, max-age=5"}, true, 5000, ""},
        {{.cache_control = "max-age"}, false, 0, ""},
        {{.cache_control = "max-age=-1"}, false, 0, ""},
        {{.cache_control = "max-age=99999999999999999999"}, true, 31536000000, ""},
        {{.cache_control = "s-maxage=60"}, false, 0, ""},
        {{.cache_control = "x=\"max-age=60\""}, false, 0, ""},
        {{.cache_control = "x=\"\\\", max-age=60\""}, false, 0, ""},
        {{.cache_control = ",, ,max-age=1"}, true, 1000, ""},
        {{.cache_control = "max-age=60, no-store", .etag = "\"a\""}, false, 60000, NULL},
        {{.cache_control = "NO-STORE", .etag = "\"a\""}, false, 0, NULL},
        {{.cache_control = "no-cache, max-age=60", .etag = "\"a\""}, true, 0, NULL},
        {{.cache_control = "no-cache=\"set-cookie\", max-age=60"}, false, 0, ""},
        {{.cache_control = "private", .etag = "\"a\""}, true, 0, NULL},
        {{.vary = "*", .etag = "\"a\""}, false, 0, NULL},
        {{.vary = "Accept-Encoding", .etag = "\"a\""}, true, 0, NULL},
    };
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct http_fresh fresh;
        char question[HTTP_FRESH_TEXT_MAX + 32];
        http_fresh_parse(&cases[i].fields, &fresh);
        http_fresh_question(&fresh, question);
        if (fresh.keep != cases[i].keep || fresh.fresh_ms != cases[i].fresh_ms ||
            (cases[i].question != NULL && strcmp(question, cases[i].question) != 0))
            fail_msg("case %zu: keep %d, fresh %lld ms, \"%s\"", i, fresh.keep,
                     (long long)fresh.fresh_ms, question);
    }
}

static void a_validator_that_is_too_long_is_none(void **state)
{
    (void)state;
    char etag[HTTP_FRESH_TEXT_MAX + 1];
    struct http_fresh fresh;
    for (size_t len = HTTP_FRESH_TEXT_MAX - 1; len <= HTTP_FRESH_TEXT_MAX; len++) {
        memset(etag, 'x', len);
        etag[0] = etag[len - 1] = '"';
        etag[len] = '\0';
        http_fresh_parse(&(struct http_fresh_fields){.etag = etag}, &fresh);
        assert_int_equal(fresh.keep, len < HTTP_FRESH_TEXT_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_answer_allows),
        cmocka_unit_test(a_validator_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
