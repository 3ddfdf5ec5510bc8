/* The leader's duty: what was committed becomes _delta_log/N.json, in order, and every tenth entry
 * a checkpoint.
 *
 * Happy path: a table that has grown is looked up in this node's own state, its unpublished entries
 * are put one after another, and a change notes how far it got. A new leader looks for all tables
 * that are behind, which repairs whatever the old one left undone; both may put the same entry,
 * since its bytes are those of the state.
 *
 * How it fails: an object store that does not answer is tried again, later and later; nothing is
 * lost meanwhile, readers of this cluster need none of it. An entry that is there with other bytes
 * is another writer's: the table takes no more commits. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/changes.h"
#include "role/state.h"
#include "role/tables_checkpoint.h"
#include "role/events.h"
#include "role/tables_internal.h"
#include "run/state_tables.h"
#include "wire/lake_path.h"

enum {
    TABLES_PUBLISH_PAUSE_MS = 100,
    TABLES_PUBLISH_PAUSE_MAX_MS = 10000,
    TABLES_PUBLISH_NOTE_EVERY = 64, /* entries, while there are many */
    TABLES_PUBLISH_DUE_MAX = 1024,  /* checkpoints that wait; further ones are left out */
    TABLES_PUBLISH_HURRY = 50,      /* entries behind: then only every hundredth has a checkpoint */
};

/* A table that is behind. */
struct tables_behind {
    struct tables_publish *publish;
    struct uuid id;
    bool reading, again, gone;
    struct state_table table; /* as the last read found it */
    struct state_table_entries entries;
    size_t next;  /* of entries */
    uint64_t put; /* latest that this leader put; UINT64_MAX: none */
    struct object_call *call;
    struct loop_timer timer;
    int64_t pause_ms;
    UT_hash_handle hh;
};

/* A checkpoint that waits for its turn: the latest of its table that is due. */
struct tables_due {
    STAILQ_ENTRY(tables_due) entry;
    char *name, *place;
    uint64_t version;
};

