/* Which parts of a Parquet file a task can touch: its footer against the columns and conditions of
 * the input. Runs on a thread, one file after another. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/delta_type.h"
#include "core/parquet_footer.h"
#include "role/sql_remote_internal.h"

/* ---- conditions ------------------------------------------------------------------------------ */

static const enum delta_op sql_remote_ops[] = {
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_EQ] = DELTA_OP_EQ,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_NE] = DELTA_OP_NE,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_LT] = DELTA_OP_LT,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_LE] = DELTA_OP_LE,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GT] = DELTA_OP_GT,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_GE] = DELTA_OP_GE,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IN] = DELTA_OP_IN,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IS_NULL] = DELTA_OP_IS_NULL,
    [WIRE__SQL_CONDITION_OP__SQL_CONDITION_OP_IS_NOT_NULL] = DELTA_OP_IS_NOT_NULL,
};

static bool sql_remote_knows(const Wire__SqlInput *from, const Wire__SqlCondition *condition)
{
    return condition->column < from->n_columns && !from->columns[condition->column]->partition &&
           (size_t)condition->op < MEM_COUNT(sql_remote_ops);
}

void sql_remote_input_init(struct sql_remote_input *input, const Wire__SqlInput *from)
{
    size_t n = 0;
    struct delta_conjunct *conjuncts = mem_calloc(from->n_conditions + 1, sizeof *conjuncts);
    input->input = from;
    input->types = mem_calloc(from->n_conditions + 1, sizeof *input->types);
    input->columns = mem_calloc(from->n_conditions + 1, sizeof *input->columns);
    for (size_t i = 0; i < from->n_conditions; i++) {
        const Wire__SqlCondition *condition = from->conditions[i];
        if (!sql_remote_knows(from, condition) ||
            delta_type_parse(from->columns[condition->column]->type, "",
                             &input->types[input->types_n], NULL) < 0)
            continue;
        input->columns[input->types_n] = condition->column;
        conjuncts[n++] =
            (struct delta_conjunct){input->types_n++, sql_remote_ops[condition->op],
                                    (const char *const *)condition->values, condition->n_values};
    }
    if (n > 0)
        input->prune = delta_prune_new_typed(input->types, conjuncts, n);
    free(conjuncts);
}

void sql_remote_input_done(struct sql_remote_input *input)
{
    for (size_t i = 0; i < input->types_n; i++)
        delta_type_done(&input->types[i]);
    free(input->types);
    free(input->columns);
    delta_prune_free(input->prune);
    *input = (struct sql_remote_input){0};
}

/* ---- segments -------------------------------------------------------------------------------- */

static struct sql_remote_segment *sql_remote_add_segment(struct sql_remote *remote, size_t file)
{
    MEM_GROW(remote->segments, remote->segments_cap, remote->segments_n + 1);
    struct sql_remote_segment *segment = &remote->segments[remote->segments_n++];
    *segment = (struct sql_remote_segment){.file = file};
    return segment;
}

/* Those of the file that was added last. */
static void sql_remote_drop_segments(struct sql_remote *remote, size_t file)
{
    while (remote->segments_n > 0 && remote->segments[remote->segments_n - 1].file == file) {
        struct sql_remote_segment *last = &remote->segments[--remote->segments_n];
        free(last->ranges);
        free(last->tail);
    }
}

void sql_remote_add_whole(struct sql_remote *remote, size_t file)
{
    struct sql_remote_segment *segment = sql_remote_add_segment(remote, file);
    remote->files[file].is_whole = true;
    segment->ranges = mem_calloc(1, sizeof *segment->ranges);
    segment->ranges[segment->ranges_n++] = (struct object_range){0, remote->files[file].size};
    segment->bytes = remote->files[file].size;
}

/* The leaves that belong to columns of the input. */
static bool *sql_remote_leaves(const struct sql_remote_input *input,
                               const struct parquet_footer *footer)
{
    bool *wanted = mem_calloc(footer->leaves_n + 1, sizeof *wanted);
    for (size_t l = 0; l < footer->leaves_n; l++)
        for (size_t c = 0; c < input->input->n_columns && !wanted[l]; c++)
            wanted[l] = !input->input->columns[c]->partition &&
                        strcasecmp(input->input->columns[c]->name, footer->leaves[l].name) == 0;
    return wanted;
}

static size_t sql_remote_leaf(const struct parquet_footer *footer, const char *name)
{
    size_t found = SIZE_MAX;
    for (size_t l = 0; l < footer->leaves_n; l++) {
        if (strcasecmp(footer->leaves[l].name, name) != 0)
            continue;
        if (found != SIZE_MAX)
            return SIZE_MAX;
        found = l;
    }
    return found;
}

