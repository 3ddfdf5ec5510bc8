/* A table's log out of the object store.
 *
 * Happy path: _last_checkpoint says where to begin listing; of what is listed the newest whole
 * checkpoint that is not too new is taken to an executor, whose rows are replayed; then the entries
 * behind it, many fetched at once, replayed in order. Replay runs on threads, one piece at a time.
 *
 * How it fails: what is missing or broken is named by its entry. A _last_checkpoint that lies is
 * forgotten and everything is listed. A checkpoint that can't be read gives way to an older one, or
 * to all entries from 0 on; when neither is there, the newest one is the error. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "core/delta_checkpoint.h"
#include "role/tables_checkpoint.h"
#include "role/tables_internal.h"
#include "wire/lake_path.h"

enum {
    TABLES_LOAD_AT_ONCE = 16,
    TABLES_LOAD_ENTRIES_MAX = 10000000,
};

/* A checkpoint that was seen in the listing. */
struct tables_found {
    uint64_t version;
    uint32_t parts; /* 0: one file */
    uint32_t seen;
};

struct tables_entry_text {
    struct tables_load *load;
    struct object_call *call;
    uint64_t version;
    char *text;
    size_t len;
};

struct tables_load {
    struct tables *tables;
    char *place;
    uint64_t version; /* wanted */
    uint64_t tried;   /* checkpoint that is read */
    uint64_t below;   /* checkpoints from here on are not tried; DELTA_NO_VERSION: all are */
    tables_load_fn fn;
    void *arg;

    struct object_call *call;
    struct tables_checkpoint_read *reading;
    struct loop_work *work;
    struct loop_timer timer; /* ends it from the loop */
    bool cancelled;

    struct delta_last_checkpoint last;
    bool hinted;
    char *after;
    bool listed_v2;
    uint64_t *versions; /* of entries, ascending */
    size_t versions_n, versions_cap;
    struct tables_found *found;
    size_t found_n, found_cap;

    struct delta_log *log;
    size_t next; /* of versions */
    struct tables_entry_text texts[TABLES_LOAD_AT_ONCE];
    size_t texts_n, texts_left;
    struct error error;
    struct error first; /* of the newest checkpoint, when others are tried */
};

/* ---- life -------------------------------------------------------------------------------------
 */

static void tables_load_free(struct tables_load *load)
{
    loop_timer_stop(&load->timer);
    for (size_t i = 0; i < load->texts_n; i++) {
        if (load->texts[i].call != NULL)
            object_call_cancel(load->texts[i].call);
        free(load->texts[i].text);
    }
    delta_log_free(load->log);
    free(load->versions);
    free(load->found);
    free(load->after);
    free(load->place);
    free(load);
}

static void tables_load_end(struct tables_load *load)
{
    struct delta_log *log = load->error.code == 0 ? load->log : NULL;
    struct error e = load->error;
    tables_load_fn fn = load->fn;
    void *arg = load->arg;
    if (log != NULL)
        load->log = NULL;
    tables_load_free(load);
    fn(arg, e.code, e.text, log);
}

/* The error of the load is set. */
static void tables_load_fail(struct tables_load *load, int code, const char *text)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    (void)error_set(&load->error, code, "%.200s: %s", load->place, e.text);
    tables_load_end(load);
}

void tables_load_cancel(struct tables_load *load)
{
    load->cancelled = true;
    if (load->call != NULL)
        object_call_cancel(load->call);
    if (load->reading != NULL)
        tables_checkpoint_cancel(load->reading);
    load->call = NULL;
    load->reading = NULL;
    if (load->work == NULL)
        tables_load_free(load);
}

static void tables_load_get(struct tables_load *load, enum object_verb verb, const char *key,
                            object_done_fn fn)
{
    struct object_request request = {.verb = verb,
                                     .place = load->place,
                                     .key = key,
                                     .after = load->after,
                                     .on_done = fn,
                                     .arg = load};
    load->call = object_store_call(load->tables->objects, &request);
}

/* ---- entries ----------------------------------------------------------------------------------
 */

static void tables_load_fetch(struct tables_load *load);

static void tables_load_apply(void *arg)
{
    struct tables_load *load = arg;
    for (size_t i = 0; i < load->texts_n && load->error.code == 0; i++)
        (void)delta_log_apply(load->log, load->texts[i].version, load->texts[i].text,
                              load->texts[i].len, &load->error);
}

