/* Small texts that people and other programs write: what can be printed is read as the same again.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/nodeset.h"
#include "base/rangeset.h"
#include "base/str.h"
#include "base/trace.h"
#include "base/uuid.h"

static int no_groups(void *arg, const char *name, struct nodeset *set)
{
    (void)arg;
    (void)name;
    (void)set;
    return ERR_NOT_FOUND;
}

static void read_nodeset(const char *text)
{
    struct nodeset set, again;
    struct error e = {0};
    nodeset_init(&set);
    if (nodeset_parse(&set, text, no_groups, NULL, &e) == 0) {
        char *folded = nodeset_fold(&set);
        nodeset_init(&again);
        if (strlen(folded) > 0) {
            fuzz_check(nodeset_parse(&again, folded, no_groups, NULL, &e) == 0);
            char *twice = nodeset_fold(&again);
            fuzz_check(strcmp(folded, twice) == 0);
            free(twice);
        }
        nodeset_done(&again);
        free(folded);
    } else {
        fuzz_check(e.text[0] != '\0');
    }
    nodeset_done(&set);
}

static void read_rangeset(const char *text)
{
    struct rangeset set, again;
    rangeset_init(&set);
    rangeset_init(&again);
    if (rangeset_parse(&set, text, 1000000, 100000) == 0) {
        char *printed = rangeset_format(&set);
        if (*printed != '\0') {
            fuzz_check(rangeset_parse(&again, printed, 1000000, 100000) == 0);
            fuzz_check(rangeset_count(&set) == rangeset_count(&again));
        }
        free(printed);
    }
    rangeset_done(&set);
    rangeset_done(&again);
}

static void read_base64(const char *text, size_t len)
{
    struct buf bytes, printed, again;
    buf_init(&bytes, 1 << 20);
    buf_init(&printed, 1 << 21);
    buf_init(&again, 1 << 20);
    if (base64_decode(&bytes, text, len) == 0) {
        fuzz_check(base64_encode(&printed, bytes.data, bytes.len) == 0);
        fuzz_check(base64_decode(&again, (const char *)printed.data, printed.len) == 0);
        fuzz_check(again.len == bytes.len &&
                   (again.len == 0 || memcmp(again.data, bytes.data, again.len) == 0));
    }
    buf_done(&bytes);
    buf_done(&printed);
    buf_done(&again);
}

static void read_moment(const char *text)
{
    char printed[CLOCK_RFC3339_MAX];
    int64_t ms, again;
    if (clock_parse_rfc3339(text, &ms) == 0 && ms >= 0) {
        fuzz_check(clock_parse_rfc3339(clock_format_rfc3339(ms, printed), &again) == 0);
        fuzz_check(ms == again);
    }
    (void)clock_parse_moment(text, INT64_C(1764333000000), &ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct trace_context context;
    struct uuid id;
    uint64_t u;
    int64_t i;
    char *text = fuzz_text(data, len);
    char uuid[UUID_TEXT_MAX];
    read_nodeset(text);
    read_rangeset(text);
    read_base64(text, strlen(text));
    read_moment(text);
    if (uuid_parse(text, &id) == 0)
        fuzz_check(strcasecmp(uuid_format(&id, uuid), text) == 0);
    (void)trace_parse(text, &context);
    (void)str_parse_u64(text, 0, UINT64_MAX, &u);
    (void)str_parse_i64(text, INT64_MIN, INT64_MAX, &i);
    (void)str_parse_bytes(text, &u);
    if (str_parse_duration_ms(text, &i) == 0)
        fuzz_check(i >= 0);
    char *printable = str_printable((const char *)data, len, len % 2 == 0);
    fuzz_check(str_is_utf8(printable, strlen(printable)));
    free(printable);
    free(text);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(add, "n[1-3,5],web[001-100/2]-a,!n2,db7");
    fuzz_add_text(add, "rack[1-2]node[1-4]&rack1node[1-9]");
    fuzz_add_text(add, "@all,-n1,@group");
    fuzz_add_text(add, "0-99,200-299%4,7");
    fuzz_add_text(add, "2026-11-28T20:15:04.123Z");
    fuzz_add_text(add, "2024-02-29T23:59:60+05:30");
    fuzz_add_text(add, "11-28 20:15:04");
    fuzz_add_text(add, "-1h30m500ms");
    fuzz_add_text(add, "64MiB");
    fuzz_add_text(add, "18446744073709551615");
    fuzz_add_text(add, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    fuzz_add_text(add, "123e4567-e89b-12d3-a456-426614174000");
    fuzz_add_text(add, "aGVsbG8gd29ybGQ=");
    fuzz_add_text(add, "\xc3\xa4\xf0\x9f\x98\x80\x1b[31m\xff\xfe");
}
