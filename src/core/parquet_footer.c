/* Happy path: the schema gives the leaves, each row group one chunk for each of them. Writing goes
 * through the structures field by field: what is not changed is copied as it is.
 *
 * How it fails: the reader of Thrift goes bad, or what was read is checked and refused. Numbers are
 * believed only as far as they lie in the file. */
#include "core/parquet_footer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/parquet_thrift.h"

#define PARQUET_MAGIC           "PAR1"
#define PARQUET_MAGIC_ENCRYPTED "PARE"

/* Fields by their structures. */
enum {
    PARQUET_FILE_SCHEMA = 2,
    PARQUET_FILE_ROWS = 3,
    PARQUET_FILE_GROUPS = 4,
    PARQUET_FILE_METADATA = 5, /* names and values for whom they concern */
    PARQUET_GROUP_COLUMNS = 1,
    PARQUET_GROUP_ROWS = 3,
    PARQUET_CHUNK_META = 3,
    PARQUET_CHUNK_OFFSET_INDEX = 4, /* up to COLUMN_INDEX_LENGTH */
    PARQUET_CHUNK_COLUMN_INDEX_LENGTH = 7,
    PARQUET_META_COMPRESSED = 7,
    PARQUET_META_DATA_OFFSET = 9,
    PARQUET_META_INDEX_OFFSET = 10,
    PARQUET_META_DICTIONARY_OFFSET = 11,
    PARQUET_META_STATISTICS = 12,
    PARQUET_META_BLOOM_OFFSET = 14,
    PARQUET_META_BLOOM_LENGTH = 15,
    PARQUET_STATS_OLD_MAX = 1,
    PARQUET_STATS_OLD_MIN = 2,
    PARQUET_STATS_NULLS = 3,
    PARQUET_STATS_MAX = 5,
    PARQUET_STATS_MIN = 6,
};

static int parquet_corrupt(struct error *e, const char *what)
{
    return error_set(e, ERR_CORRUPT, "its footer is damaged: %s", what);
}

int parquet_footer_length(const uint8_t end[static PARQUET_FOOTER_END], uint64_t size,
                          uint64_t *len, struct error *e)
{
    uint32_t n =
        (uint32_t)end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    if (memcmp(end + 4, PARQUET_MAGIC_ENCRYPTED, 4) == 0)
        return error_set(e, ERR_UNSUPPORTED, "it is encrypted");
    if (memcmp(end + 4, PARQUET_MAGIC, 4) != 0)
        return error_set(e, ERR_CORRUPT,
                         "it does not end as a Parquet file does: it is cut or of "
                         "another format");
    if (n + UINT64_C(12) > size)
        return parquet_corrupt(e, "it is longer than the file");
    if (n > PARQUET_FOOTER_BYTES_MAX)
        return error_set(e, ERR_TOO_LARGE, "its footer has more than %d MiB",
                         PARQUET_FOOTER_BYTES_MAX >> 20);
    *len = n;
    return 0;
}

/* ---- schema ---------------------------------------------------------------------------------- */

struct parquet_element {
    const uint8_t *name;
    size_t name_len;
    int64_t physical, children, converted, scale, repetition;
    enum parquet_meaning meaning; /* of its LogicalType; UNSAID: it has none */
};

/* TIMESTAMP: {1: isAdjustedToUTC, 2: unit {1: MILLIS, 2: MICROS, 3: NANOS}} */
static enum parquet_meaning parquet_read_timestamp(struct thrift *t)
{
    struct thrift_field field = {0}, unit = {0};
    enum parquet_meaning meaning = PARQUET_MEANS_OTHER;
    while (thrift_next(t, &field)) {
        if (field.id != 2 || field.type != THRIFT_STRUCT) {
            thrift_skip(t, field.type);
            continue;
        }
        while (thrift_next(t, &unit)) {
            meaning = unit.id == 1   ? PARQUET_MEANS_TIME_MS
                      : unit.id == 2 ? PARQUET_MEANS_TIME_US
                                     : PARQUET_MEANS_OTHER;
            thrift_skip(t, unit.type);
        }
    }
    return meaning;
}

