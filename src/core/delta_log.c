/* Happy path of an entry: every line is read once to see that all of it is good, then once more to
 * apply it, which cannot fail. So an entry that is broken anywhere leaves the log as it was. */
#include "core/delta_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_internal.h"

/* What an entry holds besides files, while it is checked. */
struct delta_entry {
    uint64_t version;
    struct delta_meta *meta; /* new, or NULL */
    struct delta_protocol protocol;
    bool has_protocol;
    char **txn_ids;
    int64_t *txn_versions;
    size_t txns_n, txns_cap, txn_versions_cap;
    struct delta_seen {
        UT_hash_handle hh;
        char path[];
    } * seen;
    size_t files;
};

struct delta_log *delta_log_new(void)
{
    struct delta_log *log = mem_zalloc(sizeof *log);
    log->state = delta_state_new();
    delta_action_reader_init(&log->reader);
    delta_packer_init(&log->packer);
    return log;
}

void delta_log_free(struct delta_log *log)
{
    if (log == NULL)
        return;
    delta_state_unref(log->state);
    delta_action_reader_done(&log->reader);
    delta_packer_done(&log->packer);
    free(log);
}

uint64_t delta_log_version(const struct delta_log *log)
{
    return log->loading ? DELTA_NO_VERSION : log->state->version;
}

uint64_t delta_log_oldest(const struct delta_log *log)
{
    return log->state->oldest;
}

size_t delta_log_bytes(const struct delta_log *log)
{
    return delta_state_bytes(log->state);
}

void delta_log_trim(struct delta_log *log, uint64_t version)
{
    assert(!log->loading && version <= log->state->version);
    struct delta_state *trimmed = delta_state_trimmed(log->state, version);
    delta_state_unref(log->state);
    log->state = trimmed;
}

/* ---- entries: checking ------------------------------------------------------------------------
 */

static void delta_entry_done(struct delta_entry *entry)
{
    struct delta_seen *seen, *next;
    delta_meta_unref(entry->meta);
    if (entry->has_protocol)
        delta_protocol_done(&entry->protocol);
    for (size_t i = 0; i < entry->txns_n; i++)
        free(entry->txn_ids[i]);
    free(entry->txn_ids);
    free(entry->txn_versions);
    HASH_ITER (hh, entry->seen, seen, next) {
        HASH_DEL(entry->seen, seen);
        free(seen);
    }
}

static int delta_entry_metadata(struct delta_log *log, struct delta_entry *entry,
                                const struct delta_action *action, struct error *e)
{
    struct delta_metadata metadata;
    if (entry->meta != NULL)
        return error_set(e, ERR_CORRUPT, "a second metaData in one entry");
    int err = delta_metadata_parse(&action->raw, &metadata, e);
    if (err == 0)
        entry->meta = delta_meta_new(&metadata, &log->state->leaves);
    return err;
}

static int delta_entry_protocol(struct delta_entry *entry, const struct delta_action *action,
                                struct error *e)
{
    if (entry->has_protocol)
        return error_set(e, ERR_CORRUPT, "a second protocol in one entry");
    int err = delta_protocol_parse(&action->raw, &entry->protocol, e);
    if (err < 0)
        return err;
    entry->has_protocol = true;
    return delta_protocol_check_read(&entry->protocol, e);
}

static int delta_entry_txn(struct delta_entry *entry, const struct delta_action *action,
                           struct error *e)
{
    char *app_id;
    int64_t version;
    int err = delta_txn_parse(&action->raw, &app_id, &version, e);
    if (err < 0)
        return err;
    for (size_t i = 0; i < entry->txns_n; i++)
        if (strcmp(entry->txn_ids[i], app_id) == 0) {
            err = error_set(e, ERR_CORRUPT, "a second txn of %.100s in one entry", app_id);
            free(app_id);
            return err;
        }
    MEM_GROW(entry->txn_ids, entry->txns_cap, entry->txns_n + 1);
    MEM_GROW(entry->txn_versions, entry->txn_versions_cap, entry->txns_n + 1);
    entry->txn_ids[entry->txns_n] = app_id;
    entry->txn_versions[entry->txns_n++] = version;
    return 0;
}

