/* Happy path of writing: each action is one line put together in place, strings escaped by
 * base/json_text. Reading a change takes out of an entry what a decision about it needs. */
#include "core/delta_commit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "core/delta_internal.h"

/* ---- pieces -----------------------------------------------------------------------------------
 */

/* "key": and a string, or nothing for NULL. */
static int delta_write_text(struct buf *b, const char *key, const char *text)
{
    if (text == NULL)
        return 0;
    int err = buf_append_str(b, key);
    return err < 0 ? err : json_text_append(b, text, strlen(text));
}

static int delta_write_raw(struct buf *b, const char *key, const char *json)
{
    if (json == NULL)
        return 0;
    int err = buf_append_str(b, key);
    return err < 0 ? err : buf_append_str(b, json);
}

static int delta_write_pair(struct buf *b, bool first, const char *key, const char *value)
{
    int err = first ? 0 : buf_append_byte(b, ',');
    if (err == 0)
        err = json_text_append(b, key, strlen(key));
    if (err == 0)
        err = buf_append_byte(b, ':');
    if (err < 0)
        return err;
    return value == NULL ? buf_append_str(b, "null") : json_text_append(b, value, strlen(value));
}

/* Appends what is in `inner` as a JSON string. */
static int delta_write_quoted(struct buf *b, struct buf *inner)
{
    int err = json_text_append(b, inner->len > 0 ? (const char *)inner->data : "", inner->len);
    buf_done(inner);
    return err;
}

/* Ends a line that may have failed, leaving the buffer as it was then. */
static int delta_line_end(struct buf *b, size_t begin, int err, const char *end)
{
    if (err == 0)
        err = buf_append_str(b, end);
    if (err < 0)
        b->len = begin;
    return err;
}

/* ---- actions ----------------------------------------------------------------------------------
 */

int delta_write_protocol(struct buf *b, const struct delta_schema *schema)
{
    if (!delta_schema_needs_ntz(schema))
        return buf_append_str(b,
                              "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n");
    return buf_append_str(b, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,"
                             "\"readerFeatures\":[\"timestampNtz\"],"
                             "\"writerFeatures\":[\"appendOnly\",\"invariants\",\"timestampNtz\"]}}"
                             "\n");
}

static const char delta_ntz[] = "timestampNtz";

/* ["feature",...] with delta_ntz at its end. */
static int delta_write_features(struct buf *b, char *const *features, size_t n)
{
    int err = buf_append_byte(b, '[');
    for (size_t i = 0; i < n && err == 0; i++) {
        err = json_text_append(b, features[i], strlen(features[i]));
        if (err == 0)
            err = buf_append_byte(b, ',');
    }
    return err < 0 ? err : buf_printf(b, "\"%s\"]", delta_ntz);
}

static bool delta_has_ntz(const struct delta_protocol *protocol)
{
    for (size_t i = 0; i < protocol->writer_features_n; i++)
        if (strcmp(protocol->writer_features[i], delta_ntz) == 0)
            return true;
    return false;
}

int delta_write_upgrade(struct buf *b, const struct delta_schema *schema,
                        const struct delta_protocol *now)
{
    size_t begin = b->len;
    if (!delta_schema_needs_ntz(schema) || delta_has_ntz(now))
        return 0;
    if (now->writer_features_n == 0)
        return delta_write_protocol(b, schema);
    int err = buf_append_str(
        b, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":");
    if (err == 0)
        err = delta_write_features(b, now->reader_features, now->reader_features_n);
    if (err == 0)
        err = buf_append_str(b, ",\"writerFeatures\":");
    if (err == 0)
        err = delta_write_features(b, now->writer_features, now->writer_features_n);
    return delta_line_end(b, begin, err, "}}\n");
}

static int delta_write_schema(struct buf *b, const struct delta_schema *schema)
{
    struct buf inner;
    buf_init(&inner, DELTA_SCHEMA_BYTES_MAX);
    int err = delta_schema_format(schema, &inner);
    if (err == 0)
        err = buf_append_str(b, ",\"schemaString\":");
    if (err == 0)
        return delta_write_quoted(b, &inner);
    buf_done(&inner);
    return err;
}

