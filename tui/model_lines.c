/* The content of lines stands in chunks, each line whole in one; a chunk goes with its lines. What
 * every line has in fixed size is in a ring beside them, so that a search touches little memory.
 *
 * A record in a chunk: "SOURCE KIND TEXT" NUL, by NUL, cause NUL, key NUL, row. */
#include "tui/model_lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tui/model_text.h"

enum {
    MODEL_CHUNK_BYTES = 128 * 1024,
    MODEL_LINE_EXTRA_MAX = 512, /* of by, cause, key each */
    MODEL_LINE_NAME_MAX = 256,  /* of sources and kinds */
    MODEL_LINE_RECORD_MAX =
        4 * MODEL_LINE_EXTRA_MAX + 2 * MODEL_LINE_NAME_MAX + MODEL_LINE_TEXT_MAX + 16,
};

struct model_chunk {
    uint64_t first; /* position of its first line */
    size_t used;
    size_t size;
    char bytes[];
};

enum { MODEL_RECORD_GONE = 1, MODEL_RECORD_HOLE = 2, MODEL_RECORD_SILENT = 4 };

struct model_record {
    int64_t at_ms, when_ms;
    uint64_t number;
    const char *text; /* of the record in its chunk */
    uint32_t row_len;
    uint32_t whole_len; /* of "SOURCE KIND TEXT" */
    uint16_t source, kind;
    uint8_t level;
    int8_t table;
    uint8_t flags;
};

struct model_line_name {
    UT_hash_handle hh;
    uint16_t id;
    char text[];
};

struct model_line_names {
    struct model_line_name *by_text;
    struct model_line_name **by_id;
    size_t n, cap;
};

struct model_lines {
    struct model_lines_limits limits;
    struct model_record *records; /* ring */
    size_t cap;                   /* a power of two */
    uint64_t first, end;
    struct model_chunk **chunks; /* ring of pointers, oldest at chunk_first */
    size_t chunks_cap, chunk_first, n_chunks;
    size_t bytes; /* of the chunks */
    uint64_t generation;
    uint64_t dropped;
    struct model_line_names sources, kinds;
    struct buf draft;
};

static uint64_t model_lines_clock;

static const char *const model_level_names[] = {"debug", "info", "warn", "error"};

const char *model_level_name(enum model_level level)
{
    return model_level_names[level];
}

enum model_level model_level_from_name(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(model_level_names); i++)
        if (strcmp(name, model_level_names[i]) == 0)
            return (enum model_level)i;
    return MODEL_LEVEL_INFO;
}

/* Names */

static void model_line_names_done(struct model_line_names *names)
{
    struct model_line_name *name, *next;
    HASH_ITER (hh, names->by_text, name, next) {
        HASH_DEL(names->by_text, name);
        free(name);
    }
    free(names->by_id);
    *names = (struct model_line_names){0};
}

static uint16_t model_line_names_intern(struct model_line_names *names, const char *raw)
{
    struct model_line_name *name;
    HASH_FIND_STR(names->by_text, raw, name); /* what is clean stays itself */
    if (name != NULL)
        return name->id;
    struct buf clean;
    buf_init(&clean, MODEL_LINE_NAME_MAX + 8);
    (void)model_text_append(&clean, raw, strlen(raw), MODEL_LINE_NAME_MAX);
    if (names->n >= MODEL_LINE_NAMES_MAX) {
        buf_clear(&clean);
        (void)buf_append_str(&clean, "?");
    }
    const char *text = buf_cstr(&clean);
    HASH_FIND_STR(names->by_text, text, name);
    if (name == NULL) {
        name = mem_zalloc(sizeof *name + clean.len + 1);
        memcpy(name->text, text, clean.len + 1);
        name->id = (uint16_t)names->n;
        MEM_GROW(names->by_id, names->cap, names->n + 1);
        names->by_id[names->n++] = name;
        HASH_ADD_KEYPTR(hh, names->by_text, name->text, clean.len, name);
    }
    buf_done(&clean);
    return name->id;
}

const char *model_lines_source(const struct model_lines *lines, uint16_t id)
{
    assert(id < lines->sources.n);
    return lines->sources.by_id[id]->text;
}

const char *model_lines_kind(const struct model_lines *lines, uint16_t id)
{
    assert(id < lines->kinds.n);
    return lines->kinds.by_id[id]->text;
}

size_t model_lines_n_sources(const struct model_lines *lines)
{
    return lines->sources.n;
}

size_t model_lines_n_kinds(const struct model_lines *lines)
{
    return lines->kinds.n;
}

/* The list */

struct model_lines *model_lines_new(const struct model_lines_limits *limits)
{
    assert((limits->lines_max & (limits->lines_max - 1)) == 0 && limits->lines_max > 0);
    struct model_lines *lines = mem_zalloc(sizeof *lines);
    lines->limits = *limits;
    lines->generation = ++model_lines_clock;
    buf_init(&lines->draft, MODEL_LINE_RECORD_MAX + MODEL_LINE_DATA_MAX);
    return lines;
}

