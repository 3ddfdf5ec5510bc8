#include "wire/event_kind.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

static const struct event_kind_row event_kind_rows[EVENT_KINDS] = {
#define EVENT_KIND_ROW(symbol, name, level, table, teller, help)                                   \
    [symbol] = {name, LOG_LEVEL_##level, table, EVENT_BY_##teller, help},
    EVENT_KIND_LIST(EVENT_KIND_ROW)
#undef EVENT_KIND_ROW
};

const struct event_kind_row *event_kind_row(enum event_kind kind)
{
    assert(kind > EVENT_NONE && kind < EVENT_KINDS);
    return &event_kind_rows[kind];
}

enum event_kind event_kind_find(const char *name)
{
    for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS; i++)
        if (strcmp(event_kind_rows[i].name, name) == 0)
            return (enum event_kind)i;
    return EVENT_NONE;
}

bool event_kind_is_leaders(const char *name, const char *table)
{
    enum event_kind kind = event_kind_find(name);
    bool is = false;
    if (*table == '\0')
        return false;
    if (kind != EVENT_NONE && event_kind_rows[kind].table[0] != '\0')
        return event_kind_rows[kind].teller == EVENT_BY_LEADER;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS && !is; i++)
        is = event_kind_rows[i].teller == EVENT_BY_LEADER &&
             strcmp(event_kind_rows[i].table, table) == 0;
    return is;
}

static bool event_kind_matches_one(const char *pattern, size_t len, const char *name)
{
    if (len >= 2 && memcmp(pattern + len - 2, ".*", 2) == 0)
        return strncmp(name, pattern, len - 1) == 0;
    return len == strlen(name) && memcmp(name, pattern, len) == 0;
}

bool event_kind_matches(const char *patterns, const char *name)
{
    while (*patterns != '\0') {
        size_t len = strcspn(patterns, ",");
        if (event_kind_matches_one(patterns, len, name))
            return true;
        patterns += len + (patterns[len] == ',');
    }
    return false;
}

int event_kind_check_patterns(const char *patterns, struct error *e)
{
    const char *at = patterns;
    if (*at == '\0' || strlen(at) > EVENT_PATTERN_BYTES_MAX)
        return error_set(e, ERR_INVALID, "kind must be a list of kinds as job.*,raft.lead");
    for (unsigned n = 1; *at != '\0'; n++) {
        size_t len = strcspn(at, ",");
        bool known = false;
        for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS && !known; i++)
            known = event_kind_matches_one(at, len, event_kind_rows[i].name);
        if (!known || n > EVENT_PATTERNS_MAX)
            return error_set(e, ERR_INVALID,
                             "there is no kind of events \"%.*s\": docs/events.md lists them",
                             (int)(len < 64 ? len : 64), at);
        at += len + (at[len] == ',');
    }
    return 0;
}

int event_kind_print(struct buf *out)
{
    int err = buf_append_str(out, "| kind | level | table | told by | |\n|---|---|---|---|---|\n");
    for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS && err == 0; i++) {
        const struct event_kind_row *row = &event_kind_rows[i];
        err =
            buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", row->name, log_level_name(row->level),
                       row->table, row->teller == EVENT_BY_LEADER ? "leader" : "", row->help);
    }
    return err;
}