struct tables_publish {
    struct tables *tables;
    bool active;
    bool stopping;
    unsigned reads; /* on readers' threads */
    struct tables_behind *behind;
    /* one checkpoint at a time */
    struct tables_checkpoint_write *checkpoint;
    struct tables_call *snapshot;
    char *checkpoint_place;
    STAILQ_HEAD(, tables_due) due;
    unsigned due_n;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

static const struct log_about tables_log = {.role = "tables"};

static void tables_behind_read(struct tables_behind *behind);
static void tables_behind_put(struct tables_behind *behind);

/* ---- life -------------------------------------------------------------------------------------
 */

static void tables_behind_clear(struct tables_behind *behind)
{
    if (behind->call != NULL)
        object_call_cancel(behind->call);
    behind->call = NULL;
    loop_timer_stop(&behind->timer);
    state_table_entries_done(&behind->entries);
    state_table_done(&behind->table);
    behind->next = 0;
}

static void tables_behind_free(struct tables_behind *behind)
{
    tables_behind_clear(behind);
    free(behind);
}

/* Out of the list; its memory goes when no thread works for it. */
static void tables_behind_drop(struct tables_behind *behind)
{
    HASH_DEL(behind->publish->behind, behind);
    tables_behind_clear(behind);
    behind->gone = true;
    if (!behind->reading)
        tables_behind_free(behind);
}

static void tables_behind_on_timer(void *arg)
{
    struct tables_behind *behind = arg;
    if (behind->entries.n > behind->next)
        tables_behind_put(behind);
    else
        tables_behind_read(behind);
}

struct tables_publish *tables_publish_new(struct tables *tables)
{
    struct tables_publish *publish = mem_zalloc(sizeof *publish);
    publish->tables = tables;
    STAILQ_INIT(&publish->due);
    return publish;
}

void tables_publish_free(struct tables_publish *publish)
{
    free(publish);
}

static void tables_publish_check_stopped(void *arg)
{
    struct tables_publish *publish = arg;
    if (!publish->stopping || publish->reads > 0 || publish->stopped == NULL)
        return;
    void (*stopped)(void *arg) = publish->stopped;
    publish->stopped = NULL;
    stopped(publish->stopped_arg);
}

/* The first one that waits. */
static void tables_due_drop(struct tables_publish *publish, struct tables_due *due)
{
    STAILQ_REMOVE_HEAD(&publish->due, entry);
    publish->due_n--;
    free(due->name);
    free(due->place);
    free(due);
}

static void tables_publish_clear(struct tables_publish *publish)
{
    struct tables_behind *behind, *next;
    HASH_ITER (hh, publish->behind, behind, next)
        tables_behind_drop(behind);
    if (publish->checkpoint != NULL)
        tables_checkpoint_write_cancel(publish->checkpoint);
    if (publish->snapshot != NULL)
        tables_cancel(publish->snapshot);
    publish->checkpoint = NULL;
    publish->snapshot = NULL;
    free(publish->checkpoint_place);
    publish->checkpoint_place = NULL;
    struct tables_due *due;
    while ((due = STAILQ_FIRST(&publish->due)) != NULL)
        tables_due_drop(publish, due);
}

void tables_publish_stop(struct tables_publish *publish, void (*stopped)(void *arg), void *arg)
{
    publish->active = false;
    publish->stopping = true;
    tables_publish_clear(publish);
    publish->stopped = stopped;
    publish->stopped_arg = arg;
    tables_publish_check_stopped(publish);
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

static void tables_publish_on_snapshot(void *arg, const struct tables_result *result);

/* The one that was written is done: the next. */
static void tables_publish_next_checkpoint(struct tables_publish *publish)
{
    struct tables_due *due = STAILQ_FIRST(&publish->due);
    free(publish->checkpoint_place);
    publish->checkpoint_place = NULL;
    if (due == NULL || !publish->active)
        return;
    publish->checkpoint_place = mem_strdup(due->place);
    publish->snapshot = tables_snapshot(publish->tables, due->name, due->version, 0,
                                        tables_publish_on_snapshot, publish);
    tables_due_drop(publish, due);
}

static void tables_publish_on_checkpoint(void *arg, int code, const char *text)
{
    struct tables_publish *publish = arg;
    publish->checkpoint = NULL;
    if (code < 0)
        log_warn(&tables_log, "checkpoint of %s: %s", publish->checkpoint_place, text);
    tables_publish_next_checkpoint(publish);
}

static void tables_publish_on_snapshot(void *arg, const struct tables_result *result)
{
    struct tables_publish *publish = arg;
    publish->snapshot = NULL;
    if (result->code == 0) {
        publish->checkpoint =
            tables_checkpoint_write(publish->tables, publish->checkpoint_place, result->view,
                                    tables_publish_on_checkpoint, publish);
        return;
    }
    log_warn(&tables_log, "checkpoint of %s: %s", publish->checkpoint_place, result->text);
    tables_publish_next_checkpoint(publish);
}

/* One at a time; of a table that waits, the latest version that is due counts. */
static void tables_publish_checkpoint(struct tables_publish *publish, const char *name,
                                      const char *place, uint64_t version)
{
    struct tables_due *due;
    if (version == 0 || version % DELTA_CHECKPOINT_EVERY != 0)
        return;
    STAILQ_FOREACH (due, &publish->due, entry) {
        if (strcmp(due->place, place) == 0) {
            due->version = version;
            return;
        }
    }
    if (publish->due_n >= TABLES_PUBLISH_DUE_MAX)
        return;
    due = mem_zalloc(sizeof *due);
    due->name = mem_strdup(name);
    due->place = mem_strdup(place);
    due->version = version;
    STAILQ_INSERT_TAIL(&publish->due, due, entry);
    publish->due_n++;
    if (publish->checkpoint_place == NULL)
        tables_publish_next_checkpoint(publish);
}

/* ---- putting ----------------------------------------------------------------------------------
 */

static void tables_behind_note(struct tables_behind *behind, uint64_t version, const char *broken)
{
    const struct replica *replica = node_replica(behind->publish->tables->node);
    Wire__Change change = WIRE__CHANGE__INIT;
    Wire__TablePublished published = WIRE__TABLE_PUBLISHED__INIT;
    published.id.data = behind->id.bytes;
    published.id.len = sizeof behind->id.bytes;
    published.version = version;
    published.broken = (char *)(uintptr_t)broken;
    change.of_case = WIRE__CHANGE__OF_TABLE_PUBLISHED;
    change.table_published = &published;
    if (replica != NULL)
        changes_add(replica->changes, &change, NULL, NULL);
}

/* All that was read is put. */
static void tables_behind_done(struct tables_behind *behind)
{
    bool more = behind->entries.more || behind->again;
    behind->pause_ms = 0;
    if (behind->put != UINT64_MAX)
        tables_behind_note(behind, behind->put, "");
    state_table_entries_done(&behind->entries);
    behind->next = 0;
    if (more)
        tables_behind_read(behind);
}

static void tables_behind_pause(struct tables_behind *behind, const char *text)
{
    bool is_news = behind->pause_ms == 0;
    behind->pause_ms = behind->pause_ms == 0 ? TABLES_PUBLISH_PAUSE_MS : behind->pause_ms * 2;
    if (behind->pause_ms > TABLES_PUBLISH_PAUSE_MAX_MS)
        behind->pause_ms = TABLES_PUBLISH_PAUSE_MAX_MS;
    log_warn(&tables_log, "log of table %s: %s: trying again in %" PRId64 " ms", behind->table.name,
             text, behind->pause_ms);
    if (is_news)
        event_emit(behind->publish->tables->node, EVENT_STORE_TROUBLE, EVENT_ABOUT(.cause = text),
                   "the log of table %s cannot be written to the store: %s", behind->table.name,
                   text);
    loop_timer_start(&behind->timer, behind->pause_ms);
}

static void tables_behind_next(struct tables_behind *behind)
{
    const struct state_table_entry *entry = &behind->entries.entries[behind->next++];
    behind->put = entry->version;
    if (behind->pause_ms > 0)
        event_emit(behind->publish->tables->node, EVENT_STORE_WELL, NULL,
                   "the log of table %s is written to the store again", behind->table.name);
    behind->pause_ms = 0;
    failpoint("tables.published");
    bool hurry = behind->entries.n - behind->next > TABLES_PUBLISH_HURRY;
    if (!hurry || entry->version % (UINT64_C(10) * DELTA_CHECKPOINT_EVERY) == 0)
        tables_publish_checkpoint(behind->publish, behind->table.name, behind->table.place,
                                  entry->version);
    if (behind->next % TABLES_PUBLISH_NOTE_EVERY == 0)
        tables_behind_note(behind, behind->put, "");
    if (behind->next < behind->entries.n)
        tables_behind_put(behind);
    else
        tables_behind_done(behind);
}

/* The entry was there: is it this one? */
static void tables_behind_on_compared(void *arg, const struct object_result *result)
{
    struct tables_behind *behind = arg;
    const struct state_table_entry *entry = &behind->entries.entries[behind->next];
    behind->call = NULL;
    if (result->code < 0) {
        tables_behind_pause(behind, result->text);
        return;
    }
    if (result->len == entry->lines_len && memcmp(result->data, entry->lines, result->len) == 0) {
        tables_behind_next(behind);
        return;
    }
    char *broken = mem_printf("entry %" PRIu64 " of its log is another writer's", entry->version);
    log_error(&tables_log, "table %s takes no more commits: %s", behind->table.name, broken);
    tables_behind_note(behind, behind->put != UINT64_MAX ? behind->put : 0, broken);
    free(broken);
    tables_behind_drop(behind);
}

static void tables_behind_on_put(void *arg, const struct object_result *result)
{
    struct tables_behind *behind = arg;
    char key[LAKE_LOG_NAME_MAX];
    behind->call = NULL;
    if (result->code == 0) {
        tables_behind_next(behind);
    } else if (result->code == ERR_EXISTS) {
        uint64_t version = behind->entries.entries[behind->next].version;
        struct object_request request = {.verb = OBJECT_GET,
                                         .place = behind->table.place,
                                         .key = lake_log_entry(version, key),
                                         .bytes_max = TABLES_ENTRY_BYTES_MAX * 2,
                                         .on_done = tables_behind_on_compared,
                                         .arg = behind};
        behind->call = object_store_call(behind->publish->tables->objects, &request);
    } else {
        tables_behind_pause(behind, result->text);
    }
}

static void tables_behind_put(struct tables_behind *behind)
{
    const struct state_table_entry *entry = &behind->entries.entries[behind->next];
    char key[LAKE_LOG_NAME_MAX];
    struct object_request request = {.verb = OBJECT_PUT_IF_ABSENT,
                                     .place = behind->table.place,
                                     .key = lake_log_entry(entry->version, key),
                                     .body =
                                         entry->lines != NULL ? entry->lines : (const uint8_t *)"",
                                     .body_len = entry->lines_len,
                                     .on_done = tables_behind_on_put,
                                     .arg = behind};
    failpoint("tables.publish");
    behind->call = object_store_call(behind->publish->tables->objects, &request);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int tables_behind_query(sqlite3 *db, void *arg)
{
    struct tables_behind *behind = arg;
    int err = state_query_table(db, &behind->id, &behind->table);
    if (err < 0)
        return err;
    uint64_t from = behind->put != UINT64_MAX               ? behind->put + 1
                    : behind->table.published != UINT64_MAX ? behind->table.published + 1
                                                            : 0;
    if (behind->table.broken[0] != '\0' || from > behind->table.version)
        return 0;
    return state_query_table_entries(db, &behind->id, from, &behind->entries);
}

static void tables_behind_on_read(void *arg, int code)
{
    struct tables_behind *behind = arg;
    struct tables_publish *publish = behind->publish;
    behind->reading = false;
    publish->reads--;
    if (behind->gone) {
        tables_behind_free(behind);
        tables_publish_check_stopped(publish);
        return;
    }
    if (code == ERR_NOT_FOUND) {
        tables_behind_drop(behind);
    } else if (code < 0) {
        tables_behind_pause(behind, err_text(code));
    } else if (behind->entries.n > 0) {
        tables_behind_put(behind);
    } else if (behind->again) {
        tables_behind_read(behind);
    }
}

static void tables_behind_read(struct tables_behind *behind)
{
    const struct replica *replica = node_replica(behind->publish->tables->node);
    if (replica == NULL)
        return;
    tables_behind_clear(behind);
    behind->reading = true;
    behind->again = false;
    behind->publish->reads++;
    state_read(replica->state, STATE_STALE, tables_behind_query, tables_behind_on_read, behind);
}

void tables_publish_wake(struct tables_publish *publish, const uint8_t id[16])
{
    struct tables_behind *behind;
    if (!publish->active)
        return;
    HASH_FIND(hh, publish->behind, id, sizeof behind->id, behind);
    if (behind == NULL) {
        behind = mem_zalloc(sizeof *behind);
        behind->publish = publish;
        behind->put = UINT64_MAX;
        memcpy(behind->id.bytes, id, sizeof behind->id.bytes);
        loop_timer_init(&behind->timer, node_loop(publish->tables->node), tables_behind_on_timer,
                        behind);
        HASH_ADD(hh, publish->behind, id, sizeof behind->id, behind);
        tables_behind_read(behind);
    } else if (behind->reading || behind->call != NULL || loop_timer_is_running(&behind->timer)) {
        behind->again = true;
    } else {
        tables_behind_read(behind);
    }
}

/* ---- taking over ------------------------------------------------------------------------------
 */

struct tables_survey {
    struct tables_publish *publish;
    struct uuid *ids;
    size_t n, cap;
};

static int tables_survey_take(void *arg, struct state_table *table)
{
    struct tables_survey *survey = arg;
    MEM_GROW(survey->ids, survey->cap, survey->n + 1);
    survey->ids[survey->n++] = table->id;
    state_table_done(table);
    return 0;
}

static int tables_survey_query(sqlite3 *db, void *arg)
{
    return state_query_tables(db, true, tables_survey_take, arg);
}

static void tables_survey_on_read(void *arg, int code)
{
    struct tables_survey *survey = arg;
    struct tables_publish *publish = survey->publish;
    publish->reads--;
    if (code < 0 && publish->active)
        log_warn(&tables_log, "looking for logs to publish: %s", err_text(code));
    for (size_t i = 0; i < survey->n; i++)
        tables_publish_wake(publish, survey->ids[i].bytes);
    free(survey->ids);
    free(survey);
    tables_publish_check_stopped(publish);
}

void tables_publish_active(struct tables_publish *publish, bool active)
{
    const struct replica *replica = node_replica(publish->tables->node);
    publish->active = active && !publish->stopping && !publish->tables->stopping;
    if (!publish->active) {
        tables_publish_clear(publish);
        return;
    }
    if (replica == NULL)
        return;
    struct tables_survey *survey = mem_zalloc(sizeof *survey);
    survey->publish = publish;
    publish->reads++;
    state_read(replica->state, STATE_STALE, tables_survey_query, tables_survey_on_read, survey);
}
