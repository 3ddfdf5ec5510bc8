#include "tui/model_parts.h"

#include <string.h>

#include "base/clock.h"
#include "tui/model_state.h"

static const char *const model_part_names[MODEL_PARTS] = {
    "id",    "at",    "kind", "level",  "text",    "node",  "by",
    "cause", "table", "key",  "cursor", "partial", "reason"};

static int model_part_find(const struct json_slice *key)
{
    for (int i = 0; i < MODEL_PARTS; i++)
        if (json_slice_is(key, model_part_names[i]))
            return i;
    return -1;
}

static void model_parts_read_other(struct json_scan *s, const struct json_slice *key,
                                   struct model_parts *parts)
{
    enum json_kind kind = json_scan_peek(s);
    if (json_slice_is(key, "row") && kind == JSON_KIND_OBJECT) {
        (void)json_scan_skip(s, &parts->row);
    } else if (json_slice_is(key, "gone") && (kind == JSON_KIND_TRUE || kind == JSON_KIND_FALSE)) {
        (void)json_scan_bool(s, &parts->gone);
    } else if (json_slice_is(key, "skipped") && kind == JSON_KIND_TRUE) {
        (void)json_scan_bool(s, &parts->skipped);
    } else if (json_slice_is(key, "lost") && kind == JSON_KIND_NUMBER) {
        (void)json_scan_i64(s, &parts->lost);
    } else if (json_slice_is(key, "dropped") && kind == JSON_KIND_NUMBER) {
        (void)json_scan_i64(s, &parts->dropped);
    } else if (json_slice_is(key, "error") && kind == JSON_KIND_OBJECT) {
        parts->has_error = true;
        (void)json_scan_skip(s, &parts->error);
    } else if (json_slice_is(key, "missing") && kind == JSON_KIND_ARRAY) {
        (void)json_scan_skip(s, &parts->missing);
    } else {
        (void)json_scan_skip(s, NULL);
    }
}

bool model_parts_read(struct model_parts *parts, struct buf *scratch, const char *text, size_t len)
{
    struct json_scan s;
    struct json_slice key, value;
    *parts = (struct model_parts){.scratch = scratch, .lost = -1, .dropped = -1};
    for (size_t i = 0; i < MODEL_PARTS; i++)
        parts->offset[i] = SIZE_MAX;
    buf_clear(scratch);
    json_scan_init(&s, text, len);
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        int part = model_part_find(&key);
        if (part < 0 || json_scan_peek(&s) != JSON_KIND_STRING) {
            model_parts_read_other(&s, &key, parts);
            continue;
        }
        if (!json_scan_string(&s, &value))
            break;
        parts->offset[part] = scratch->len;
        parts->len[part] = value.len;
        (void)buf_append(scratch, value.text, value.len);
        (void)buf_append_byte(scratch, '\0');
    }
    bool ok = json_scan_end(&s);
    json_scan_done(&s);
    return ok;
}

bool model_parts_has(const struct model_parts *parts, enum model_part part)
{
    return parts->offset[part] != SIZE_MAX;
}

const char *model_part(const struct model_parts *parts, enum model_part part)
{
    return parts->offset[part] == SIZE_MAX
               ? ""
               : (const char *)parts->scratch->data + parts->offset[part];
}

void model_parts_line(const struct model_parts *parts, struct model_line *line)
{
    const char *at = model_part(parts, MODEL_PART_AT), *table = model_part(parts, MODEL_PART_TABLE);
    const char *key = model_part(parts, MODEL_PART_KEY);
    *line = (struct model_line){
        .at_ms = clock_rfc3339_ms(at, strlen(at)),
        .level = model_level_from_name(model_part(parts, MODEL_PART_LEVEL)),
        .source = model_part(parts, MODEL_PART_NODE),
        .kind = model_part(parts, MODEL_PART_KIND),
        .text = model_part(parts, MODEL_PART_TEXT),
        .text_len = parts->len[MODEL_PART_TEXT],
        .by = model_part(parts, MODEL_PART_BY),
        .cause = model_part(parts, MODEL_PART_CAUSE),
        .table = -1,
        .gone = parts->gone,
    };
    enum model_table number = model_table_from_name(table, strlen(table));
    bool is_whole = strlen(key) == parts->len[MODEL_PART_KEY]; /* no NUL in it */
    if (number < MODEL_TABLES && key[0] != '\0' && is_whole) {
        line->table = (int)number;
        line->key = key;
        line->row = parts->gone ? NULL : parts->row.text;
        line->row_len = parts->gone ? 0 : parts->row.len;
    }
}
