/* What an add action says of its file, packed into some hundred bytes:
 *
 *     for each partition column: length + 1 (0: null), the bytes, NUL
 *     length of the tags' JSON, the JSON
 *     number of leaves; for each: id, flags, number of nulls, least value, greatest value
 *
 * Lengths and whole numbers are of variable length, seven bits a byte, the sign in the lowest bit.
 * Only what was packed here is unpacked, so that unpacking has no errors. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "core/delta_internal.h"

enum {
    DELTA_HAS_NULLS = 1,
    DELTA_HAS_MIN = 2,
    DELTA_HAS_MAX = 4,
    DELTA_MIN_EXACT = 8,
    DELTA_MAX_EXACT = 16,
};

enum {
    DELTA_TEXT_EXACT_CHARS =
        32, /* strings are cut at this length by the writers of the Delta world */
    DELTA_FACTS_BYTES_MAX = 64 << 20,
};

/* ---- packed numbers ---------------------------------------------------------------------------
 */

static void delta_put(struct buf *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        (void)buf_append_byte(b, (uint8_t)(n | 0x80));
    (void)buf_append_byte(b, (uint8_t)n);
}

static uint64_t delta_get(const uint8_t **at)
{
    uint64_t n = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
        uint8_t byte = *(*at)++;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return n;
    }
}

static void delta_put_whole(struct buf *b, __int128 whole)
{
    unsigned __int128 n =
        whole < 0 ? (((unsigned __int128)-(whole + 1)) << 1) | 1 : (unsigned __int128)whole << 1;
    for (; n >= 0x80; n >>= 7)
        (void)buf_append_byte(b, (uint8_t)((n & 0x7f) | 0x80));
    (void)buf_append_byte(b, (uint8_t)n);
}

static __int128 delta_get_whole(const uint8_t **at)
{
    unsigned __int128 n = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
        uint8_t byte = *(*at)++;
        n |= (unsigned __int128)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return (n & 1) != 0 ? -(__int128)(n >> 1) - 1 : (__int128)(n >> 1);
}

static enum delta_class delta_type_class(const struct delta_type *type)
{
    switch (type->kind) {
    case DELTA_FLOAT:
    case DELTA_DOUBLE:
        return DELTA_CLASS_DOUBLE;
    case DELTA_STRING:
        return DELTA_CLASS_TEXT;
    case DELTA_BINARY:
    case DELTA_VOID:
    case DELTA_STRUCT:
    case DELTA_ARRAY:
    case DELTA_MAP:
        return DELTA_CLASS_NONE;
    default:
        return DELTA_CLASS_WHOLE;
    }
}

static void delta_put_value(struct buf *b, const struct delta_value *value)
{
    if (value->class == DELTA_CLASS_WHOLE) {
        delta_put_whole(b, value->whole);
    } else if (value->class == DELTA_CLASS_DOUBLE) {
        (void)buf_append(b, &value->number, sizeof value->number);
    } else {
        delta_put(b, value->len);
        (void)buf_append(b, value->text, value->len);
    }
}

static void delta_get_value(const uint8_t **at, enum delta_class class, struct delta_value *value)
{
    *value = (struct delta_value){.class = class};
    if (class == DELTA_CLASS_WHOLE) {
        value->whole = delta_get_whole(at);
    } else if (class == DELTA_CLASS_DOUBLE) {
        memcpy(&value->number, *at, sizeof value->number);
        *at += sizeof value->number;
    } else {
        value->len = delta_get(at);
        value->text = (const char *)*at;
        *at += value->len;
    }
}

/* ---- leaves of schemas ------------------------------------------------------------------------
 */

void delta_leaves_done(struct delta_leaves *leaves)
{
    struct delta_leaf *leaf, *next;
    HASH_ITER (hh, leaves->by_key, leaf, next) {
        HASH_DEL(leaves->by_key, leaf);
        free(leaf->key);
        free(leaf);
    }
    free(leaves->by_id);
    *leaves = (struct delta_leaves){0};
}

