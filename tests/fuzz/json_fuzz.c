/* JSON as it comes: every value is walked, text that was read is written and read again. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/str.h"

static void walk_string(const struct json_slice *slice)
{
    struct json_scan again;
    struct json_slice read;
    struct buf text;
    buf_init(&text, 1 << 20);
    if (json_text_append(&text, slice->text, slice->len) == 0) {
        json_scan_init(&again, (const char *)text.data, text.len);
        fuzz_check(json_scan_string(&again, &read) && json_scan_end(&again));
        if (str_is_utf8(slice->text, slice->len))
            fuzz_check(read.len == slice->len && memcmp(read.text, slice->text, read.len) == 0);
        json_scan_done(&again);
    }
    buf_done(&text);
}

static void walk(struct json_scan *s)
{
    struct json_slice slice;
    int64_t number;
    bool yes;
    switch (json_scan_peek(s)) {
    case JSON_KIND_OBJECT:
        (void)json_scan_object(s);
        while (json_scan_key(s, &slice)) {
            walk_string(&slice);
            walk(s);
        }
        break;
    case JSON_KIND_ARRAY:
        (void)json_scan_array(s);
        while (json_scan_element(s))
            walk(s);
        break;
    case JSON_KIND_STRING:
        if (json_scan_string(s, &slice))
            walk_string(&slice);
        break;
    case JSON_KIND_NUMBER: {
        struct json_mark mark = json_scan_mark(s);
        if (!json_scan_i64(s, &number)) {
            json_scan_rewind(s, mark);
            (void)json_scan_skip(s, NULL);
        }
        break;
    }
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE:
        (void)json_scan_bool(s, &yes);
        break;
    case JSON_KIND_NULL:
        (void)json_scan_null(s);
        break;
    case JSON_KIND_NONE:
        (void)json_scan_skip(s, NULL);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct json_scan s;
    struct json_slice raw;
    const char *text = len > 0 ? (const char *)data : "";
    json_scan_init(&s, text, len);
    bool skipped = json_scan_skip(&s, &raw) && json_scan_end(&s);
    fuzz_check(json_scan_offset(&s) <= len);
    json_scan_reset(&s, text, len);
    walk(&s);
    /* what can be walked can be skipped; a fraction ends a walk that asks for an integer */
    if (json_scan_end(&s))
        fuzz_check(skipped);
    json_scan_done(&s);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(add, "{\"a\":[1,-2,3.5e10,true,false,null,\"x\"],\"b\":{\"c\":{}}}");
    fuzz_add_text(add, "\"\\u00e4\\ud83d\\ude00\\n\\t\\\\\\\"\\/\\b\\f\\r\\u0000\"");
    fuzz_add_text(add, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    fuzz_add_text(add, " [ 9223372036854775807 , -9223372036854775808 , 1E-400 , 0.1 ] ");
    fuzz_add_text(add, "{\"\\ud800\":\"\xf0\x9f\x98\x80\",\"\":\"\"}");
}
