/* Records of core/txn.h as JSON, and back. What a transaction writes stands there twice: as bytes,
 * which count, and in words. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "core/routing.h"
#include "role/api_json.h"
#include "role/participant_internal.h"

static const char *const record_kinds[] = {
    [TXN_RECORD_PREPARED] = "prepared", [TXN_RECORD_REFUSED] = "refused",
    [TXN_RECORD_DECIDED] = "decided",   [TXN_RECORD_COORDINATED] = "coordinated",
    [TXN_RECORD_ENDED] = "ended",       [TXN_RECORD_ITEM] = "version",
};

/* ---- to JSON
 * -------------------------------------------------------------------------------------- */

static json_t *record_value(const void *value, size_t len)
{
    struct buf text;
    buf_init(&text, len * 2 + 8);
    (void)base64_encode(&text, value, len);
    json_t *json = json_string(buf_cstr(&text));
    buf_done(&text);
    return json;
}

static void record_set_value(json_t *object, const void *value, size_t len)
{
    struct routing_state state;
    if (routing_decode(value, len, &state) == 0)
        json_object_set_new(object, "routing", participant_state_json(&state));
    json_object_set_new(object, "value", record_value(value, len));
}

static json_t *record_uuid(const struct uuid *id)
{
    char text[UUID_TEXT_MAX];
    return json_string(uuid_format(id, text));
}

static void record_set_body(json_t *object, const struct txn_body *body)
{
    json_object_set_new(object, "coordinator", json_integer((json_int_t)body->coordinator));
    json_object_set_new(object, "group", json_boolean(body->group));
    json_object_set_new(object, "began", json_integer(body->began_ms));
    json_t *participants = json_array();
    for (size_t i = 0; i < body->participants_n; i++)
        json_array_append_new(participants, json_integer((json_int_t)body->participants[i]));
    json_object_set_new(object, "participants", participants);
    json_t *writes = json_array();
    for (size_t i = 0; i < body->writes_n; i++) {
        json_t *write = json_pack("{s:s, s:I}", "key", body->writes[i].key, "base_version",
                                  (json_int_t)body->writes[i].base_version);
        record_set_value(write, body->writes[i].value, body->writes[i].len);
        json_array_append_new(writes, write);
    }
    json_object_set_new(object, "writes", writes);
}

json_t *participant_record_json(const struct txn_record *record)
{
    json_t *object = json_pack("{s:s, s:I}", "kind", record_kinds[record->type], "at",
                               (json_int_t)record->at_ms);
    if (record->type == TXN_RECORD_ITEM) {
        json_object_set_new(object, "key", json_string(record->item->key));
        json_object_set_new(object, "version", json_integer((json_int_t)record->item->version));
        json_object_set_new(object, "made_at", json_integer(record->item->at_ms));
        json_object_set_new(object, "txid", record_uuid(&record->item->txid));
        record_set_value(object, record->item->value, record->item->len);
        return object;
    }
    json_object_set_new(object, "txid", record_uuid(&record->txid));
    if (record->outcome != TXN_OUTCOME_NONE)
        json_object_set_new(object, "outcome", json_string(txn_outcome_name(record->outcome)));
    if (record->text != NULL)
        json_object_set_new(object, "text", api_json_text(record->text));
    if (record->body != NULL)
        record_set_body(object, record->body);
    return object;
}

/* ---- from JSON
 * ------------------------------------------------------------------------------------ */

static int record_read_uuid(const json_t *object, struct uuid *id)
{
    const char *text = json_string_value(json_object_get(object, "txid"));
    return text != NULL ? uuid_parse(text, id) : ERR_CORRUPT;
}

/* Malloc'ed bytes of "value". */
static int record_read_value(const json_t *object, void **value, size_t *len)
{
    const char *text = json_string_value(json_object_get(object, "value"));
    struct buf bytes;
    if (text == NULL)
        return ERR_CORRUPT;
    buf_init(&bytes, TXN_VALUE_BYTES_MAX + 4);
    int err = base64_decode(&bytes, text, strlen(text));
    *value = err == 0 ? buf_steal(&bytes, len) : NULL;
    buf_done(&bytes);
    return err == 0 ? 0 : ERR_CORRUPT;
}

