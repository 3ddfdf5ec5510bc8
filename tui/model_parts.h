/* A line of a stream (docs/events.md) taken apart in one pass: texts are unescaped into a buffer,
 * objects and arrays stay where they are. */
#ifndef TUI_MODEL_PARTS_H
#define TUI_MODEL_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_scan.h"
#include "tui/model_lines.h"

enum model_part {
    MODEL_PART_ID,
    MODEL_PART_AT,
    MODEL_PART_KIND,
    MODEL_PART_LEVEL,
    MODEL_PART_TEXT,
    MODEL_PART_NODE,
    MODEL_PART_BY,
    MODEL_PART_CAUSE,
    MODEL_PART_TABLE,
    MODEL_PART_KEY,
    MODEL_PART_CURSOR,
    MODEL_PART_PARTIAL,
    MODEL_PART_REASON,
    MODEL_PARTS
};

struct model_parts {
    const struct buf *scratch;  /* the texts, each NUL-terminated */
    size_t offset[MODEL_PARTS]; /* in it; SIZE_MAX: not there */
    size_t len[MODEL_PARTS];
    struct json_slice row;
    bool gone, skipped;
    int64_t lost, dropped; /* -1: not there */
    bool has_error;
    struct json_slice error, missing;
};

/* False when the line is no JSON object. `scratch` is cleared, and borrowed with `text` as long as
 * the parts are looked at. */
bool model_parts_read(struct model_parts *parts, struct buf *scratch, const char *text, size_t len);
bool model_parts_has(const struct model_parts *parts, enum model_part part);
/* "" when it is not there. */
const char *model_part(const struct model_parts *parts, enum model_part part);
/* What it says of an event, but its number; borrows. */
void model_parts_line(const struct model_parts *parts, struct model_line *line);

#endif