static uint32_t delta_leaf_id(struct delta_leaves *leaves, const char *path,
                              const struct delta_type *type)
{
    struct delta_leaf *leaf;
    char *key = mem_printf("%u,%u,%u,%s", type->kind, type->precision, type->scale, path);
    HASH_FIND_STR(leaves->by_key, key, leaf);
    if (leaf != NULL) {
        free(key);
        return leaf->id;
    }
    leaf = mem_zalloc(sizeof *leaf);
    leaf->key = key;
    leaf->type =
        (struct delta_type){.kind = type->kind, .precision = type->precision, .scale = type->scale};
    leaf->id = (uint32_t)leaves->n;
    HASH_ADD_KEYPTR(hh, leaves->by_key, leaf->key, strlen(leaf->key), leaf);
    MEM_GROW(leaves->by_id, leaves->cap, leaves->n + 1);
    leaves->by_id[leaves->n++] = leaf;
    return leaf->id;
}

static struct delta_node *delta_nodes_new(const struct delta_field *fields, size_t n,
                                          const char *prefix, struct delta_leaves *leaves)
{
    struct delta_node *nodes = mem_calloc(n + 1, sizeof *nodes);
    for (size_t i = 0; i < n; i++) {
        const struct delta_type *type = &fields[i].type;
        char *path = mem_printf("%s\x1f%s", prefix, fields[i].name);
        nodes[i].field = &fields[i];
        if (type->kind == DELTA_STRUCT) {
            nodes[i].children = delta_nodes_new(type->fields, type->fields_n, path, leaves);
            nodes[i].children_n = type->fields_n;
        } else {
            nodes[i].leaf = delta_leaf_id(leaves, path, type);
        }
        free(path);
    }
    return nodes;
}

static void delta_nodes_free(struct delta_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].children != NULL)
            delta_nodes_free(nodes[i].children, nodes[i].children_n);
    free(nodes);
}

struct delta_meta *delta_meta_new(struct delta_metadata *metadata, struct delta_leaves *leaves)
{
    struct delta_meta *meta = mem_zalloc(sizeof *meta);
    meta->refs = 1;
    meta->metadata = *metadata;
    meta->nodes = delta_nodes_new(metadata->schema.fields, metadata->schema.n, "", leaves);
    return meta;
}

struct delta_meta *delta_meta_ref(struct delta_meta *meta)
{
    meta->refs++;
    return meta;
}

void delta_meta_unref(struct delta_meta *meta)
{
    if (meta == NULL || --meta->refs > 0)
        return;
    delta_nodes_free(meta->nodes, meta->metadata.schema.n);
    delta_metadata_done(&meta->metadata);
    free(meta);
}

/* ---- packing ----------------------------------------------------------------------------------
 */

void delta_packer_init(struct delta_packer *p)
{
    *p = (struct delta_packer){0};
    json_scan_init(&p->scan, "", 0);
    json_scan_init(&p->outer, "", 0);
    json_scan_init(&p->inner, "", 0);
    buf_init(&p->texts, DELTA_FACTS_BYTES_MAX);
    buf_init(&p->packed, DELTA_FACTS_BYTES_MAX * 2U);
}

void delta_packer_done(struct delta_packer *p)
{
    json_scan_done(&p->scan);
    json_scan_done(&p->outer);
    json_scan_done(&p->inner);
    free(p->found);
    free(p->touched);
    buf_done(&p->texts);
    buf_done(&p->packed);
}

/* The value of the partition column `name` in the object partitionValues. */
static int delta_pack_partition(struct delta_packer *p, const struct delta_action *action,
                                const char *name, struct error *e)
{
    struct json_slice key, value;
    json_scan_reset(&p->scan, action->values.text, action->values.len);
    (void)json_scan_object(&p->scan);
    while (json_scan_key(&p->scan, &key)) {
        if (strlen(name) != key.len || strncasecmp(name, key.text, key.len) != 0) {
            (void)json_scan_skip(&p->scan, NULL);
            continue;
        }
        if (json_scan_null(&p->scan)) {
            delta_put(&p->packed, 0);
            return 0;
        }
        if (!json_scan_string(&p->scan, &value))
            break;
        if (memchr(value.text, '\0', value.len) != NULL)
            return error_set(e, ERR_UNSUPPORTED, "%.200s: a partition value with a NUL character",
                             action->path);
        delta_put(&p->packed, value.len > 0 ? value.len + 1 : 0);
        if (value.len > 0)
            (void)buf_append(&p->packed, value.text, value.len);
        return value.len > 0 ? buf_append_byte(&p->packed, 0) : 0;
    }
    return error_set(e, ERR_CORRUPT, "add of %.200s gives no value of the partition column %.100s",
                     action->path, name);
}