/* INTEGER: {1: bitWidth, 2: isSigned} */
static enum parquet_meaning parquet_read_integer(struct thrift *t)
{
    struct thrift_field field = {0};
    enum parquet_meaning meaning = PARQUET_MEANS_OTHER;
    while (thrift_next(t, &field)) {
        if (field.id == 2 && field.type == THRIFT_TRUE)
            meaning = PARQUET_MEANS_PLAIN;
        thrift_skip(t, field.type);
    }
    return meaning;
}

static enum parquet_meaning parquet_read_logical(struct thrift *t)
{
    struct thrift_field field = {0};
    enum parquet_meaning meaning = PARQUET_MEANS_UNSAID;
    while (thrift_next(t, &field)) {
        bool is_struct = field.type == THRIFT_STRUCT;
        if (is_struct && field.id == 8) {
            meaning = parquet_read_timestamp(t);
            continue;
        }
        if (is_struct && field.id == 10) {
            meaning = parquet_read_integer(t);
            continue;
        }
        meaning = field.id == 1   ? PARQUET_MEANS_TEXT
                  : field.id == 5 ? PARQUET_MEANS_DECIMAL
                  : field.id == 6 ? PARQUET_MEANS_DATE
                                  : PARQUET_MEANS_OTHER;
        thrift_skip(t, field.type);
    }
    return meaning;
}

static void parquet_read_element(struct thrift *t, struct parquet_element *element)
{
    struct thrift_field field = {0};
    *element = (struct parquet_element){
        .physical = -1, .converted = -1, .repetition = -1, .meaning = PARQUET_MEANS_UNSAID};
    while (thrift_next(t, &field)) {
        int64_t *number = field.id == 1   ? &element->physical
                          : field.id == 3 ? &element->repetition
                          : field.id == 5 ? &element->children
                          : field.id == 6 ? &element->converted
                          : field.id == 7 ? &element->scale
                                          : NULL;
        if (number != NULL && field.type == THRIFT_I32)
            *number = thrift_int(t);
        else if (field.id == 4 && field.type == THRIFT_BINARY)
            element->name = thrift_binary(t, &element->name_len);
        else if (field.id == 10 && field.type == THRIFT_STRUCT)
            element->meaning = parquet_read_logical(t);
        else
            thrift_skip(t, field.type);
    }
}

/* Of the older annotation, ConvertedType. */
static enum parquet_meaning parquet_converted(int64_t converted)
{
    switch (converted) {
    case -1:
    case 15: /* INT_8 to INT_64 */
    case 16:
    case 17:
    case 18:
        return PARQUET_MEANS_PLAIN;
    case 0:
        return PARQUET_MEANS_TEXT;
    case 5:
        return PARQUET_MEANS_DECIMAL;
    case 6:
        return PARQUET_MEANS_DATE;
    case 9:
        return PARQUET_MEANS_TIME_MS;
    case 10:
        return PARQUET_MEANS_TIME_US;
    default:
        return PARQUET_MEANS_OTHER;
    }
}

static void parquet_add_leaf(struct parquet_footer *footer, size_t *cap,
                             const struct parquet_element *element, const char *column, bool nested)
{
    MEM_GROW(footer->leaves, *cap, footer->leaves_n + 1);
    struct parquet_leaf *leaf = &footer->leaves[footer->leaves_n++];
    *leaf = (struct parquet_leaf){.name = mem_strdup(column),
                                  .nested = nested || element->repetition == 2,
                                  .physical = (enum parquet_physical)element->physical,
                                  .meaning = element->meaning != PARQUET_MEANS_UNSAID
                                                 ? element->meaning
                                                 : parquet_converted(element->converted)};
    if (element->scale >= 0 && element->scale <= DELTA_DECIMAL_DIGITS_MAX)
        leaf->scale = (unsigned)element->scale;
    else
        leaf->meaning = PARQUET_MEANS_OTHER;
}