static void tables_load_on_applied(void *arg, int code)
{
    struct tables_load *load = arg;
    (void)code;
    load->work = NULL;
    if (load->cancelled) {
        tables_load_free(load);
        return;
    }
    for (size_t i = 0; i < load->texts_n; i++)
        free(load->texts[i].text);
    load->texts_n = 0;
    if (load->error.code < 0)
        tables_load_fail(load, load->error.code, load->error.text);
    else
        tables_load_fetch(load);
}

static void tables_load_on_entry(void *arg, const struct object_result *result)
{
    struct tables_entry_text *text = arg;
    struct tables_load *load = text->load;
    text->call = NULL;
    if (result->code < 0 && load->error.code == 0)
        (void)error_set(&load->error, result->code, "entry %" PRIu64 " of the log: %s",
                        text->version, result->text);
    if (result->code == 0) {
        text->text = mem_strndup((const char *)result->data, result->len);
        text->len = result->len;
    }
    if (--load->texts_left > 0)
        return;
    if (load->error.code < 0)
        tables_load_fail(load, load->error.code, load->error.text);
    else
        load->work = loop_work(node_loop(load->tables->node), tables_load_apply,
                               tables_load_on_applied, load);
}

static bool tables_load_is_done(const struct tables_load *load)
{
    uint64_t have = delta_log_version(load->log);
    return load->next >= load->versions_n || (have != DELTA_NO_VERSION && have >= load->version);
}

static void tables_load_finish(struct tables_load *load)
{
    uint64_t have = delta_log_version(load->log);
    struct error e;
    if (have == DELTA_NO_VERSION)
        (void)error_set(&e, ERR_CORRUPT, "the log is empty");
    else if (load->version != DELTA_NO_VERSION && have < load->version)
        (void)error_set(&e, ERR_CORRUPT, "entry %" PRIu64 " of the log is missing", have + 1);
    else
        (void)error_set(&e, 0, "%s", "");
    if (e.code < 0)
        tables_load_fail(load, e.code, e.text);
    else
        tables_load_end(load);
}