static struct delta_found *delta_found(struct delta_packer *p, uint32_t leaf)
{
    struct delta_found *found = &p->found[leaf];
    if (!found->touched) {
        *found = (struct delta_found){.nulls = UINT64_MAX, .touched = true};
        MEM_GROW(p->touched, p->touched_cap, p->touched_n + 1);
        p->touched[p->touched_n++] = leaf;
    }
    return found;
}

static size_t delta_chars(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Whether a value in statistics is the one in the file, and not cut. */
static bool delta_is_exact(const struct delta_type *type, const char *raw, size_t raw_len,
                           const struct delta_value *value)
{
    const char *point;
    size_t digits = 0;
    switch (type->kind) {
    case DELTA_STRING:
        return delta_chars(value->text, value->len) < DELTA_TEXT_EXACT_CHARS;
    case DELTA_TIMESTAMP:
    case DELTA_TIMESTAMP_NTZ:
        point = memchr(raw, '.', raw_len);
        if (point != NULL)
            while ((size_t)(point + 1 + digits - raw) < raw_len && point[1 + digits] >= '0' &&
                   point[1 + digits] <= '9')
                digits++;
        return digits > 3;
    case DELTA_FLOAT:
    case DELTA_DOUBLE:
        return value->number != 0;
    default:
        return true;
    }
}

enum delta_stat { DELTA_STAT_MIN, DELTA_STAT_MAX, DELTA_STAT_NULLS };

static void delta_read_bound(struct delta_packer *p, const struct delta_node *node, bool max)
{
    const struct delta_type *type = &node->field->type;
    struct json_slice raw;
    struct delta_value value;
    if (json_scan_peek(&p->inner) == JSON_KIND_STRING) {
        if (!json_scan_string(&p->inner, &raw))
            return;
    } else if (!json_scan_skip(&p->inner, &raw) || type->kind == DELTA_STRING) {
        return;
    }
    if (delta_type_class(type) == DELTA_CLASS_NONE)
        return;
    delta_value_parse(type, raw.text, raw.len, &value);
    if (value.class == DELTA_CLASS_NONE || value.above)
        return;
    struct delta_found *found = delta_found(p, node->leaf);
    bool exact = delta_is_exact(type, raw.text, raw.len, &value);
    size_t at = p->texts.len;
    if (value.class == DELTA_CLASS_TEXT && buf_append(&p->texts, value.text, value.len) < 0)
        return;
    if (max) {
        found->max = value;
        found->max_at = at;
        found->max_exact = exact;
    } else {
        found->min = value;
        found->min_at = at;
        found->min_exact = exact;
    }
}

static const struct delta_node *delta_node_find(const struct delta_node *nodes, size_t n,
                                                size_t *hint, const struct json_slice *name)
{
    for (size_t i = 0; i < n; i++) {
        const struct delta_node *node = &nodes[(*hint + i) % n];
        if (json_slice_is(name, node->field->name)) {
            *hint = (*hint + i + 1) % n;
            return node;
        }
    }
    return NULL;
}

static void delta_read_stat(struct delta_packer *p, const struct delta_node *nodes, size_t n,
                            enum delta_stat stat)
{
    struct json_slice key;
    size_t hint = 0;
    (void)json_scan_object(&p->inner);
    while (json_scan_key(&p->inner, &key)) {
        const struct delta_node *node = n > 0 ? delta_node_find(nodes, n, &hint, &key) : NULL;
        enum json_kind kind = json_scan_peek(&p->inner);
        int64_t nulls;
        if (node == NULL || kind == JSON_KIND_NULL) {
            (void)json_scan_skip(&p->inner, NULL);
        } else if (node->children != NULL) {
            if (kind == JSON_KIND_OBJECT)
                delta_read_stat(p, node->children, node->children_n, stat);
            else
                (void)json_scan_skip(&p->inner, NULL);
        } else if (stat == DELTA_STAT_NULLS && kind == JSON_KIND_NUMBER) {
            if (json_scan_i64(&p->inner, &nulls) && nulls >= 0)
                delta_found(p, node->leaf)->nulls = (uint64_t)nulls;
        } else if (stat != DELTA_STAT_NULLS && kind != JSON_KIND_OBJECT) {
            delta_read_bound(p, node, stat == DELTA_STAT_MAX);
        } else {
            (void)json_scan_skip(&p->inner, NULL);
        }
    }
}

/* Reads the statistics into `found`; false when they are of no use. */
static bool delta_read_stats(struct delta_packer *p, const struct delta_action *action,
                             const struct delta_meta *meta, uint64_t *rows)
{
    const struct delta_node *nodes = meta->nodes;
    size_t n = meta->metadata.schema.n;
    struct json_slice text, key;
    int64_t records = -1;
    bool tight = true;
    json_scan_reset(&p->outer, action->stats.text, action->stats.len);
    if (!json_scan_string(&p->outer, &text))
        return false;
    json_scan_reset(&p->inner, text.text, text.len);
    (void)json_scan_object(&p->inner);
    while (json_scan_key(&p->inner, &key)) {
        bool object = json_scan_peek(&p->inner) == JSON_KIND_OBJECT;
        if (json_slice_is(&key, "numRecords") && !json_scan_null(&p->inner))
            (void)json_scan_i64(&p->inner, &records);
        else if (json_slice_is(&key, "tightBounds") && !json_scan_null(&p->inner))
            (void)json_scan_bool(&p->inner, &tight);
        else if (object && json_slice_is(&key, "minValues"))
            delta_read_stat(p, nodes, n, DELTA_STAT_MIN);
        else if (object && json_slice_is(&key, "maxValues"))
            delta_read_stat(p, nodes, n, DELTA_STAT_MAX);
        else if (object && json_slice_is(&key, "nullCount"))
            delta_read_stat(p, nodes, n, DELTA_STAT_NULLS);
        else if (!json_slice_is(&key, "numRecords") && !json_slice_is(&key, "tightBounds"))
            (void)json_scan_skip(&p->inner, NULL);
    }
    if (!json_scan_end(&p->inner) || records < 0 || !tight)
        return false;
    *rows = (uint64_t)records;
    return true;
}

static void delta_pack_leaf(struct delta_packer *p, uint32_t leaf, struct delta_found *found)
{
    unsigned flags = 0;
    const char *texts = (const char *)p->texts.data;
    if (found->nulls != UINT64_MAX)
        flags |= DELTA_HAS_NULLS;
    if (found->min.class != DELTA_CLASS_NONE)
        flags |= DELTA_HAS_MIN | (found->min_exact ? DELTA_MIN_EXACT : 0U);
    if (found->max.class != DELTA_CLASS_NONE)
        flags |= DELTA_HAS_MAX | (found->max_exact ? DELTA_MAX_EXACT : 0U);
    delta_put(&p->packed, leaf);
    (void)buf_append_byte(&p->packed, (uint8_t)flags);
    if ((flags & DELTA_HAS_NULLS) != 0)
        delta_put(&p->packed, found->nulls);
    if (found->min.class == DELTA_CLASS_TEXT)
        found->min.text = found->min.len > 0 ? texts + found->min_at : "";
    if (found->max.class == DELTA_CLASS_TEXT)
        found->max.text = found->max.len > 0 ? texts + found->max_at : "";
    if ((flags & DELTA_HAS_MIN) != 0)
        delta_put_value(&p->packed, &found->min);
    if ((flags & DELTA_HAS_MAX) != 0)
        delta_put_value(&p->packed, &found->max);
}

int delta_pack(struct delta_packer *p, const struct delta_action *action,
               const struct delta_meta *meta, const struct delta_leaves *leaves, uint64_t *rows,
               struct error *e)
{
    const struct delta_metadata *metadata = &meta->metadata;
    buf_clear(&p->packed);
    for (size_t i = 0; i < metadata->partitions_n; i++) {
        const char *name = metadata->schema.fields[metadata->partitions[i]].name;
        int err = delta_pack_partition(p, action, name, e);
        if (err < 0)
            return err;
    }
    bool tags = action->tags.len > 2;
    delta_put(&p->packed, tags ? action->tags.len : 0);
    if (tags)
        (void)buf_append(&p->packed, action->tags.text, action->tags.len);
    if (p->found_n < leaves->n) {
        p->found = mem_reallocarray(p->found, leaves->n, sizeof *p->found);
        memset(p->found + p->found_n, 0, (leaves->n - p->found_n) * sizeof *p->found);
        p->found_n = leaves->n;
    }
    p->touched_n = 0;
    buf_clear(&p->texts);
    *rows = UINT64_MAX;
    bool known = action->stats.len > 0 && delta_read_stats(p, action, meta, rows);
    delta_put(&p->packed, known ? p->touched_n : 0);
    for (size_t i = 0; i < p->touched_n; i++) {
        if (known)
            delta_pack_leaf(p, p->touched[i], &p->found[p->touched[i]]);
        p->found[p->touched[i]].touched = false;
    }
    return p->packed.len < DELTA_FACTS_BYTES_MAX
               ? 0
               : error_set(e, ERR_TOO_LARGE, "add of %.200s says too much", action->path);
}

/* ---- unpacking --------------------------------------------------------------------------------
 */

static const char *delta_skip_partitions(const uint8_t **at, size_t n)
{
    const char *value = NULL;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = delta_get(at);
        value = len > 0 ? (const char *)*at : NULL;
        *at += len;
    }
    return value;
}