static int delta_write_partitions(struct buf *b, const struct delta_metadata *metadata)
{
    int err = buf_append_str(b, ",\"partitionColumns\":[");
    for (size_t i = 0; err == 0 && i < metadata->partitions_n; i++) {
        const char *name = metadata->schema.fields[metadata->partitions[i]].name;
        err = i > 0 ? buf_append_byte(b, ',') : 0;
        if (err == 0)
            err = json_text_append(b, name, strlen(name));
    }
    return err < 0 ? err : buf_append_byte(b, ']');
}

static int delta_write_properties(struct buf *b, const struct delta_metadata *metadata)
{
    int err = buf_append_str(b, ",\"configuration\":{");
    for (size_t i = 0; err == 0 && i < metadata->properties_n; i++)
        err =
            delta_write_pair(b, i == 0, metadata->properties[i].key, metadata->properties[i].value);
    return err < 0 ? err : buf_append_byte(b, '}');
}

int delta_write_metadata(struct buf *b, const struct delta_metadata *metadata)
{
    size_t begin = b->len;
    int err = delta_write_text(b, "{\"metaData\":{\"id\":", metadata->id);
    if (err == 0)
        err = delta_write_text(b, ",\"name\":", metadata->name);
    if (err == 0)
        err = delta_write_text(b, ",\"description\":", metadata->description);
    if (err == 0)
        err = buf_append_str(b, ",\"format\":{\"provider\":\"parquet\",\"options\":{}}");
    if (err == 0)
        err = delta_write_schema(b, &metadata->schema);
    if (err == 0)
        err = delta_write_partitions(b, metadata);
    if (err == 0)
        err = delta_write_properties(b, metadata);
    if (err == 0 && metadata->created_ms > 0)
        err = buf_printf(b, ",\"createdTime\":%" PRId64, metadata->created_ms);
    return delta_line_end(b, begin, err, "}}\n");
}

int delta_write_add(struct buf *b, const struct delta_metadata *metadata,
                    const struct delta_new_file *file, bool data_change)
{
    size_t begin = b->len;
    int err = delta_write_text(b, "{\"add\":{\"path\":", file->path);
    if (err == 0)
        err = buf_append_str(b, ",\"partitionValues\":{");
    for (size_t i = 0; err == 0 && i < metadata->partitions_n; i++)
        err = delta_write_pair(b, i == 0, metadata->schema.fields[metadata->partitions[i]].name,
                               file->partition_values[i]);
    if (err == 0)
        err = buf_printf(
            b, "},\"size\":%" PRIu64 ",\"modificationTime\":%" PRId64 ",\"dataChange\":%s",
            file->size, file->modified_ms, data_change ? "true" : "false");
    if (err == 0)
        err = delta_write_text(b, ",\"stats\":", file->stats);
    return delta_line_end(b, begin, err, "}}\n");
}

int delta_write_remove(struct buf *b, const struct delta_view *view, const struct delta_file *file,
                       int64_t at_ms, bool data_change)
{
    const struct delta_metadata *metadata = delta_view_metadata(view);
    size_t begin = b->len;
    int err = delta_write_text(b, "{\"remove\":{\"path\":", file->path);
    if (err == 0)
        err = buf_printf(b,
                         ",\"deletionTimestamp\":%" PRId64
                         ",\"dataChange\":%s,\"extendedFileMetadata\":true,\"partitionValues\":{",
                         at_ms, data_change ? "true" : "false");
    for (size_t i = 0; err == 0 && i < metadata->partitions_n; i++)
        err = delta_write_pair(b, i == 0, metadata->schema.fields[metadata->partitions[i]].name,
                               delta_file_partition(view, file, i));
    if (err == 0)
        err = buf_printf(b, "},\"size\":%" PRIu64, file->size);
    return delta_line_end(b, begin, err, "}}\n");
}

int delta_write_info(struct buf *b, const struct delta_commit_info *info)
{
    size_t begin = b->len;
    int err = buf_printf(b, "{\"commitInfo\":{\"timestamp\":%" PRId64, info->at_ms);
    if (err == 0)
        err = delta_write_text(b, ",\"operation\":", info->operation);
    if (err == 0)
        err = delta_write_raw(
            b, ",\"operationParameters\":", info->parameters != NULL ? info->parameters : "{}");
    if (err == 0)
        err = delta_write_text(b, ",\"userName\":", info->user);
    if (err == 0 && info->read_version != DELTA_NO_VERSION)
        err = buf_printf(b, ",\"readVersion\":%" PRIu64, info->read_version);
    if (err == 0)
        err = delta_write_raw(b, ",\"operationMetrics\":", info->metrics);
    if (err == 0)
        err = delta_write_text(b, ",\"engineInfo\":", info->engine);
    if (err == 0)
        err = delta_write_text(b, ",\"txnId\":", info->txn_id);
    return delta_line_end(b, begin, err, "}}\n");
}

