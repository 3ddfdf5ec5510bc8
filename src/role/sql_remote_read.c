/* Parquet files by parts. Happy path: the ends of a batch of files come into the cache; a thread
 * reads their footers and decides what is wanted; when all batches are through, all that is wanted
 * is fetched at once, and the inputs name the local files.
 *
 * A footer that is longer than expected is asked for once more. Footers are let go of before
 * anything else is held, so that no two tasks wait for each other's room. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/sql_remote_internal.h"
#include "wire/lake_path.h"

static void sql_remote_batch(struct sql_remote *remote);

/* ---- the task for the executor --------------------------------------------------------------- */

static int sql_remote_by_file(const void *a, const void *b)
{
    const struct sql_remote_segment *left = a, *right = b;
    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    return (left->number > right->number) - (left->number < right->number);
}

/* The input reads the segments of its files, in their order. */
static void sql_remote_localize(struct sql_remote *remote, size_t index)
{
    Wire__SqlInput *input = remote->task->fragment->inputs[index];
    size_t n = 0;
    Wire__SqlFile **files = mem_calloc(remote->segments_n + 1, sizeof *files);
    for (size_t i = 0; i < remote->segments_n; i++) {
        const struct sql_remote_segment *segment = &remote->segments[i];
        const struct sql_remote_file *from = &remote->files[segment->file];
        if (from->input != index)
            continue;
        const Wire__SqlFile *old = input->files[from->index];
        files[n] = sql_remote_new_file(old, object_fetch_name(remote->parts, i));
        files[n]->bytes = segment->bytes;
        files[n++]->rows = from->is_whole ? old->rows : segment->rows;
    }
    sql_remote_replace_files(input, object_cache_dir(remote->options.cache), files, n);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void sql_remote_on_parts(void *arg, int code, const char *text)
{
    struct sql_remote *remote = arg;
    if (code == 0)
        for (size_t i = 0; i < remote->inputs_n; i++)
            if (remote->inputs[i].is_parts)
                sql_remote_localize(remote, i);
    sql_remote_end(remote, code, text, sql_remote_is_elsewhere(code));
}

static void sql_remote_fetch_parts(struct sql_remote *remote)
{
    struct object_want *wants = mem_calloc(remote->segments_n + 1, sizeof *wants);
    char(*parts)[32] = mem_calloc(remote->segments_n + 1, sizeof *parts);
    if (remote->segments_n > 0)
        qsort(remote->segments, remote->segments_n, sizeof *remote->segments, sql_remote_by_file);
    for (size_t i = 0; i < remote->segments_n; i++) {
        const struct sql_remote_segment *segment = &remote->segments[i];
        const struct sql_remote_file *file = &remote->files[segment->file];
        (void)snprintf(parts[i], sizeof *parts, file->is_whole ? "whole" : "%zu", segment->number);
        wants[i] = (struct object_want){.place = file->place,
                                        .key = file->key,
                                        .size = file->size,
                                        .etag = file->etag,
                                        .part = parts[i],
                                        .ranges = segment->ranges,
                                        .ranges_n = segment->ranges_n,
                                        .tail = segment->tail,
                                        .tail_len = segment->tail_len,
                                        .tail_at = segment->tail_at,
                                        .trace = remote->options.trace};
    }
    remote->parts = object_cache_fetch(remote->options.cache, wants, remote->segments_n,
                                       sql_remote_on_parts, remote);
    for (size_t i = 0; i < remote->segments_n; i++) {
        free(remote->segments[i].tail);
        remote->segments[i].tail = NULL;
    }
    free(parts);
    free(wants);
}

/* ---- footers --------------------------------------------------------------------------------- */

static void sql_remote_parse(void *arg)
{
    struct sql_remote *remote = arg;
    for (size_t i = 0; i < remote->batch_n; i++) {
        char *path = mem_printf("%s/%s", object_cache_dir(remote->options.cache),
                                object_fetch_name(remote->footers, i));
        sql_remote_footer(remote, remote->batch[i], path);
        free(path);
    }
}

static void sql_remote_on_parsed(void *arg, int code)
{
    struct sql_remote *remote = arg;
    const struct error *wrong = NULL;
    size_t again = 0;
    remote->works--;
    if (!sql_remote_check(remote))
        return;
    for (size_t i = 0; i < remote->batch_n; i++) {
        struct sql_remote_file *file = &remote->files[remote->batch[i]];
        free(file->etag);
        file->etag = mem_strdup(object_fetch_etag(remote->footers, i));
        if (file->error.code < 0 && wrong == NULL)
            wrong = &file->error;
        if (file->is_short)
            remote->batch[again++] = remote->batch[i];
    }
    object_fetch_release(remote->footers);
    remote->footers = NULL;
    remote->batch_n = again;
    if (code < 0)
        sql_remote_end(remote, code, "this node is stopping", true);
    else if (wrong != NULL)
        sql_remote_end(remote, wrong->code, wrong->text, sql_remote_is_elsewhere(wrong->code));
    else
        sql_remote_batch(remote);
}

static void sql_remote_on_footers(void *arg, int code, const char *text)
{
    struct sql_remote *remote = arg;
    if (code < 0) {
        sql_remote_end(remote, code, text, sql_remote_is_elsewhere(code));
        return;
    }
    remote->works++;
    (void)loop_work(remote->options.loop, sql_remote_parse, sql_remote_on_parsed, remote);
}

/* The next files whose footers are to be read, besides those that are asked for again. */
static void sql_remote_batch(struct sql_remote *remote)
{
    struct object_want wants[SQL_REMOTE_BATCH];
    struct object_range ranges[SQL_REMOTE_BATCH];
    for (; remote->files_at < remote->files_n && remote->batch_n < SQL_REMOTE_BATCH;
         remote->files_at++)
        if (!remote->files[remote->files_at].is_whole)
            remote->batch[remote->batch_n++] = remote->files_at;
    if (remote->batch_n == 0) {
        sql_remote_fetch_parts(remote);
        return;
    }
    for (size_t i = 0; i < remote->batch_n; i++) {
        const struct sql_remote_file *file = &remote->files[remote->batch[i]];
        ranges[i] = (struct object_range){file->size - file->tail_bytes, file->tail_bytes};
        wants[i] = (struct object_want){.place = file->place,
                                        .key = file->key,
                                        .size = file->size,
                                        .part = "footer",
                                        .ranges = &ranges[i],
                                        .ranges_n = 1,
                                        .trace = remote->options.trace};
    }
    remote->footers = object_cache_fetch(remote->options.cache, wants, remote->batch_n,
                                         sql_remote_on_footers, remote);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static uint64_t sql_remote_tail_bytes(uint64_t size)
{
    uint64_t bytes = size / SQL_REMOTE_TAIL_PART;
    if (bytes < SQL_REMOTE_TAIL_BYTES_MIN)
        bytes = SQL_REMOTE_TAIL_BYTES_MIN;
    return bytes < SQL_REMOTE_TAIL_BYTES_MAX ? bytes : SQL_REMOTE_TAIL_BYTES_MAX;
}

/* Outputs of other tasks are needed whole. */
static bool sql_remote_is_whole(const Wire__SqlFile *file)
{
    return file->bytes <= SQL_REMOTE_WHOLE_BYTES || lake_key_is_shuffle(file->path);
}

static void sql_remote_add_files(struct sql_remote *remote, size_t index)
{
    const Wire__SqlInput *input = remote->task->fragment->inputs[index];
    for (size_t f = 0; f < input->n_files; f++) {
        const Wire__SqlFile *from = input->files[f];
        MEM_GROW(remote->files, remote->files_cap, remote->files_n + 1);
        struct sql_remote_file *file = &remote->files[remote->files_n++];
        *file = (struct sql_remote_file){.input = index,
                                         .index = f,
                                         .size = from->bytes,
                                         .tail_bytes = sql_remote_tail_bytes(from->bytes)};
        sql_remote_locate(input->root, from->path, &file->place, &file->key);
        if (sql_remote_is_whole(from))
            sql_remote_add_whole(remote, remote->files_n - 1);
    }
}

void sql_remote_read(struct sql_remote *remote)
{
    bool any = false;
    for (size_t i = 0; i < remote->inputs_n; i++) {
        if (!remote->inputs[i].is_parts)
            continue;
        any = true;
        sql_remote_add_files(remote, i);
    }
    if (!any)
        sql_remote_end(remote, 0, "", false);
    else if (remote->files_n > SQL_REMOTE_FILES_MAX)
        sql_remote_end(remote, ERR_TOO_LARGE,
                       "a part of the statement reads more than 200,000 files: OPTIMIZE the table",
                       false);
    else
        sql_remote_batch(remote);
}

void sql_remote_read_done(struct sql_remote *remote)
{
    for (size_t i = 0; i < remote->files_n; i++) {
        free(remote->files[i].place);
        free(remote->files[i].key);
        free(remote->files[i].etag);
    }
    for (size_t i = 0; i < remote->segments_n; i++) {
        free(remote->segments[i].ranges);
        free(remote->segments[i].tail);
    }
    free(remote->files);
    free(remote->segments);
}