const char *delta_facts_partition(const uint8_t *facts, size_t i)
{
    return delta_skip_partitions(&facts, i + 1);
}

const char *delta_facts_tags(const uint8_t *facts, size_t partitions_n, size_t *len)
{
    (void)delta_skip_partitions(&facts, partitions_n);
    *len = delta_get(&facts);
    return *len > 0 ? (const char *)facts : NULL;
}

/* Moves to the leaves and returns their number. */
static uint64_t delta_facts_leaves(const uint8_t **at, size_t partitions_n)
{
    (void)delta_skip_partitions(at, partitions_n);
    uint64_t tags = delta_get(at);
    *at += tags;
    return delta_get(at);
}

static uint32_t delta_get_leaf(const uint8_t **at, const struct delta_leaves *leaves,
                               struct delta_leaf_stats *stats)
{
    uint32_t id = (uint32_t)delta_get(at);
    unsigned flags = *(*at)++;
    enum delta_class class = delta_type_class(&leaves->by_id[id]->type);
    *stats = (struct delta_leaf_stats){.nulls = UINT64_MAX,
                                       .min_exact = (flags & DELTA_MIN_EXACT) != 0,
                                       .max_exact = (flags & DELTA_MAX_EXACT) != 0};
    if ((flags & DELTA_HAS_NULLS) != 0)
        stats->nulls = delta_get(at);
    if ((flags & DELTA_HAS_MIN) != 0)
        delta_get_value(at, class, &stats->min);
    if ((flags & DELTA_HAS_MAX) != 0)
        delta_get_value(at, class, &stats->max);
    return id;
}