static void model_lines_drop_chunk(struct model_lines *lines)
{
    assert(lines->n_chunks > 0);
    struct model_chunk *chunk = lines->chunks[lines->chunk_first];
    lines->chunk_first = (lines->chunk_first + 1) % lines->chunks_cap;
    lines->n_chunks--;
    lines->bytes -= chunk->size;
    free(chunk);
    uint64_t first = lines->n_chunks > 0 ? lines->chunks[lines->chunk_first]->first : lines->end;
    lines->dropped += first > lines->first ? first - lines->first : 0;
    lines->first = first > lines->first ? first : lines->first;
}

void model_lines_clear(struct model_lines *lines)
{
    uint64_t dropped = lines->dropped;
    while (lines->n_chunks > 0)
        model_lines_drop_chunk(lines);
    lines->dropped = dropped;
    lines->generation = ++model_lines_clock;
}

void model_lines_free(struct model_lines *lines)
{
    if (lines == NULL)
        return;
    while (lines->n_chunks > 0)
        model_lines_drop_chunk(lines);
    model_line_names_done(&lines->sources);
    model_line_names_done(&lines->kinds);
    buf_done(&lines->draft);
    free(lines->chunks);
    free(lines->records);
    free(lines);
}

uint64_t model_lines_first(const struct model_lines *lines)
{
    return lines->first;
}

uint64_t model_lines_end(const struct model_lines *lines)
{
    return lines->end;
}

size_t model_lines_bytes(const struct model_lines *lines)
{
    return lines->bytes + lines->cap * sizeof *lines->records;
}

uint64_t model_lines_generation(const struct model_lines *lines)
{
    return lines->generation;
}

uint64_t model_lines_dropped(const struct model_lines *lines)
{
    return lines->dropped;
}

static struct model_record *model_lines_record(const struct model_lines *lines, uint64_t pos)
{
    assert(pos >= lines->first && pos < lines->end);
    return &lines->records[pos & (lines->cap - 1)];
}

const char *model_lines_whole(const struct model_lines *lines, uint64_t pos, size_t *len)
{
    const struct model_record *record = model_lines_record(lines, pos);
    *len = record->whole_len;
    return record->text;
}

bool model_lines_is_silent(const struct model_lines *lines, uint64_t pos)
{
    return (model_lines_record(lines, pos)->flags & MODEL_RECORD_SILENT) != 0;
}

struct model_line_head model_lines_head(const struct model_lines *lines, uint64_t pos)
{
    const struct model_record *record = model_lines_record(lines, pos);
    return (struct model_line_head){record->level, record->source, record->kind};
}

void model_lines_get(const struct model_lines *lines, uint64_t pos, struct model_line *line)
{
    const struct model_record *record = model_lines_record(lines, pos);
    const char *source = model_lines_source(lines, record->source);
    const char *kind = model_lines_kind(lines, record->kind);
    size_t before = strlen(source) + 1 + strlen(kind) + 1;
    *line = (struct model_line){
        .at_ms = record->at_ms,
        .when_ms = record->when_ms,
        .number = record->number,
        .level = record->level,
        .source = source,
        .kind = kind,
        .source_id = record->source,
        .kind_id = record->kind,
        .text = record->text + before,
        .text_len = record->whole_len - before,
        .table = record->table,
        .row_len = record->row_len,
        .gone = (record->flags & MODEL_RECORD_GONE) != 0,
        .is_hole = (record->flags & MODEL_RECORD_HOLE) != 0,
    };
    line->by = record->text + record->whole_len + 1;
    line->cause = line->by + strlen(line->by) + 1;
    line->key = line->cause + strlen(line->cause) + 1;
    line->row = record->row_len > 0 ? line->key + strlen(line->key) + 1 : NULL;
}

