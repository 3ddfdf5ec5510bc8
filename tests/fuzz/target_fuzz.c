/* The target of an HTTP request. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "base/error.h"
#include "wire/http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_target target;
    struct error e = {0};
    char *text = fuzz_text(data, len);
    if (http_target_parse(&target, text, &e) == 0) {
        (void)http_target_query(&target, "a");
        http_target_done(&target);
    } else {
        fuzz_check(e.text[0] != '\0');
    }
    free(text);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(add, "/api/jobs/123/output?stream=stdout&from=7&a");
    fuzz_add_text(add, "/a%20b/%2e%2e/%C3%A4?a=%00&%41=1+2&a=&=b&&");
    fuzz_add_text(add, "http://localhost:7401/api/status?a=b#c");
    fuzz_add_text(add, "/../..//./");
}