/* A path may be added once and removed once; both in one entry contradict each other as long as
 * there are no deletion vectors. */
static int delta_entry_see(struct delta_entry *entry, const struct delta_action *action,
                           struct error *e)
{
    struct delta_seen *seen;
    size_t len = strlen(action->path);
    HASH_FIND(hh, entry->seen, action->path, len, seen);
    if (seen != NULL)
        return error_set(e, ERR_CORRUPT, "%.200s stands twice in one entry", action->path);
    seen = mem_zalloc(sizeof *seen + len + 1);
    memcpy(seen->path, action->path, len + 1);
    HASH_ADD_KEYPTR(hh, entry->seen, seen->path, len, seen);
    return 0;
}

/* The lines that are not files, in a first pass, because files depend on them. */
static int delta_check_line(struct delta_log *log, struct delta_entry *entry,
                            const struct delta_action *action, struct error *e)
{
    switch (action->kind) {
    case DELTA_ACTION_METADATA:
        return delta_entry_metadata(log, entry, action, e);
    case DELTA_ACTION_PROTOCOL:
        return delta_entry_protocol(entry, action, e);
    case DELTA_ACTION_TXN:
        return delta_entry_txn(entry, action, e);
    case DELTA_ACTION_ADD:
    case DELTA_ACTION_REMOVE:
        entry->files++;
        return delta_entry_see(entry, action, e);
    default:
        return 0;
    }
}

static int delta_entry_fail(uint64_t version, size_t line, struct error *e)
{
    return error_prefix(e, "entry %" PRIu64 " of the log, line %zu", version, line);
}

static const struct delta_meta *delta_entry_meta(const struct delta_log *log,
                                                 const struct delta_entry *entry)
{
    return entry->meta != NULL ? entry->meta : delta_state_meta(log->state, entry->version);
}

static int delta_check_state(const struct delta_log *log, const struct delta_entry *entry,
                             struct error *e)
{
    bool first = log->state->version == DELTA_NO_VERSION;
    if (delta_entry_meta(log, entry) == NULL)
        return error_set(e, ERR_CORRUPT, "entry %" PRIu64 " of the log: there is no metaData",
                         entry->version);
    if (first && !entry->has_protocol)
        return error_set(e, ERR_CORRUPT, "entry %" PRIu64 " of the log: there is no protocol",
                         entry->version);
    if (log->state->rows_n + entry->files > DELTA_FILES_MAX)
        return error_set(e, ERR_TOO_LARGE, "a table of more than %d files", DELTA_FILES_MAX);
    return 0;
}

static int delta_check_entry(struct delta_log *log, struct delta_entry *entry, const char *text,
                             size_t len, struct error *e)
{
    struct delta_action action;
    const char *line;
    size_t at = 0, line_len, n = 0;
    uint64_t rows;
    struct error own;
    while (delta_next_line(text, len, &at, &line, &line_len)) {
        n++;
        if (delta_action_read(&log->reader, line, line_len, &action, &own) < 0 ||
            delta_check_line(log, entry, &action, &own) < 0) {
            if (e != NULL)
                *e = own;
            return e != NULL ? delta_entry_fail(entry->version, n, e) : own.code;
        }
    }
    int err = delta_check_state(log, entry, e);
    for (at = n = 0; err == 0 && delta_next_line(text, len, &at, &line, &line_len);) {
        n++;
        (void)delta_action_read(&log->reader, line, line_len, &action, NULL);
        if (action.kind == DELTA_ACTION_ADD &&
            delta_pack(&log->packer, &action, delta_entry_meta(log, entry), &log->state->leaves,
                       &rows, &own) < 0) {
            if (e != NULL)
                *e = own;
            err = e != NULL ? delta_entry_fail(entry->version, n, e) : own.code;
        }
    }
    return err;
}

