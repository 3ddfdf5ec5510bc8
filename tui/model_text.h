/* Text and numbers of what comes in, made safe and cheap to keep. */
#ifndef TUI_MODEL_TEXT_H
#define TUI_MODEL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_scan.h"

/* Appends `text` as str_printable() has it, at most `max` bytes of it ("..." behind what is cut).
 * Returns the number of bytes appended; 0 when the buffer is full. */
size_t model_text_append(struct buf *b, const char *text, size_t len, size_t max);

/* A number of JSON, whatever the locale. */
double model_text_number(const struct json_slice *number);

#endif