/* The elements come depth first, each with the number of its children. */
static int parquet_read_schema(struct thrift *t, struct parquet_footer *footer, struct error *e)
{
    enum thrift_type type;
    size_t n = thrift_list(t, &type), cap = 0, depth = 0;
    uint64_t left[PARQUET_DEPTH_MAX] = {0}; /* children that are still to come, by depth */
    char *column = NULL;
    int err = type == THRIFT_STRUCT && n > 0 ? 0 : parquet_corrupt(e, "it has no schema");
    for (size_t i = 0; i < n && err == 0; i++) {
        struct parquet_element element;
        parquet_read_element(t, &element);
        if (t->bad || element.children < 0 || element.children > (int64_t)n) {
            err = parquet_corrupt(e, "its schema cannot be read");
            break;
        }
        if (i == 0) {
            left[0] = (uint64_t)element.children;
            continue;
        }
        while (depth > 0 && left[depth] == 0)
            depth--;
        if (left[depth]-- == 0) {
            err = parquet_corrupt(e, "its schema has more than one root");
        } else {
            if (depth == 0) {
                free(column);
                column = element.name != NULL
                             ? mem_strndup((const char *)element.name, element.name_len)
                             : mem_strdup("");
            }
            if (element.children == 0)
                parquet_add_leaf(footer, &cap, &element, column, depth > 0);
            else if (++depth == PARQUET_DEPTH_MAX)
                err = parquet_corrupt(e, "its schema is too deep");
            else
                left[depth] = (uint64_t)element.children;
        }
    }
    free(column);
    return err;
}

/* ---- row groups ------------------------------------------------------------------------------ */

static void parquet_read_statistics(struct thrift *t, struct parquet_chunk *chunk, bool old_holds)
{
    struct thrift_field field = {0};
    while (thrift_next(t, &field)) {
        bool is_old = field.id == PARQUET_STATS_OLD_MIN || field.id == PARQUET_STATS_OLD_MAX;
        if (field.id == PARQUET_STATS_NULLS && field.type == THRIFT_I64) {
            int64_t nulls = thrift_int(t);
            chunk->nulls = nulls >= 0 ? (uint64_t)nulls : UINT64_MAX;
            continue;
        }
        bool min = field.id == PARQUET_STATS_MIN || field.id == PARQUET_STATS_OLD_MIN;
        bool max = field.id == PARQUET_STATS_MAX || field.id == PARQUET_STATS_OLD_MAX;
        if (field.type != THRIFT_BINARY || (!min && !max) || (is_old && !old_holds)) {
            thrift_skip(t, field.type);
            continue;
        }
        size_t len;
        const uint8_t *data = thrift_binary(t, &len);
        if (min) {
            chunk->min = data;
            chunk->min_len = len;
        } else {
            chunk->max = data;
            chunk->max_len = len;
        }
    }
}

static void parquet_read_meta(struct thrift *t, const struct parquet_leaf *leaf,
                              struct parquet_chunk *chunk)
{
    struct thrift_field field = {0};
    uint64_t begin = UINT64_MAX;
    int64_t len = -1;
    bool old_holds = (leaf->physical == PARQUET_INT32 || leaf->physical == PARQUET_INT64) &&
                     leaf->meaning != PARQUET_MEANS_OTHER;
    while (thrift_next(t, &field)) {
        bool is_offset = field.id == PARQUET_META_DATA_OFFSET ||
                         field.id == PARQUET_META_INDEX_OFFSET ||
                         field.id == PARQUET_META_DICTIONARY_OFFSET;
        if (is_offset && field.type == THRIFT_I64) {
            uint64_t offset = (uint64_t)thrift_int(t);
            begin = offset < begin ? offset : begin;
        } else if (field.id == PARQUET_META_COMPRESSED && field.type == THRIFT_I64) {
            len = thrift_int(t);
        } else if (field.id == PARQUET_META_STATISTICS && field.type == THRIFT_STRUCT) {
            parquet_read_statistics(t, chunk, old_holds);
        } else {
            thrift_skip(t, field.type);
        }
    }
    chunk->offset = begin;
    chunk->len = len >= 0 ? (uint64_t)len : UINT64_MAX;
}