bool delta_facts_leaf(const uint8_t *facts, size_t partitions_n, const struct delta_leaves *leaves,
                      uint32_t leaf, struct delta_leaf_stats *stats)
{
    for (uint64_t n = delta_facts_leaves(&facts, partitions_n); n > 0; n--)
        if (delta_get_leaf(&facts, leaves, stats) == leaf)
            return true;
    return false;
}

size_t delta_facts_len(const uint8_t *facts, size_t partitions_n, const struct delta_leaves *leaves)
{
    const uint8_t *at = facts;
    struct delta_leaf_stats ignored;
    for (uint64_t n = delta_facts_leaves(&at, partitions_n); n > 0; n--)
        (void)delta_get_leaf(&at, leaves, &ignored);
    return (size_t)(at - facts);
}

/* ---- as JSON ----------------------------------------------------------------------------------
 */

static int delta_format_value(const struct delta_type *type, const struct delta_value *value,
                              bool exact, struct buf *b)
{
    int err = delta_value_format_json(type, value, b);
    /* A value that was cut to milliseconds stays recognisable as such. */
    bool cut = !exact && (type->kind == DELTA_TIMESTAMP || type->kind == DELTA_TIMESTAMP_NTZ);
    if (err == 0 && cut) {
        size_t tail = type->kind == DELTA_TIMESTAMP ? 2 : 1; /* Z" or " */
        memmove(b->data + b->len - tail - 3, b->data + b->len - tail, tail);
        b->len -= 3;
    }
    return err;
}

