/* Which version of a log was the latest at some time, of a table that others wrote before this
 * cluster took it over. Happy path: the entries are listed; by halves, the time of the one in the
 * middle is looked at: that of its commitInfo, else when the file was written. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "role/tables_internal.h"
#include "wire/lake_path.h"

enum { TABLES_WHEN_ENTRIES_MAX = 10000000 };

struct tables_when_entry {
    uint64_t version;
    int64_t modified_ms;
};

struct tables_when {
    struct tables *tables;
    char *place;
    int64_t at_ms;
    tables_when_fn fn;
    void *arg;
    struct object_call *call;
    char *after;
    struct tables_when_entry *entries; /* ascending */
    size_t n, cap;
    size_t low, high; /* those before `low` are not too late, those from `high` on are */
};

static void tables_when_look(struct tables_when *when);

static void tables_when_free(struct tables_when *when)
{
    free(when->place);
    free(when->after);
    free(when->entries);
    free(when);
}

void tables_when_cancel(struct tables_when *when)
{
    if (when->call != NULL)
        object_call_cancel(when->call);
    tables_when_free(when);
}

static void tables_when_end(struct tables_when *when, int code, const char *text, uint64_t version)
{
    tables_when_fn fn = when->fn;
    void *arg = when->arg;
    struct error e;
    (void)error_set(&e, code, "%s", text);
    tables_when_free(when);
    fn(arg, code, e.text, version);
}

static void tables_when_on_entry(void *arg, const struct object_result *result)
{
    struct tables_when *when = arg;
    size_t middle = when->low + (when->high - when->low) / 2;
    int64_t at_ms = when->entries[middle].modified_ms;
    struct delta_change change;
    when->call = NULL;
    if (result->code < 0) {
        tables_when_end(when, result->code, result->text, 0);
        return;
    }
    if (delta_change_parse((const char *)result->data, result->len, &change, NULL) == 0) {
        if (change.at_ms > 0)
            at_ms = change.at_ms;
        delta_change_done(&change);
    }
    if (at_ms <= when->at_ms)
        when->low = middle + 1;
    else
        when->high = middle;
    tables_when_look(when);
}

static void tables_when_look(struct tables_when *when)
{
    char key[LAKE_LOG_NAME_MAX];
    if (when->low == when->high) {
        if (when->low == 0)
            tables_when_end(when, ERR_NOT_FOUND, "the table has no version that is so old", 0);
        else
            tables_when_end(when, 0, "", when->entries[when->low - 1].version);
        return;
    }
    size_t middle = when->low + (when->high - when->low) / 2;
    struct object_request request = {.verb = OBJECT_GET,
                                     .place = when->place,
                                     .key = lake_log_entry(when->entries[middle].version, key),
                                     .bytes_max = DELTA_ENTRY_BYTES_MAX,
                                     .on_done = tables_when_on_entry,
                                     .arg = when};
    when->call = object_store_call(when->tables->objects, &request);
}

static void tables_when_list(struct tables_when *when);

static void tables_when_on_listed(void *arg, const struct object_result *result)
{
    struct tables_when *when = arg;
    when->call = NULL;
    if (result->code < 0) {
        tables_when_end(when, result->code, result->text, 0);
        return;
    }
    for (size_t i = 0; i < result->entries_n && when->n < TABLES_WHEN_ENTRIES_MAX; i++) {
        struct lake_log_name name;
        lake_log_parse(result->entries[i].key, &name);
        if (name.kind != LAKE_LOG_ENTRY)
            continue;
        MEM_GROW(when->entries, when->cap, when->n + 1);
        when->entries[when->n++] =
            (struct tables_when_entry){name.version, result->entries[i].modified_ms};
    }
    if (result->more && result->entries_n > 0) {
        free(when->after);
        when->after = mem_strdup(result->entries[result->entries_n - 1].key);
        tables_when_list(when);
        return;
    }
    when->high = when->n;
    tables_when_look(when);
}

static void tables_when_list(struct tables_when *when)
{
    struct object_request request = {.verb = OBJECT_LIST,
                                     .place = when->place,
                                     .key = LAKE_LOG_DIR,
                                     .after = when->after,
                                     .on_done = tables_when_on_listed,
                                     .arg = when};
    when->call = object_store_call(when->tables->objects, &request);
}

struct tables_when *tables_when_start(struct tables *tables, const char *place, int64_t at_ms,
                                      tables_when_fn fn, void *arg)
{
    struct tables_when *when = mem_zalloc(sizeof *when);
    when->tables = tables;
    when->place = mem_strdup(place);
    when->at_ms = at_ms;
    when->fn = fn;
    when->arg = arg;
    tables_when_list(when);
    return when;
}