/* ---- entries: applying ------------------------------------------------------------------------
 */

static void delta_apply_file(struct delta_log *log, uint64_t version,
                             const struct delta_action *action)
{
    uint64_t rows;
    if (action->kind == DELTA_ACTION_ADD) {
        int err = delta_pack(&log->packer, action, delta_state_meta(log->state, version),
                             &log->state->leaves, &rows, NULL);
        assert(err == 0);
        (void)err;
        delta_state_add(log->state, version, action, &log->packer.packed, rows);
    } else if (action->kind == DELTA_ACTION_REMOVE) {
        delta_state_remove(log->state, version, action);
    }
}

static void delta_apply_entry(struct delta_log *log, struct delta_entry *entry, const char *text,
                              size_t len)
{
    struct delta_state *state = log->state;
    struct delta_action action;
    const char *line;
    size_t at = 0, line_len;
    bool first = state->version == DELTA_NO_VERSION;
    if (entry->meta != NULL)
        delta_state_set_meta(state, entry->version, delta_meta_ref(entry->meta));
    if (entry->has_protocol) {
        delta_state_set_protocol(state, entry->version, &entry->protocol);
        entry->has_protocol = false;
    }
    for (size_t i = 0; i < entry->txns_n; i++)
        delta_state_set_txn(state, entry->version, entry->txn_ids[i], entry->txn_versions[i]);
    while (delta_next_line(text, len, &at, &line, &line_len)) {
        int err = delta_action_read(&log->reader, line, line_len, &action, NULL);
        assert(err == 0);
        (void)err;
        delta_apply_file(log, entry->version, &action);
    }
    state->version = entry->version;
    if (first)
        state->oldest = entry->version;
}

/* What another thread reads stays as it is. */
static void delta_log_unshare(struct delta_log *log)
{
    if (log->state->pins > 0)
        delta_log_trim(log, log->state->oldest);
}