static int parquet_read_chunks(struct thrift *t, struct parquet_footer *footer,
                               struct parquet_group *group, struct error *e)
{
    enum thrift_type type;
    size_t n = thrift_list(t, &type);
    if (t->bad || type != THRIFT_STRUCT || n != footer->leaves_n || group->chunks != NULL)
        return parquet_corrupt(e, "a row group has other columns than the schema");
    group->chunks = mem_calloc(n + 1, sizeof *group->chunks);
    for (size_t i = 0; i < n; i++) {
        struct parquet_chunk *chunk = &group->chunks[i];
        struct thrift_field field = {0};
        *chunk = (struct parquet_chunk){.offset = UINT64_MAX, .nulls = UINT64_MAX};
        while (thrift_next(t, &field)) {
            if (field.id == PARQUET_CHUNK_META && field.type == THRIFT_STRUCT)
                parquet_read_meta(t, &footer->leaves[i], chunk);
            else
                thrift_skip(t, field.type);
        }
        if (chunk->offset < strlen(PARQUET_MAGIC) || chunk->offset > footer->data_end ||
            chunk->len > footer->data_end - chunk->offset)
            return parquet_corrupt(e, "a column lies outside of the file");
        group->bytes += chunk->len;
    }
    return 0;
}

static int parquet_read_group(struct thrift *t, struct parquet_footer *footer,
                              struct parquet_group *group, struct error *e)
{
    struct thrift_field field = {0};
    int64_t rows = -1;
    int err = 0;
    group->raw = t->at;
    while (err == 0 && thrift_next(t, &field)) {
        if (field.id == PARQUET_GROUP_COLUMNS && field.type == THRIFT_LIST)
            err = parquet_read_chunks(t, footer, group, e);
        else if (field.id == PARQUET_GROUP_ROWS && field.type == THRIFT_I64)
            rows = thrift_int(t);
        else
            thrift_skip(t, field.type);
    }
    if (err == 0 && (t->bad || rows < 0 || group->chunks == NULL))
        err = parquet_corrupt(e, "a row group cannot be read");
    group->rows = (uint64_t)rows;
    group->raw_len = (size_t)(t->at - group->raw);
    return err;
}

static int parquet_read_groups(struct thrift *t, struct parquet_footer *footer, struct error *e)
{
    enum thrift_type type;
    size_t n = thrift_list(t, &type);
    if (footer->leaves == NULL || footer->groups != NULL || (n > 0 && type != THRIFT_STRUCT))
        return parquet_corrupt(e, "its row groups cannot be read");
    if (n * footer->leaves_n > PARQUET_CHUNKS_MAX)
        return error_set(e, ERR_TOO_LARGE, "it has more than %d row groups times columns",
                         PARQUET_CHUNKS_MAX);
    footer->groups = mem_calloc(n + 1, sizeof *footer->groups);
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        footer->groups_n++;
        err = parquet_read_group(t, footer, &footer->groups[i], e);
    }
    return err;
}

int parquet_footer_parse(const void *data, size_t len, uint64_t data_end,
                         struct parquet_footer **out, struct error *e)
{
    struct parquet_footer *footer = mem_zalloc(sizeof *footer);
    struct thrift_field field = {0};
    footer->data = mem_dup(data, len > 0 ? len : 1);
    footer->len = len;
    footer->data_end = data_end;
    struct thrift t = {footer->data, footer->data + len, false};
    int err = 0;
    while (err == 0 && thrift_next(&t, &field)) {
        if (field.id == PARQUET_FILE_SCHEMA && field.type == THRIFT_LIST && footer->leaves == NULL)
            err = parquet_read_schema(&t, footer, e);
        else if (field.id == PARQUET_FILE_GROUPS && field.type == THRIFT_LIST)
            err = parquet_read_groups(&t, footer, e);
        else
            thrift_skip(&t, field.type);
    }
    if (err == 0 && (t.bad || footer->groups == NULL))
        err = parquet_corrupt(e, "it cannot be read");
    if (err < 0) {
        parquet_footer_free(footer);
        return err;
    }
    *out = footer;
    return 0;
}