uint64_t model_lines_after(const struct model_lines *lines, int64_t when_ms)
{
    uint64_t low = lines->first, high = lines->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (model_lines_record(lines, middle)->when_ms <= when_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adding */

static void model_lines_grow(struct model_lines *lines)
{
    size_t cap = lines->cap > 0 ? lines->cap * 2 : 64;
    if (cap > lines->limits.lines_max)
        cap = lines->limits.lines_max;
    struct model_record *records = mem_calloc(cap, sizeof *records);
    for (uint64_t pos = lines->first; pos < lines->end; pos++)
        records[pos & (cap - 1)] = *model_lines_record(lines, pos);
    free(lines->records);
    lines->records = records;
    lines->cap = cap;
}

static void model_lines_make_room(struct model_lines *lines)
{
    if (lines->end - lines->first < lines->cap)
        return;
    if (lines->cap < lines->limits.lines_max) {
        model_lines_grow(lines);
        return;
    }
    lines->first++;
    lines->dropped++;
    while (lines->n_chunks > 1 &&
           lines->chunks[(lines->chunk_first + 1) % lines->chunks_cap]->first <= lines->first)
        model_lines_drop_chunk(lines);
}

static size_t model_lines_chunk_size(const struct model_lines *lines, size_t len)
{
    size_t size = lines->limits.bytes_max / 16;
    size = size < MODEL_CHUNK_BYTES ? size : MODEL_CHUNK_BYTES;
    return size > len ? size : len;
}

/* Room for `len` bytes that stay where they are. */
static char *model_lines_reserve(struct model_lines *lines, size_t len)
{
    struct model_chunk *last = NULL;
    if (lines->n_chunks > 0)
        last = lines->chunks[(lines->chunk_first + lines->n_chunks - 1) % lines->chunks_cap];
    if (last == NULL || last->size - last->used < len) {
        size_t size = model_lines_chunk_size(lines, len);
        while (lines->n_chunks > 0 && lines->bytes + size > lines->limits.bytes_max)
            model_lines_drop_chunk(lines);
        if (lines->n_chunks == lines->chunks_cap) {
            size_t cap = lines->chunks_cap > 0 ? lines->chunks_cap * 2 : 8;
            struct model_chunk **chunks = mem_calloc(cap, sizeof(struct model_chunk *));
            for (size_t i = 0; i < lines->n_chunks; i++)
                chunks[i] = lines->chunks[(lines->chunk_first + i) % lines->chunks_cap];
            free(lines->chunks);
            lines->chunks = chunks;
            lines->chunks_cap = cap;
            lines->chunk_first = 0;
        }
        last = mem_alloc(sizeof *last + size);
        *last = (struct model_chunk){.first = lines->end, .size = size};
        lines->chunks[(lines->chunk_first + lines->n_chunks) % lines->chunks_cap] = last;
        lines->n_chunks++;
        lines->bytes += size;
    }
    char *at = last->bytes + last->used;
    last->used += len;
    return at;
}

static void model_lines_draft_text(struct buf *draft, const char *text, size_t len, size_t max)
{
    (void)model_text_append(draft, text, len, max);
    (void)buf_append_byte(draft, '\0');
}

uint64_t model_lines_add(struct model_lines *lines, const struct model_line *line)
{
    struct model_record record = {
        .at_ms = line->at_ms,
        .when_ms = line->when_ms,
        .number = line->number,
        .level = (uint8_t)line->level,
        .table = (int8_t)line->table,
        .source = model_line_names_intern(&lines->sources, line->source),
        .kind = model_line_names_intern(&lines->kinds, line->kind),
        .flags = (uint8_t)((line->gone ? MODEL_RECORD_GONE : 0) |
                           (line->is_hole ? MODEL_RECORD_HOLE : 0) |
                           (line->text_len == 0 ? MODEL_RECORD_SILENT : 0)),
    };
    struct buf *draft = &lines->draft;
    buf_clear(draft);
    (void)buf_printf(draft, "%s %s ", model_lines_source(lines, record.source),
                     model_lines_kind(lines, record.kind));
    (void)model_text_append(draft, line->text, line->text_len, MODEL_LINE_TEXT_MAX);
    record.whole_len = (uint32_t)draft->len;
    (void)buf_append_byte(draft, '\0');
    const char *by = line->by != NULL ? line->by : "",
               *cause = line->cause != NULL ? line->cause : "";
    model_lines_draft_text(draft, by, strlen(by), MODEL_LINE_EXTRA_MAX / 2);
    model_lines_draft_text(draft, cause, strlen(cause), MODEL_LINE_EXTRA_MAX);
    const char *key = line->table >= 0 && line->key != NULL ? line->key : "";
    size_t key_len = strlen(key);
    bool has_row = line->row != NULL && line->row_len <= MODEL_LINE_DATA_MAX;
    if (key_len > MODEL_LINE_EXTRA_MAX || (line->row != NULL && !has_row)) {
        record.table = -1;
        key_len = 0;
        has_row = false;
    }
    (void)buf_append(draft, key, key_len);
    (void)buf_append_byte(draft, '\0');
    if (has_row) {
        (void)buf_append(draft, line->row, line->row_len);
        record.row_len = (uint32_t)line->row_len;
    }

    model_lines_make_room(lines);
    char *at = model_lines_reserve(lines, draft->len);
    memcpy(at, draft->data, draft->len);
    record.text = at;
    if (lines->end > lines->first) {
        int64_t before = model_lines_record(lines, lines->end - 1)->when_ms;
        record.when_ms = record.when_ms > before ? record.when_ms : before;
    }
    uint64_t pos = lines->end++;
    *model_lines_record(lines, pos) = record;
    return pos;
}