static void tables_load_fetch(struct tables_load *load)
{
    if (tables_load_is_done(load)) {
        tables_load_finish(load);
        return;
    }
    char key[LAKE_LOG_NAME_MAX];
    while (load->texts_n < TABLES_LOAD_AT_ONCE && load->next < load->versions_n &&
           load->versions[load->next] <= load->version) {
        struct tables_entry_text *text = &load->texts[load->texts_n++];
        *text = (struct tables_entry_text){.load = load, .version = load->versions[load->next++]};
        load->texts_left++;
        struct object_request request = {.verb = OBJECT_GET,
                                         .place = load->place,
                                         .key = lake_log_entry(text->version, key),
                                         .bytes_max = DELTA_ENTRY_BYTES_MAX,
                                         .on_done = tables_load_on_entry,
                                         .arg = text};
        text->call = object_store_call(load->tables->objects, &request);
    }
    if (load->texts_n == 0)
        tables_load_finish(load);
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

static void tables_load_list_all(struct tables_load *load);

/* What is wrong with the checkpoint itself, and with it alone. */
static bool tables_load_is_damage(int code)
{
    return code == ERR_CORRUPT || code == ERR_INVALID || code == ERR_NOT_FOUND;
}

static void tables_load_on_checkpoint(void *arg, int code, const char *text, struct delta_log *log)
{
    struct tables_load *load = arg;
    load->reading = NULL;
    if (tables_load_is_damage(code)) {
        log_warn(LOG_ABOUT(.role = "tables", .code = code),
                 "%s: %s: an older checkpoint, or the whole log, is read instead", load->place,
                 text);
        metric_add(METRIC_TABLE_CHECKPOINTS_BAD, 1);
        if (load->first.code == 0)
            (void)error_set(&load->first, code, "%s", text);
        load->below = load->tried;
        tables_load_list_all(load);
        return;
    }
    if (code < 0) {
        tables_load_fail(load, code, text);
        return;
    }
    load->log = log;
    while (load->next < load->versions_n && load->versions[load->next] <= delta_log_version(log))
        load->next++;
    tables_load_fetch(load);
}

static const struct tables_found *tables_load_best(const struct tables_load *load)
{
    const struct tables_found *best = NULL;
    for (size_t i = 0; i < load->found_n; i++) {
        const struct tables_found *found = &load->found[i];
        bool whole = found->seen >= (found->parts > 0 ? found->parts : 1);
        if (whole && found->version <= load->version && found->version < load->below &&
            (best == NULL || found->version >= best->version))
            best = found;
    }
    return best;
}

static void tables_load_list(struct tables_load *load);

static void tables_load_begin(struct tables_load *load)
{
    const struct tables_found *best = tables_load_best(load);
    if (best == NULL && load->hinted) {
        tables_load_list_all(load);
    } else if (best != NULL) {
        load->tried = best->version;
        struct delta_last_checkpoint which = {.version = best->version,
                                              .size = DELTA_NO_VERSION,
                                              .adds = DELTA_NO_VERSION,
                                              .parts = best->parts};
        if (load->hinted && load->last.version == best->version) {
            which.size = load->last.size;
            which.adds = load->last.adds;
        }
        load->reading = tables_checkpoint_read(load->tables, load->place, &which,
                                               tables_load_on_checkpoint, load);
    } else if (load->versions_n > 0 && load->versions[0] == 0) {
        load->log = delta_log_new();
        tables_load_fetch(load);
    } else if (load->first.code < 0) {
        tables_load_fail(load, load->first.code, load->first.text);
    } else if (load->listed_v2) {
        tables_load_fail(load, ERR_UNSUPPORTED,
                         "the table uses the feature v2Checkpoint, which this version does not "
                         "read");
    } else if (load->versions_n > 0) {
        tables_load_fail(load, ERR_CORRUPT,
                         "the log begins late and there is no whole checkpoint: its first entries "
                         "are missing");
    } else {
        tables_load_fail(load, ERR_NOT_FOUND, "there is no Delta log");
    }
}

/* ---- listing ----------------------------------------------------------------------------------
 */

static void tables_load_see(struct tables_load *load, const char *key)
{
    struct lake_log_name name;
    lake_log_parse(key, &name);
    load->listed_v2 |= name.kind == LAKE_LOG_CHECKPOINT_UUID;
    if (name.kind == LAKE_LOG_ENTRY && load->versions_n < TABLES_LOAD_ENTRIES_MAX) {
        MEM_GROW(load->versions, load->versions_cap, load->versions_n + 1);
        load->versions[load->versions_n++] = name.version;
    }
    if (name.kind != LAKE_LOG_CHECKPOINT && name.kind != LAKE_LOG_CHECKPOINT_PART)
        return;
    for (size_t i = load->found_n; i > 0; i--) {
        struct tables_found *found = &load->found[i - 1];
        if (found->version == name.version && found->parts == name.parts) {
            found->seen++;
            return;
        }
    }
    MEM_GROW(load->found, load->found_cap, load->found_n + 1);
    load->found[load->found_n++] =
        (struct tables_found){.version = name.version, .parts = name.parts, .seen = 1};
}

static void tables_load_on_listed(void *arg, const struct object_result *result)
{
    struct tables_load *load = arg;
    load->call = NULL;
    if (result->code < 0) {
        tables_load_fail(load, result->code, result->text);
        return;
    }
    for (size_t i = 0; i < result->entries_n; i++)
        tables_load_see(load, result->entries[i].key);
    if (result->more && result->entries_n > 0) {
        free(load->after);
        load->after = mem_strdup(result->entries[result->entries_n - 1].key);
        tables_load_list(load);
        return;
    }
    tables_load_begin(load);
}

/* From the beginning, whatever _last_checkpoint says. */
static void tables_load_list_all(struct tables_load *load)
{
    load->hinted = false;
    load->last = (struct delta_last_checkpoint){.version = DELTA_NO_VERSION};
    load->versions_n = load->found_n = 0;
    free(load->after);
    load->after = NULL;
    tables_load_list(load);
}

static void tables_load_list(struct tables_load *load)
{
    tables_load_get(load, OBJECT_LIST, LAKE_LOG_DIR, tables_load_on_listed);
}

static void tables_load_on_last(void *arg, const struct object_result *result)
{
    struct tables_load *load = arg;
    char name[LAKE_LOG_NAME_MAX];
    load->call = NULL;
    if (result->code < 0 && result->code != ERR_NOT_FOUND) {
        tables_load_fail(load, result->code, result->text);
        return;
    }
    load->hinted = result->code == 0 &&
                   delta_last_checkpoint_parse((const char *)result->data, result->len, &load->last,
                                               NULL) == 0 &&
                   load->last.version <= load->version;
    if (load->hinted)
        load->after = mem_strdup(lake_log_before(load->last.version, name));
    tables_load_list(load);
}

struct tables_load *tables_load_start(struct tables *tables, const char *place, uint64_t version,
                                      tables_load_fn fn, void *arg)
{
    struct tables_load *load = mem_zalloc(sizeof *load);
    load->tables = tables;
    load->place = mem_strdup(place);
    load->version = version;
    load->below = DELTA_NO_VERSION;
    load->fn = fn;
    load->arg = arg;
    tables_load_get(load, OBJECT_GET, LAKE_LAST_CHECKPOINT, tables_load_on_last);
    return load;
}