/* ---- reading a change -------------------------------------------------------------------------
 */

static void delta_push(char ***list, size_t *n, const char *path)
{
    /* Doubles at powers of two. */
    if ((*n & (*n - 1)) == 0)
        *list = mem_reallocarray(*list, *n > 0 ? *n * 2 : 1, sizeof **list);
    (*list)[(*n)++] = mem_strdup(path);
}

static void delta_change_stats(struct delta_change *change, const struct delta_action *action)
{
    struct json_scan outer, inner;
    struct json_slice text, key;
    int64_t rows;
    change->bytes_added += (uint64_t)action->size;
    json_scan_init(&outer, action->stats.text, action->stats.len);
    json_scan_init(&inner, "", 0);
    if (action->stats.len > 0 && json_scan_string(&outer, &text)) {
        json_scan_reset(&inner, text.text, text.len);
        (void)json_scan_object(&inner);
        while (json_scan_key(&inner, &key))
            if (!json_slice_is(&key, "numRecords"))
                (void)json_scan_skip(&inner, NULL);
            else if (json_scan_i64(&inner, &rows) && rows > 0)
                change->rows_added += (uint64_t)rows;
    }
    json_scan_done(&outer);
    json_scan_done(&inner);
}

static void delta_change_info(struct delta_change *change, const struct json_slice *raw)
{
    struct json_scan scan;
    struct json_slice key, value;
    free(change->info);
    change->info = json_slice_dup(raw);
    json_scan_init(&scan, raw->text, raw->len);
    (void)json_scan_object(&scan);
    while (json_scan_key(&scan, &key)) {
        enum json_kind kind = json_scan_peek(&scan);
        if (json_slice_is(&key, "timestamp") && kind == JSON_KIND_NUMBER) {
            (void)json_scan_i64(&scan, &change->at_ms);
        } else if (json_slice_is(&key, "operation") && kind == JSON_KIND_STRING &&
                   json_scan_string(&scan, &value)) {
            free(change->operation);
            change->operation = json_slice_dup(&value);
        } else if (!json_slice_is(&key, "operation") || kind != JSON_KIND_STRING) {
            (void)json_scan_skip(&scan, NULL);
        }
    }
    json_scan_done(&scan);
}

static void delta_change_take(struct delta_change *change, const struct delta_action *action)
{
    switch (action->kind) {
    case DELTA_ACTION_ADD:
        delta_push(&change->added, &change->added_n, action->path);
        change->data |= action->data_change;
        delta_change_stats(change, action);
        break;
    case DELTA_ACTION_REMOVE:
        delta_push(&change->removed, &change->removed_n, action->path);
        change->data |= action->data_change;
        break;
    case DELTA_ACTION_METADATA:
    case DELTA_ACTION_PROTOCOL:
        change->metadata = true;
        break;
    case DELTA_ACTION_INFO:
        delta_change_info(change, &action->raw);
        break;
    default:
        break;
    }
}

int delta_change_parse(const char *text, size_t len, struct delta_change *change, struct error *e)
{
    struct delta_action_reader reader;
    struct delta_action action;
    const char *line;
    size_t at = 0, line_len, n = 0;
    int err = 0;
    *change = (struct delta_change){0};
    delta_action_reader_init(&reader);
    while (err == 0 && delta_next_line(text, len, &at, &line, &line_len)) {
        n++;
        err = delta_action_read(&reader, line, line_len, &action, e);
        if (err == 0)
            delta_change_take(change, &action);
        else if (e != NULL)
            err = error_prefix(e, "line %zu of a commit", n);
    }
    delta_action_reader_done(&reader);
    if (err < 0)
        delta_change_done(change);
    return err;
}

void delta_change_done(struct delta_change *change)
{
    for (size_t i = 0; i < change->added_n; i++)
        free(change->added[i]);
    for (size_t i = 0; i < change->removed_n; i++)
        free(change->removed[i]);
    free(change->added);
    free(change->removed);
    free(change->operation);
    free(change->info);
    *change = (struct delta_change){0};
}

/* ---- conflicts --------------------------------------------------------------------------------
 */
