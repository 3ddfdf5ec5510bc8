/* Happy path: required fields are there; the rest has defaults. The features known here are those
 * of reader 1 and writer 2 plus timestampNtz; any other is refused by its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "core/delta_internal.h"

enum { DELTA_READER_MAX = 3, DELTA_WRITER_MAX = 7, DELTA_LIST_MAX = 10000 };

/* ---- metaData ---------------------------------------------------------------------------------
 */

void delta_metadata_done(struct delta_metadata *metadata)
{
    free(metadata->id);
    free(metadata->name);
    free(metadata->description);
    delta_schema_done(&metadata->schema);
    free(metadata->partitions);
    for (size_t i = 0; i < metadata->properties_n; i++) {
        free(metadata->properties[i].key);
        free(metadata->properties[i].value);
    }
    free(metadata->properties);
    *metadata = (struct delta_metadata){0};
}

const char *delta_metadata_property(const struct delta_metadata *metadata, const char *key)
{
    for (size_t i = 0; i < metadata->properties_n; i++)
        if (strcasecmp(metadata->properties[i].key, key) == 0)
            return metadata->properties[i].value;
    return NULL;
}

size_t delta_metadata_partition(const struct delta_metadata *metadata, size_t column)
{
    for (size_t i = 0; i < metadata->partitions_n; i++)
        if (metadata->partitions[i] == column)
            return i;
    return SIZE_MAX;
}

/* A text without NUL, malloc'ed, or NULL. */
static char *delta_scan_text(struct json_scan *scan)
{
    struct json_slice value;
    if (json_scan_null(scan) || !json_scan_string(scan, &value) ||
        memchr(value.text, '\0', value.len) != NULL)
        return NULL;
    return json_slice_dup(&value);
}

static void delta_set_text(struct json_scan *scan, char **text)
{
    free(*text);
    *text = delta_scan_text(scan);
}

static void delta_scan_list(struct json_scan *scan, char ***list, size_t *n)
{
    size_t cap = 0;
    if (json_scan_null(scan))
        return;
    (void)json_scan_array(scan);
    while (json_scan_element(scan)) {
        char *text = *n < DELTA_LIST_MAX ? delta_scan_text(scan) : NULL;
        if (text == NULL) {
            scan->failed = true;
            return;
        }
        MEM_GROW(*list, cap, *n + 1);
        (*list)[(*n)++] = text;
    }
}

