/* Happy path: one object with one key, the action's name; its fields in any order, unknown ones
 * skipped. */
#include <string.h>

#include "base/mem.h"
#include "core/delta_internal.h"

void delta_action_reader_init(struct delta_action_reader *r)
{
    json_scan_init(&r->scan, "", 0);
    buf_init(&r->path, DELTA_ENTRY_BYTES_MAX);
}

void delta_action_reader_done(struct delta_action_reader *r)
{
    json_scan_done(&r->scan);
    buf_done(&r->path);
}

bool delta_next_line(const char *text, size_t len, size_t *at, const char **line, size_t *line_len)
{
    while (*at < len) {
        const char *from = text + *at;
        const char *end = memchr(from, '\n', len - *at);
        size_t n = end != NULL ? (size_t)(end - from) : len - *at;
        *at += n + (end != NULL);
        if (n > 0 && from[n - 1] == '\r')
            n--;
        if (n == 0)
            continue;
        *line = from;
        *line_len = n;
        return true;
    }
    return false;
}

static enum delta_action_kind delta_action_kind(const struct json_slice *name)
{
    static const struct {
        const char *name;
        enum delta_action_kind kind;
    } kinds[] = {
        {"add", DELTA_ACTION_ADD},           {"remove", DELTA_ACTION_REMOVE},
        {"metaData", DELTA_ACTION_METADATA}, {"protocol", DELTA_ACTION_PROTOCOL},
        {"txn", DELTA_ACTION_TXN},           {"commitInfo", DELTA_ACTION_INFO},
    };
    for (size_t i = 0; i < MEM_COUNT(kinds); i++)
        if (json_slice_is(name, kinds[i].name))
            return kinds[i].kind;
    return DELTA_ACTION_OTHER;
}

static void delta_action_path(struct delta_action_reader *r, struct delta_action *action)
{
    struct json_slice path;
    if (!json_scan_string(&r->scan, &path))
        return;
    buf_clear(&r->path);
    if (path.len == 0 || memchr(path.text, '\0', path.len) != NULL ||
        buf_append(&r->path, path.text, path.len) < 0)
        return;
    action->path = buf_cstr(&r->path);
}

static void delta_action_raw(struct json_scan *scan, struct json_slice *raw)
{
    if (!json_scan_null(scan))
        (void)json_scan_skip(scan, raw);
}

static void delta_action_field(struct delta_action_reader *r, const struct json_slice *key,
                               struct delta_action *action)
{
    struct json_scan *scan = &r->scan;
    if (json_scan_null(scan))
        return;
    if (json_slice_is(key, "path"))
        delta_action_path(r, action);
    else if (json_slice_is(key, "partitionValues"))
        delta_action_raw(scan, &action->values);
    else if (json_slice_is(key, "size"))
        (void)json_scan_i64(scan, &action->size);
    else if (json_slice_is(key, "modificationTime") || json_slice_is(key, "deletionTimestamp"))
        (void)json_scan_i64(scan, &action->time_ms);
    else if (json_slice_is(key, "dataChange"))
        (void)json_scan_bool(scan, &action->data_change);
    else if (json_slice_is(key, "stats") && json_scan_peek(scan) == JSON_KIND_STRING)
        delta_action_raw(scan, &action->stats);
    else if (json_slice_is(key, "tags"))
        delta_action_raw(scan, &action->tags);
    else {
        action->deletion_vector |= json_slice_is(key, "deletionVector");
        (void)json_scan_skip(scan, NULL);
    }
}

static int delta_action_check(const struct delta_action *action, struct error *e)
{
    const char *name = action->kind == DELTA_ACTION_ADD ? "add" : "remove";
    if (action->kind != DELTA_ACTION_ADD && action->kind != DELTA_ACTION_REMOVE)
        return 0;
    if (action->path == NULL)
        return error_set(e, ERR_CORRUPT, "%s has no path", name);
    if (action->deletion_vector)
        return error_set(e, ERR_UNSUPPORTED,
                         "the table uses the feature deletionVectors, which this version does not "
                         "read: have its writer purge them (REORG TABLE ... APPLY (PURGE))");
    if (action->kind == DELTA_ACTION_ADD && action->size < 0)
        return error_set(e, ERR_CORRUPT, "add of %.200s has no size", action->path);
    return 0;
}

int delta_action_read(struct delta_action_reader *r, const char *line, size_t len,
                      struct delta_action *action, struct error *e)
{
    struct json_scan *scan = &r->scan;
    struct json_slice key;
    *action = (struct delta_action){.size = -1, .data_change = true};
    json_scan_reset(scan, line, len);
    (void)json_scan_object(scan);
    while (json_scan_key(scan, &key)) {
        enum delta_action_kind kind = delta_action_kind(&key);
        if (json_scan_null(scan))
            continue;
        struct json_mark begin = json_scan_mark(scan);
        if (kind == DELTA_ACTION_OTHER || action->kind != DELTA_ACTION_OTHER) {
            (void)json_scan_skip(scan, NULL);
            continue;
        }
        action->kind = kind;
        if (kind != DELTA_ACTION_ADD && kind != DELTA_ACTION_REMOVE) {
            (void)json_scan_skip(scan, &action->raw);
            continue;
        }
        (void)json_scan_object(scan);
        while (json_scan_key(scan, &key))
            delta_action_field(r, &key, action);
        struct json_mark end = json_scan_mark(scan);
        action->raw = (struct json_slice){begin.at, (size_t)(end.at - begin.at)};
    }
    if (!json_scan_end(scan))
        return error_set(e, ERR_CORRUPT, "malformed JSON at byte %zu of the line",
                         json_scan_offset(scan));
    return delta_action_check(action, e);
}