void parquet_footer_free(struct parquet_footer *footer)
{
    if (footer == NULL)
        return;
    for (size_t i = 0; i < footer->leaves_n; i++)
        free(footer->leaves[i].name);
    for (size_t i = 0; i < footer->groups_n; i++)
        free(footer->groups[i].chunks);
    free(footer->leaves);
    free(footer->groups);
    free(footer->data);
    free(footer);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A structure is written again field by field: `change` writes a field of its own and says so, or
 * leaves it out, or has it copied. */
enum parquet_change { PARQUET_COPIES, PARQUET_LEAVES_OUT, PARQUET_WRITES };

struct parquet_rewrite {
    struct parquet_footer const *footer;
    size_t first, end;
    uint64_t rows;
    struct buf *out;
    int err;
};

typedef enum parquet_change (*parquet_change_fn)(int16_t id);
typedef void (*parquet_write_fn)(struct parquet_rewrite *w, int16_t id, struct thrift *t);

static void parquet_rewrite_struct(struct parquet_rewrite *w, struct thrift *t,
                                   parquet_change_fn change, parquet_write_fn write)
{
    struct thrift_field field = {0};
    int16_t last = 0;
    while (w->err == 0 && thrift_next(t, &field)) {
        enum parquet_change how = change(field.id);
        struct thrift value = *t;
        thrift_skip(t, field.type);
        if (how == PARQUET_LEAVES_OUT)
            continue;
        w->err = thrift_put_field(w->out, last, field.id, field.type);
        last = field.id;
        value.end = t->at;
        if (w->err == 0 && how == PARQUET_WRITES)
            write(w, field.id, &value);
        else if (w->err == 0)
            w->err = buf_append(w->out, value.at, (size_t)(value.end - value.at));
    }
    if (w->err == 0)
        w->err = buf_append_byte(w->out, THRIFT_STOP);
}

static enum parquet_change parquet_change_meta(int16_t id)
{
    return id == PARQUET_META_BLOOM_OFFSET || id == PARQUET_META_BLOOM_LENGTH ? PARQUET_LEAVES_OUT
                                                                              : PARQUET_COPIES;
}

static void parquet_write_meta(struct parquet_rewrite *w, int16_t id, struct thrift *t)
{
    (void)id;
    parquet_rewrite_struct(w, t, parquet_change_meta, NULL);
}

static enum parquet_change parquet_change_chunk(int16_t id)
{
    if (id >= PARQUET_CHUNK_OFFSET_INDEX && id <= PARQUET_CHUNK_COLUMN_INDEX_LENGTH)
        return PARQUET_LEAVES_OUT;
    return id == PARQUET_CHUNK_META ? PARQUET_WRITES : PARQUET_COPIES;
}

static void parquet_write_chunks(struct parquet_rewrite *w, int16_t id, struct thrift *t)
{
    enum thrift_type type;
    (void)id;
    size_t n = thrift_list(t, &type);
    w->err = thrift_put_list(w->out, type, n);
    for (size_t i = 0; i < n && w->err == 0; i++)
        parquet_rewrite_struct(w, t, parquet_change_chunk, parquet_write_meta);
}

static enum parquet_change parquet_change_group(int16_t id)
{
    return id == PARQUET_GROUP_COLUMNS ? PARQUET_WRITES : PARQUET_COPIES;
}

static void parquet_write_groups(struct parquet_rewrite *w)
{
    w->err = thrift_put_list(w->out, THRIFT_STRUCT, w->end - w->first);
    for (size_t i = w->first; i < w->end && w->err == 0; i++) {
        const struct parquet_group *group = &w->footer->groups[i];
        struct thrift t = {group->raw, group->raw + group->raw_len, false};
        parquet_rewrite_struct(w, &t, parquet_change_group, parquet_write_chunks);
    }
}

static enum parquet_change parquet_change_file(int16_t id)
{
    if (id == PARQUET_FILE_METADATA)
        return PARQUET_LEAVES_OUT;
    return id == PARQUET_FILE_ROWS || id == PARQUET_FILE_GROUPS ? PARQUET_WRITES : PARQUET_COPIES;
}

static void parquet_write_file(struct parquet_rewrite *w, int16_t id, struct thrift *t)
{
    (void)t;
    if (id == PARQUET_FILE_GROUPS)
        parquet_write_groups(w);
    else
        w->err = thrift_put_int(w->out, (int64_t)w->rows);
}

int parquet_footer_write(const struct parquet_footer *footer, size_t first, size_t end,
                         struct buf *out)
{
    struct parquet_rewrite w = {.footer = footer, .first = first, .end = end, .out = out};
    struct thrift t = {footer->data, footer->data + footer->len, false};
    size_t before = out->len;
    for (size_t i = first; i < end; i++)
        w.rows += footer->groups[i].rows;
    parquet_rewrite_struct(&w, &t, parquet_change_file, parquet_write_file);
    size_t len = out->len - before;
    uint8_t tail[PARQUET_FOOTER_END] = {(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                                        (uint8_t)(len >> 24)};
    memcpy(tail + 4, PARQUET_MAGIC, 4);
    return w.err == 0 ? buf_append(out, tail, sizeof tail) : w.err;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static bool parquet_little_endian(const uint8_t *data, size_t len, size_t want, int64_t *out)
{
    uint64_t value = 0;
    if (data == NULL || len != want)
        return false;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)data[i] << (8 * i);
    *out = want == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
    return true;
}

static bool parquet_big_endian(const uint8_t *data, size_t len, __int128 *out)
{
    if (data == NULL || len == 0 || len > 16)
        return false;
    unsigned __int128 value = (data[0] & 0x80) != 0 ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | data[i];
    *out = (__int128)value;
    return true;
}

/* Whether values of the leaf are values of the type, and as what they are compared. */
static bool parquet_fits(const struct parquet_leaf *leaf, const struct delta_type *type)
{
    bool whole = leaf->physical == PARQUET_INT32 || leaf->physical == PARQUET_INT64;
    switch (type->kind) {
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG:
        return whole && leaf->meaning == PARQUET_MEANS_PLAIN;
    case DELTA_DATE:
        return leaf->physical == PARQUET_INT32 && leaf->meaning == PARQUET_MEANS_DATE;
    case DELTA_TIMESTAMP:
    case DELTA_TIMESTAMP_NTZ:
        return leaf->physical == PARQUET_INT64 &&
               (leaf->meaning == PARQUET_MEANS_TIME_MS || leaf->meaning == PARQUET_MEANS_TIME_US);
    case DELTA_DECIMAL:
        return leaf->meaning == PARQUET_MEANS_DECIMAL && leaf->scale == type->scale &&
               (whole || leaf->physical == PARQUET_FIXED);
    case DELTA_STRING:
        return leaf->physical == PARQUET_BYTES && leaf->meaning == PARQUET_MEANS_TEXT;
    default: /* a DOUBLE's bounds leave NaN out, which is above all for DuckDB */
        return false;
    }
}

static void parquet_value(const struct parquet_leaf *leaf, const uint8_t *data, size_t len,
                          struct delta_value *out)
{
    int64_t number;
    __int128 whole;
    if (leaf->physical == PARQUET_BYTES && data != NULL) {
        *out =
            (struct delta_value){.class = DELTA_CLASS_TEXT, .text = (const char *)data, .len = len};
    } else if (leaf->physical == PARQUET_FIXED) {
        if (parquet_big_endian(data, len, &whole))
            *out = (struct delta_value){.class = DELTA_CLASS_WHOLE, .whole = whole};
    } else if (parquet_little_endian(data, len, leaf->physical == PARQUET_INT32 ? 4 : 8, &number)) {
        whole = leaf->meaning == PARQUET_MEANS_TIME_MS ? (__int128)number * 1000 : number;
        *out = (struct delta_value){.class = DELTA_CLASS_WHOLE, .whole = whole};
    }
}

void parquet_footer_range(const struct parquet_footer *footer, size_t group, size_t leaf,
                          const struct delta_type *type, struct delta_range *range)
{
    const struct parquet_chunk *chunk = &footer->groups[group].chunks[leaf];
    *range = (struct delta_range){.nulls = UINT64_MAX};
    if (footer->leaves[leaf].nested)
        return;
    range->nulls = chunk->nulls;
    if (!parquet_fits(&footer->leaves[leaf], type))
        return;
    parquet_value(&footer->leaves[leaf], chunk->min, chunk->min_len, &range->min);
    parquet_value(&footer->leaves[leaf], chunk->max, chunk->max_len, &range->max);
}
