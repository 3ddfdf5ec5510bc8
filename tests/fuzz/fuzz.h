/* One parser under any bytes. A target defines the two functions below and no main(); it must
 * neither read nor write out of bounds, nor leak, nor hang, whatever the bytes, and asserts what
 * holds between its parser and its printer.
 *
 * In a usual build tests/fuzz/fuzz_main.c is main(): a test of tests/run with inputs made from the
 * seeds. In a build with `--with-sanitizers=address,undefined,fuzzer-no-link` and clang it is
 * libFuzzer (scripts/fuzz). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* libFuzzer's name. `data` has exactly `len` bytes. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef void (*fuzz_add_fn)(const void *data, size_t len);

/* Calls `add` with some good inputs. */
void fuzz_seeds(fuzz_add_fn add);

#define fuzz_add_text(add, text) (add)((text), sizeof(text) - 1)

/* Unlike assert() there in every build. */
#define fuzz_check(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* malloc'ed text up to the first NUL, for parsers of strings. */
static inline char *fuzz_text(const uint8_t *data, size_t len)
{
    return mem_strndup(len > 0 ? (const char *)data : "", len);
}

#endif