static void delta_list_free(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

static void delta_scan_properties(struct json_scan *scan, struct delta_metadata *metadata)
{
    struct json_slice key;
    size_t cap = 0;
    if (json_scan_null(scan) || metadata->properties_n > 0)
        return;
    (void)json_scan_object(scan);
    while (metadata->properties_n < DELTA_LIST_MAX && json_scan_key(scan, &key)) {
        char *name = json_slice_dup(&key);
        char *value = delta_scan_text(scan);
        MEM_GROW(metadata->properties, cap, metadata->properties_n + 1);
        metadata->properties[metadata->properties_n++] =
            (struct delta_property){.key = name, .value = value != NULL ? value : mem_strdup("")};
    }
}

static bool delta_scan_is_parquet(struct json_scan *scan)
{
    struct json_slice key, value;
    bool parquet = false;
    (void)json_scan_object(scan);
    while (json_scan_key(scan, &key))
        if (json_slice_is(&key, "provider") && json_scan_string(scan, &value))
            parquet = json_slice_is(&value, "parquet");
        else
            (void)json_scan_skip(scan, NULL);
    return parquet;
}

struct delta_metadata_parts {
    char *schema;
    char **partitions;
    size_t partitions_n;
    bool other_format;
};

static void delta_scan_metadata(struct json_scan *scan, struct delta_metadata *metadata,
                                struct delta_metadata_parts *parts)
{
    struct json_slice key;
    (void)json_scan_object(scan);
    while (json_scan_key(scan, &key)) {
        if (json_slice_is(&key, "id"))
            delta_set_text(scan, &metadata->id);
        else if (json_slice_is(&key, "name"))
            delta_set_text(scan, &metadata->name);
        else if (json_slice_is(&key, "description"))
            delta_set_text(scan, &metadata->description);
        else if (json_slice_is(&key, "schemaString"))
            delta_set_text(scan, &parts->schema);
        else if (json_slice_is(&key, "partitionColumns") && parts->partitions == NULL)
            delta_scan_list(scan, &parts->partitions, &parts->partitions_n);
        else if (json_slice_is(&key, "configuration"))
            delta_scan_properties(scan, metadata);
        else if (json_slice_is(&key, "format"))
            parts->other_format = !delta_scan_is_parquet(scan);
        else if (json_slice_is(&key, "createdTime") && !json_scan_null(scan))
            (void)json_scan_i64(scan, &metadata->created_ms);
        else if (!json_slice_is(&key, "createdTime"))
            (void)json_scan_skip(scan, NULL);
    }
}

static int delta_set_partitions(struct delta_metadata *metadata,
                                const struct delta_metadata_parts *parts, struct error *e)
{
    if (parts->partitions_n > DELTA_PARTITION_COLUMNS_MAX)
        return error_set(e, ERR_UNSUPPORTED, "more than %d partition columns",
                         DELTA_PARTITION_COLUMNS_MAX);
    metadata->partitions = mem_calloc(parts->partitions_n + 1, sizeof *metadata->partitions);
    for (size_t i = 0; i < parts->partitions_n; i++) {
        size_t column = delta_schema_find(&metadata->schema, parts->partitions[i]);
        if (column == SIZE_MAX || delta_metadata_partition(metadata, column) != SIZE_MAX ||
            metadata->schema.fields[column].type.kind >= DELTA_STRUCT)
            return error_set(e, ERR_CORRUPT, "metaData names %.100s as a partition column wrongly",
                             parts->partitions[i]);
        metadata->partitions[metadata->partitions_n++] = column;
    }
    return 0;
}

int delta_metadata_parse(const struct json_slice *raw, struct delta_metadata *metadata,
                         struct error *e)
{
    struct delta_metadata_parts parts = {0};
    struct json_scan scan;
    int err = 0;
    *metadata = (struct delta_metadata){0};
    json_scan_init(&scan, raw->text, raw->len);
    delta_scan_metadata(&scan, metadata, &parts);
    if (!json_scan_end(&scan))
        err = error_set(e, ERR_CORRUPT, "metaData is malformed");
    else if (metadata->id == NULL || parts.schema == NULL)
        err = error_set(e, ERR_CORRUPT, "metaData has no %s",
                        metadata->id == NULL ? "id" : "schemaString");
    else if (parts.other_format)
        err = error_set(e, ERR_UNSUPPORTED, "the table's files are not Parquet");
    json_scan_done(&scan);
    if (err == 0)
        err = delta_schema_parse(parts.schema, strlen(parts.schema), &metadata->schema, e);
    if (err == 0)
        err = delta_set_partitions(metadata, &parts, e);
    free(parts.schema);
    delta_list_free(parts.partitions, parts.partitions_n);
    if (err < 0)
        delta_metadata_done(metadata);
    return err;
}

/* ---- protocol ---------------------------------------------------------------------------------
 */

void delta_protocol_done(struct delta_protocol *protocol)
{
    delta_list_free(protocol->reader_features, protocol->reader_features_n);
    delta_list_free(protocol->writer_features, protocol->writer_features_n);
    *protocol = (struct delta_protocol){0};
}

int delta_protocol_parse(const struct json_slice *raw, struct delta_protocol *protocol,
                         struct error *e)
{
    struct json_scan scan;
    struct json_slice key;
    int64_t reader = 0, writer = 0;
    *protocol = (struct delta_protocol){0};
    json_scan_init(&scan, raw->text, raw->len);
    (void)json_scan_object(&scan);
    while (json_scan_key(&scan, &key)) {
        if (json_slice_is(&key, "minReaderVersion"))
            (void)json_scan_i64(&scan, &reader);
        else if (json_slice_is(&key, "minWriterVersion"))
            (void)json_scan_i64(&scan, &writer);
        else if (json_slice_is(&key, "readerFeatures") && protocol->reader_features == NULL)
            delta_scan_list(&scan, &protocol->reader_features, &protocol->reader_features_n);
        else if (json_slice_is(&key, "writerFeatures") && protocol->writer_features == NULL)
            delta_scan_list(&scan, &protocol->writer_features, &protocol->writer_features_n);
        else
            (void)json_scan_skip(&scan, NULL);
    }
    bool good =
        json_scan_end(&scan) && reader >= 1 && reader <= 1000 && writer >= 1 && writer <= 1000;
    json_scan_done(&scan);
    if (!good) {
        delta_protocol_done(protocol);
        return error_set(e, ERR_CORRUPT, "protocol is malformed");
    }
    protocol->min_reader = (unsigned)reader;
    protocol->min_writer = (unsigned)writer;
    return 0;
}

static bool delta_is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

int delta_protocol_check_read(const struct delta_protocol *protocol, struct error *e)
{
    static const char *const known[] = {"timestampNtz", "vacuumProtocolCheck", NULL};
    if (protocol->min_reader == 2)
        return error_set(e, ERR_UNSUPPORTED,
                         "the table uses the feature columnMapping, which this version does not "
                         "read");
    if (protocol->min_reader > DELTA_READER_MAX)
        return error_set(e, ERR_UNSUPPORTED,
                         "the table asks for reader version %u of Delta, this version reads up to "
                         "%d",
                         protocol->min_reader, DELTA_READER_MAX);
    for (size_t i = 0; i < protocol->reader_features_n; i++)
        if (!delta_is_one_of(protocol->reader_features[i], known))
            return error_set(e, ERR_UNSUPPORTED,
                             "the table uses the feature %.100s, which this version does not read",
                             protocol->reader_features[i]);
    return 0;
}

static bool delta_type_has_rule(const struct delta_field *field)
{
    static const char *const rules[] = {"delta.invariants", "delta.generationExpression",
                                        "delta.identity.", "CURRENT_DEFAULT"};
    for (size_t i = 0; i < MEM_COUNT(rules); i++)
        if (strstr(field->metadata, rules[i]) != NULL)
            return true;
    for (size_t i = 0; i < field->type.fields_n; i++)
        if (delta_type_has_rule(&field->type.fields[i]))
            return true;
    return false;
}

int delta_protocol_check_write(const struct delta_protocol *protocol,
                               const struct delta_metadata *metadata, struct error *e)
{
    static const char *const known[] = {"appendOnly", "invariants", "timestampNtz",
                                        "vacuumProtocolCheck", NULL};
    static const char *const legacy[] = {[3] = "checkConstraints",
                                         [4] = "changeDataFeed or generatedColumns",
                                         [5] = "columnMapping",
                                         [6] = "identityColumns"};
    if (protocol->min_writer > DELTA_WRITER_MAX)
        return error_set(e, ERR_UNSUPPORTED,
                         "the table asks for writer version %u of Delta, this version writes up to "
                         "2: it can only be read here",
                         protocol->min_writer);
    if (protocol->min_writer > 2 && protocol->min_writer < DELTA_WRITER_MAX)
        return error_set(e, ERR_UNSUPPORTED,
                         "the table's writer version %u allows the feature %s, which this version "
                         "does not write: the table can only be read here",
                         protocol->min_writer, legacy[protocol->min_writer]);
    for (size_t i = 0; i < protocol->writer_features_n; i++)
        if (!delta_is_one_of(protocol->writer_features[i], known))
            return error_set(e, ERR_UNSUPPORTED,
                             "the table uses the feature %.100s, which this version does not "
                             "write: the table can only be read here",
                             protocol->writer_features[i]);
    for (size_t i = 0; i < metadata->schema.n; i++)
        if (delta_type_has_rule(&metadata->schema.fields[i]))
            return error_set(e, ERR_UNSUPPORTED,
                             "column %.100s has an invariant or a generated value, which this "
                             "version does not write: the table can only be read here",
                             metadata->schema.fields[i].name);
    return 0;
}

/* ---- txn --------------------------------------------------------------------------------------
 */

int delta_txn_parse(const struct json_slice *raw, char **app_id, int64_t *version, struct error *e)
{
    struct json_scan scan;
    struct json_slice key;
    char *id = NULL;
    bool has_version = false;
    json_scan_init(&scan, raw->text, raw->len);
    (void)json_scan_object(&scan);
    while (json_scan_key(&scan, &key)) {
        if (json_slice_is(&key, "appId"))
            delta_set_text(&scan, &id);
        else if (json_slice_is(&key, "version"))
            has_version = json_scan_i64(&scan, version);
        else
            (void)json_scan_skip(&scan, NULL);
    }
    bool good = json_scan_end(&scan) && id != NULL && has_version;
    json_scan_done(&scan);
    if (!good) {
        free(id);
        return error_set(e, ERR_CORRUPT, "txn is malformed");
    }
    *app_id = id;
    return 0;
}