static int record_read_writes(const json_t *array, struct txn_body *body)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        struct txn_write *write = &body->writes[i];
        const char *key = json_string_value(json_object_get(item, "key"));
        if (key == NULL || record_read_value(item, &write->value, &write->len) < 0)
            return ERR_CORRUPT;
        write->key = (char *)(uintptr_t)key;
        write->base_version = (uint64_t)json_integer_value(json_object_get(item, "base_version"));
    }
    return 0;
}

static int record_read_body(const json_t *object, struct txn_record *record)
{
    const json_t *participants = json_object_get(object, "participants");
    const json_t *writes = json_object_get(object, "writes");
    if (json_array_size(participants) == 0 ||
        json_array_size(participants) > TXN_PARTICIPANTS_MAX || json_array_size(writes) == 0 ||
        json_array_size(writes) > TXN_WRITES_MAX)
        return ERR_CORRUPT;
    uint64_t ids[TXN_PARTICIPANTS_MAX];
    struct txn_write written[TXN_WRITES_MAX] = {{0}};
    struct txn_body body = {
        .txid = record->txid,
        .coordinator = (uint64_t)json_integer_value(json_object_get(object, "coordinator")),
        .group = json_is_true(json_object_get(object, "group")),
        .began_ms = json_integer_value(json_object_get(object, "began")),
        .participants = ids,
        .participants_n = json_array_size(participants),
        .writes = written,
        .writes_n = json_array_size(writes),
    };
    for (size_t i = 0; i < body.participants_n; i++)
        ids[i] = (uint64_t)json_integer_value(json_array_get(participants, i));
    char why[TXN_TEXT_MAX];
    int err = record_read_writes(writes, &body);
    if (err == 0)
        record->body = txn_body_new(&body, why);
    for (size_t i = 0; i < body.writes_n; i++)
        free(written[i].value);
    return record->body != NULL ? 0 : ERR_CORRUPT;
}

static int record_read_item(const json_t *object, struct txn_record *record)
{
    const char *key = json_string_value(json_object_get(object, "key"));
    struct txn_item item = {
        .key = (char *)(uintptr_t)key,
        .version = (uint64_t)json_integer_value(json_object_get(object, "version")),
        .txid = record->txid,
        .at_ms = json_integer_value(json_object_get(object, "made_at")),
    };
    if (key == NULL || strlen(key) > TXN_KEY_MAX || item.version == 0 ||
        record_read_value(object, &item.value, &item.len) < 0)
        return ERR_CORRUPT;
    record->item = txn_items_copy(&item, 1);
    free(item.value);
    return 0;
}

static int record_kind(const char *name)
{
    for (size_t i = TXN_RECORD_PREPARED; name != NULL && i < MEM_COUNT(record_kinds); i++) {
        if (strcmp(record_kinds[i], name) == 0)
            return (int)i;
    }
    return ERR_CORRUPT;
}

int participant_record_parse(const json_t *json, struct txn_record *record, struct error *e)
{
    *record = (struct txn_record){0};
    int kind = record_kind(json_string_value(json_object_get(json, "kind")));
    int err = kind < 0 ? kind : record_read_uuid(json, &record->txid);
    if (err == 0) {
        const char *outcome = json_string_value(json_object_get(json, "outcome"));
        record->type = (enum txn_record_type)kind;
        record->at_ms = json_integer_value(json_object_get(json, "at"));
        record->text = mem_strdup(json_string_value(json_object_get(json, "text")));
        if (outcome != NULL && txn_outcome_parse(outcome) > 0)
            record->outcome = (enum txn_outcome)txn_outcome_parse(outcome);
        if (record->type == TXN_RECORD_ITEM)
            err = record_read_item(json, record);
        else if (json_object_get(json, "participants") != NULL)
            err = record_read_body(json, record);
    }
    if (err < 0)
        return error_set(e, ERR_CORRUPT, "a line is no record of a transaction");
    return 0;
}