/* One of the three objects, with the leaves that it has; `all` is by leaf id. */
static int delta_format_stat(const struct delta_node *nodes, size_t n,
                             const struct delta_leaf_stats *all, const bool *has,
                             enum delta_stat stat, struct buf *b)
{
    bool first = true;
    int err = buf_append_byte(b, '{');
    for (size_t i = 0; err == 0 && i < n; i++) {
        const struct delta_node *node = &nodes[i];
        const struct delta_leaf_stats *stats = &all[node->leaf];
        bool leaf = node->children == NULL;
        if (leaf &&
            (!has[node->leaf] || (stat == DELTA_STAT_NULLS ? stats->nulls == UINT64_MAX
                                  : stat == DELTA_STAT_MIN ? stats->min.class == DELTA_CLASS_NONE
                                                           : stats->max.class == DELTA_CLASS_NONE)))
            continue;
        if (!first)
            err = buf_append_byte(b, ',');
        first = false;
        if (err == 0)
            err = json_text_append(b, node->field->name, strlen(node->field->name));
        if (err == 0)
            err = buf_append_byte(b, ':');
        if (err < 0)
            break;
        if (!leaf)
            err = delta_format_stat(node->children, node->children_n, all, has, stat, b);
        else if (stat == DELTA_STAT_NULLS)
            err = buf_printf(b, "%llu", (unsigned long long)stats->nulls);
        else if (stat == DELTA_STAT_MIN)
            err = delta_format_value(&node->field->type, &stats->min, stats->min_exact, b);
        else
            err = delta_format_value(&node->field->type, &stats->max, stats->max_exact, b);
    }
    return err < 0 ? err : buf_append_byte(b, '}');
}

int delta_facts_format(const uint8_t *facts, size_t partitions_n, const struct delta_leaves *leaves,
                       const struct delta_meta *meta, uint64_t rows, struct buf *b)
{
    if (rows == UINT64_MAX)
        return 0;
    struct delta_leaf_stats *all = mem_calloc(leaves->n + 1, sizeof *all);
    bool *has = mem_calloc(leaves->n + 1, sizeof *has);
    size_t n = meta->metadata.schema.n;
    for (uint64_t left = delta_facts_leaves(&facts, partitions_n); left > 0; left--) {
        struct delta_leaf_stats stats;
        uint32_t id = delta_get_leaf(&facts, leaves, &stats);
        all[id] = stats;
        has[id] = true;
    }
    int err = buf_printf(b, "{\"numRecords\":%llu,\"minValues\":", (unsigned long long)rows);
    if (err == 0)
        err = delta_format_stat(meta->nodes, n, all, has, DELTA_STAT_MIN, b);
    if (err == 0)
        err = buf_append_str(b, ",\"maxValues\":");
    if (err == 0)
        err = delta_format_stat(meta->nodes, n, all, has, DELTA_STAT_MAX, b);
    if (err == 0)
        err = buf_append_str(b, ",\"nullCount\":");
    if (err == 0)
        err = delta_format_stat(meta->nodes, n, all, has, DELTA_STAT_NULLS, b);
    free(all);
    free(has);
    return err < 0 ? err : buf_append_byte(b, '}');
}