int delta_log_apply(struct delta_log *log, uint64_t version, const char *text, size_t len,
                    struct error *e)
{
    struct delta_entry entry = {.version = version};
    uint64_t next = log->state->version == DELTA_NO_VERSION ? 0 : log->state->version + 1;
    assert(!log->loading);
    if (version != next)
        return error_set(
            e, ERR_CORRUPT, "the log goes on with entry %" PRIu64 " where %" PRIu64 " is due: %s",
            version, next, version > next ? "an entry is missing" : "it was applied before");
    if (len > DELTA_ENTRY_BYTES_MAX)
        return error_set(e, ERR_TOO_LARGE, "entry %" PRIu64 " of the log: more than %d bytes",
                         version, DELTA_ENTRY_BYTES_MAX);
    delta_log_unshare(log);
    int err = delta_check_entry(log, &entry, text, len, e);
    if (err == 0)
        delta_apply_entry(log, &entry, text, len);
    delta_entry_done(&entry);
    return err;
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

int delta_log_load_begin(struct delta_log *log, uint64_t version)
{
    assert(log->state->version == DELTA_NO_VERSION && !log->loading);
    log->loading = true;
    log->state->version = version;
    log->state->oldest = version;
    return 0;
}

static int delta_load_fail(const struct delta_log *log, int err, struct error *e)
{
    return err == 0 ? 0
                    : error_prefix(e, "checkpoint %" PRIu64 ", row %" PRIu64, log->state->version,
                                   log->loaded_actions);
}

static int delta_load_meta(struct delta_log *log, const struct delta_action *action,
                           struct error *e)
{
    struct delta_state *state = log->state;
    struct delta_metadata metadata;
    if (state->metas_n > 0)
        return error_set(e, ERR_CORRUPT, "a second metaData");
    int err = delta_metadata_parse(&action->raw, &metadata, e);
    if (err == 0)
        delta_state_set_meta(state, state->version, delta_meta_new(&metadata, &state->leaves));
    return err;
}

static int delta_load_protocol(struct delta_log *log, const struct delta_action *action,
                               struct error *e)
{
    struct delta_state *state = log->state;
    struct delta_protocol protocol;
    if (state->protocols_n > 0)
        return error_set(e, ERR_CORRUPT, "a second protocol");
    int err = delta_protocol_parse(&action->raw, &protocol, e);
    if (err < 0)
        return err;
    delta_state_set_protocol(state, state->version, &protocol);
    return delta_protocol_check_read(&state->protocols[0].protocol, e);
}

static int delta_load_txn(struct delta_log *log, const struct delta_action *action, struct error *e)
{
    char *app_id;
    int64_t version;
    int err = delta_txn_parse(&action->raw, &app_id, &version, e);
    if (err < 0)
        return err;
    delta_state_set_txn(log->state, log->state->version, app_id, version);
    free(app_id);
    return 0;
}

static int delta_load_file(struct delta_log *log, const struct delta_action *action,
                           struct error *e)
{
    struct delta_state *state = log->state;
    uint64_t rows;
    if (delta_state_find(state, action->path) != DELTA_NO_ROW)
        return error_set(e, ERR_CORRUPT, "%.200s stands twice in the checkpoint", action->path);
    if (state->rows_n >= DELTA_FILES_MAX)
        return error_set(e, ERR_TOO_LARGE, "a table of more than %d files", DELTA_FILES_MAX);
    if (action->kind == DELTA_ACTION_REMOVE) {
        delta_state_remove(state, state->version, action);
        return 0;
    }
    if (state->metas_n == 0 || state->protocols_n == 0)
        return error_set(e, ERR_CORRUPT, "a file comes before metaData and protocol");
    int err = delta_pack(&log->packer, action, state->metas[0].meta, &state->leaves, &rows, e);
    if (err < 0)
        return err;
    delta_state_add(state, state->version, action, &log->packer.packed, rows);
    log->loaded_adds++;
    return 0;
}

int delta_log_load_line(struct delta_log *log, const char *line, size_t len, struct error *e)
{
    struct delta_action action;
    struct error own = {0};
    assert(log->loading);
    log->loaded_actions++;
    int err = delta_action_read(&log->reader, line, len, &action, &own);
    if (err < 0) {
        ;
    } else if (action.kind == DELTA_ACTION_METADATA) {
        err = delta_load_meta(log, &action, &own);
    } else if (action.kind == DELTA_ACTION_PROTOCOL) {
        err = delta_load_protocol(log, &action, &own);
    } else if (action.kind == DELTA_ACTION_TXN) {
        err = delta_load_txn(log, &action, &own);
    } else if (action.kind == DELTA_ACTION_ADD || action.kind == DELTA_ACTION_REMOVE) {
        err = delta_load_file(log, &action, &own);
    }
    if (err < 0 && e != NULL) {
        *e = own;
        err = delta_load_fail(log, err, e);
    }
    return err;
}

int delta_log_load_end(struct delta_log *log, uint64_t size, uint64_t adds, struct error *e)
{
    const struct delta_state *state = log->state;
    assert(log->loading);
    if (state->metas_n == 0 || state->protocols_n == 0)
        return error_set(e, ERR_CORRUPT, "checkpoint %" PRIu64 " has no %s", state->version,
                         state->metas_n == 0 ? "metaData" : "protocol");
    if (size != DELTA_NO_VERSION && size != log->loaded_actions)
        return error_set(e, ERR_CORRUPT,
                         "checkpoint %" PRIu64 " has %" PRIu64 " actions where _last_checkpoint "
                         "says %" PRIu64,
                         state->version, log->loaded_actions, size);
    if (adds != DELTA_NO_VERSION && adds != log->loaded_adds)
        return error_set(e, ERR_CORRUPT,
                         "checkpoint %" PRIu64 " has %" PRIu64 " files where _last_checkpoint "
                         "says %" PRIu64,
                         state->version, log->loaded_adds, adds);
    log->loading = false;
    return 0;
}