static bool sql_remote_may_match(const struct sql_remote_input *input,
                                 const struct parquet_footer *footer, size_t group)
{
    if (input->prune == NULL)
        return true;
    struct delta_range *ranges = mem_calloc(input->types_n + 1, sizeof *ranges);
    for (size_t i = 0; i < input->types_n; i++) {
        size_t leaf = sql_remote_leaf(footer, input->input->columns[input->columns[i]]->name);
        ranges[i] = (struct delta_range){.nulls = UINT64_MAX};
        if (leaf != SIZE_MAX)
            parquet_footer_range(footer, group, leaf, &input->types[i], &ranges[i]);
    }
    bool may = delta_prune_judge_ranges(input->prune, footer->groups[group].rows, ranges) !=
               DELTA_NONE_MATCH;
    free(ranges);
    return may;
}

/* The row groups from `first` up to `end` as one local file. */
static int sql_remote_cut(struct sql_remote *remote, size_t file,
                          const struct parquet_footer *footer, const bool *wanted, size_t first,
                          size_t end, size_t number)
{
    struct buf tail;
    buf_init(&tail, PARQUET_FOOTER_BYTES_MAX + PARQUET_FOOTER_END);
    int err = parquet_footer_write(footer, first, end, &tail);
    if (err < 0) {
        buf_done(&tail);
        return err;
    }
    struct sql_remote_segment *segment = sql_remote_add_segment(remote, file);
    size_t cap = 0;
    segment->number = number;
    segment->tail_at = footer->data_end;
    segment->tail = (uint8_t *)buf_steal(&tail, &segment->tail_len);
    for (size_t g = first; g < end; g++) {
        segment->rows += footer->groups[g].rows;
        for (size_t l = 0; l < footer->leaves_n; l++) {
            const struct parquet_chunk *chunk = &footer->groups[g].chunks[l];
            if (!wanted[l] || chunk->len == 0)
                continue;
            MEM_GROW(segment->ranges, cap, segment->ranges_n + 1);
            segment->ranges[segment->ranges_n++] = (struct object_range){chunk->offset, chunk->len};
            segment->bytes += chunk->len;
        }
    }
    return 0;
}

/* Where runs of row groups begin and end depends on the file alone, so that all tasks share them.
 */
static int sql_remote_cut_all(struct sql_remote *remote, size_t file,
                              const struct parquet_footer *footer)
{
    const struct sql_remote_input *input = &remote->inputs[remote->files[file].input];
    bool *wanted = sql_remote_leaves(input, footer);
    size_t number = 0;
    int err = 0;
    for (size_t first = 0; first < footer->groups_n && err == 0; number++) {
        uint64_t bytes = 0;
        bool may_match = false;
        size_t end = first;
        for (; end < footer->groups_n && bytes < SQL_REMOTE_SEGMENT_BYTES; end++) {
            bytes += footer->groups[end].bytes;
            may_match = may_match || sql_remote_may_match(input, footer, end);
        }
        if (may_match)
            err = sql_remote_cut(remote, file, footer, wanted, first, end, number);
        first = end;
    }
    free(wanted);
    return err;
}

/* ---- footers --------------------------------------------------------------------------------- */

static int sql_remote_pread(int fd, void *out, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (uint8_t *)out + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* Reads the last `tail_bytes` of the file, which are there. */
static int sql_remote_footer_read(struct sql_remote *remote, size_t index, int fd,
                                  struct parquet_footer **out, struct error *e)
{
    struct sql_remote_file *file = &remote->files[index];
    uint8_t end[PARQUET_FOOTER_END];
    uint64_t len = 0;
    int err = sql_remote_pread(fd, end, sizeof end, file->size - sizeof end);
    if (err < 0)
        return error_set(e, err, "its footer cannot be read: %s", err_text(err));
    err = parquet_footer_length(end, file->size, &len, e);
    if (err < 0)
        return err;
    file->is_short = len + sizeof end > file->tail_bytes;
    if (file->is_short) {
        file->tail_bytes = len + sizeof end;
        return 0;
    }
    uint64_t at = file->size - sizeof end - len;
    uint8_t *data = mem_alloc(len + 1);
    err = sql_remote_pread(fd, data, len, at);
    if (err < 0)
        (void)error_set(e, err, "its footer cannot be read: %s", err_text(err));
    else
        err = parquet_footer_parse(data, len, at, out, e);
    free(data);
    return err;
}

void sql_remote_footer(struct sql_remote *remote, size_t index, const char *path)
{
    struct sql_remote_file *file = &remote->files[index];
    struct parquet_footer *footer = NULL;
    struct error e = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? error_set(&e, -errno, "cannot open %s: %s", path, err_text(-errno))
                     : sql_remote_footer_read(remote, index, fd, &footer, &e);
    if (fd >= 0)
        (void)close(fd);
    if (footer != NULL)
        err = sql_remote_cut_all(remote, index, footer);
    if (err == ERR_TOO_LARGE) {
        sql_remote_drop_segments(remote, index);
        sql_remote_add_whole(remote, index);
    }
    if (err < 0 && err != ERR_TOO_LARGE)
        (void)error_set(&file->error, err, "%s/%s: %s", file->place, file->key, e.text);
    parquet_footer_free(footer);
}
