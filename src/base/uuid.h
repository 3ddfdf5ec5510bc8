/* Universally unique identifiers, RFC 9562: version 4 (random), lower-case text form. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

enum { UUID_TEXT_MAX = 37 };

struct uuid {
    uint8_t bytes[16];
};

void uuid_generate(struct uuid *id);
int uuid_parse(const char *text, struct uuid *id); /* ERR_INVALID unless exactly 36 characters */
const char *uuid_format(const struct uuid *id, char out[static UUID_TEXT_MAX]);
int uuid_compare(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *id);

/* Fills `out` with `len` bytes from the kernel's generator. */
void random_bytes(void *out, unsigned len);

#endif
