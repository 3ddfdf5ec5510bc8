/* Writing a report. Each member is written to an unnamed file first: its size and checksum stand
 * before it. The checksums are XXH3 of 64 bits, in hex. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/vitals_tick.h"
#include "role/events_internal.h"
#include "role/events_report.h"

enum {
    REPORT_FORMAT = 1,
    REPORT_MEMBERS_MAX = 4096,
    REPORT_BUFFER_BYTES = 256 << 10,
    REPORT_LINE_MAX = 80 << 20,
};

struct report_member {
    char *name;
    FILE *file;
    uint64_t bytes;
    XXH3_state_t *sum;
};

struct report_writer {
    struct events_report *report;
    struct report_member members[REPORT_MEMBERS_MAX];
    size_t n;
    uint64_t position; /* of the first frame */
    int err;
    struct error *e;
    struct buf line;
};

/* ---- members --------------------------------------------------------------------------------- */

/* An unnamed file. */
static int report_open(const char *dir, struct error *e)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* a file system without them */
        char *path = mem_printf("%s/report.XXXXXX", dir);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            (void)unlink(path);
        free(path);
    }
    return fd >= 0 ? fd
                   : error_set(e, -errno, "no temporary file in %s: %s", dir, err_text(-errno));
}

static struct report_member *report_member(struct report_writer *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->members[i].name, name) == 0)
            return &w->members[i];
    if (w->n == REPORT_MEMBERS_MAX)
        return NULL;
    int fd = report_open(w->report->dir, w->e);
    if (fd < 0) {
        w->err = fd;
        return NULL;
    }
    struct report_member *member = &w->members[w->n++];
    member->name = mem_strdup(name);
    member->file = fdopen(fd, "w+");
    member->sum = XXH3_createState();
    if (member->file == NULL || member->sum == NULL)
        abort();
    (void)XXH3_64bits_reset(member->sum);
    return member;
}

static void report_add(struct report_writer *w, struct report_member *member, const void *data,
                       size_t len)
{
    if (member == NULL || w->err < 0 || len == 0)
        return;
    if (fwrite(data, 1, len, member->file) != len)
        w->err = error_set(w->e, -errno, "the report cannot be written in %s: %s", w->report->dir,
                           err_text(-errno));
    (void)XXH3_64bits_update(member->sum, data, len);
    member->bytes += len;
}

/* ---- what goes into them --------------------------------------------------------------------- */

static void report_on_frame(void *arg, int64_t at_ms, uint64_t position, const char *data,
                            size_t len)
{
    struct report_writer *w = arg;
    (void)at_ms;
    if (w->position == 0)
        w->position = position;
    report_add(w, report_member(w, "frames.jsonl"), data, len);
}

/* Records of a node's log also stand by themselves. */
static void report_on_events(void *arg, const Wire__EventBatch *batch)
{
    struct report_writer *w = arg;
    struct report_member *events = report_member(w, "events.jsonl");
    for (size_t i = 0; i < batch->n_events; i++) {
        const Wire__Event *row = batch->events[i];
        if ((int64_t)row->at_ms < w->report->since_ms && row->position <= w->position)
            continue; /* before the first frame, and before what was asked for */
        report_add(w, events, row->json.data, row->json.len);
        report_add(w, events, "\n", 1);
        if (strcmp(row->kind, "log.record") != 0 || !str_is_name(row->about, EVENT_NAME_MAX))
            continue;
        char *name = mem_printf("logs/%s.jsonl", row->about);
        struct report_member *log = report_member(w, name);
        report_add(w, log, row->json.data, row->json.len);
        report_add(w, log, "\n", 1);
        free(name);
    }
}

struct report_line {
    const char *text;
    size_t len;
    int64_t at_ms;
};

static int report_compare_lines(const void *a, const void *b)
{
    const struct report_line *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->text < y->text ? -1 : x->text > y->text;
}

static int64_t report_line_at(const char *line, size_t len)
{
    json_t *json = json_loadb(line, len, 0, NULL);
    const char *at = json_string_value(json_object_get(json, "at"));
    int64_t at_ms = 0;
    if (at == NULL || clock_parse_rfc3339(at, &at_ms) < 0)
        at_ms = 0;
    json_decref(json);
    return at_ms;
}

/* Each node's came by itself: in order of time, behind what was collected. */
static void report_add_uncollected(struct report_writer *w)
{
    const char *at = (const char *)w->report->events.data;
    const char *end = at + w->report->events.len, *line_end;
    struct report_member *events = report_member(w, "events.jsonl");
    struct report_line *lines = NULL;
    size_t n = 0, cap = 0;
    while (at < end && (line_end = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        size_t len = (size_t)(line_end + 1 - at);
        MEM_GROW(lines, cap, n + 1);
        lines[n++] = (struct report_line){at, len, report_line_at(at, len - 1)};
        at = line_end + 1;
    }
    if (n > 0)
        qsort(lines, n, sizeof *lines, report_compare_lines);
    for (size_t i = 0; i < n; i++)
        report_add(w, events, lines[i].text, lines[i].len);
    free(lines);
}

static const char *report_name(const void *arg, uint64_t node)
{
    const struct events_report *report = arg;
    for (size_t i = 0; i < report->names_n; i++)
        if (report->names[i].id == node)
            return report->names[i].name;
    return "?";
}

static void report_on_tick(void *arg, uint32_t step_ms, int64_t at_ms, const char *data, size_t len)
{
    struct report_writer *w = arg;
    struct vitals_tick *tick = vitals_tick_unpack(data, len);
    (void)step_ms;
    (void)at_ms;
    if (tick == NULL)
        return;
    buf_clear(&w->line);
    if (events_vitals_line(report_name, w->report, tick, NULL, &w->line) == 0)
        report_add(w, report_member(w, "vitals.jsonl"), w->line.data, w->line.len);
    free(tick);
}

static void report_gather(struct report_writer *w)
{
    struct events_report *report = w->report;
    static const char *const always[] = {"frames.jsonl", "events.jsonl", "vitals.jsonl",
                                         "messages.jsonl"};
    for (unsigned i = 0; i < MEM_COUNT(always); i++)
        (void)report_member(w, always[i]);
    struct event_store_walk walk = {.since_ms = report->since_ms,
                                    .frame = report_on_frame,
                                    .events = report_on_events,
                                    .tick = report_on_tick,
                                    .arg = w};
    int err = event_store_walk(report->path, &walk);
    if (err < 0 && w->err == 0)
        w->err = error_set(w->e, err, "%s cannot be read: %s", report->path, err_text(err));
    report_add(w, report_member(w, "frames.jsonl"), report->frame, report->frame_len);
    report_add_uncollected(w);
    report_add(w, report_member(w, "messages.jsonl"), report->messages.data, report->messages.len);
    for (size_t i = 0; i < report->configs_n; i++) {
        char *name = mem_printf("config/%s.yaml", report->configs[i].node);
        report_add(w, report_member(w, name), report->configs[i].yaml,
                   strlen(report->configs[i].yaml));
        free(name);
    }
}

/* ---- the archive ----------------------------------------------------------------------------- */

static char *report_head(const struct report_writer *w, size_t *len)
{
    char at[CLOCK_RFC3339_MAX], since[CLOCK_RFC3339_MAX], sum[17];
    json_t *members = json_array();
    for (size_t i = 0; i < w->n; i++) {
        (void)snprintf(sum, sizeof sum, "%016" PRIx64,
                       (uint64_t)XXH3_64bits_digest(w->members[i].sum));
        json_array_append_new(members,
                              json_pack("{s:s, s:I, s:s}", "name", w->members[i].name, "bytes",
                                        (json_int_t)w->members[i].bytes, "xxh", sum));
    }
    json_t *head = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o}", "format", REPORT_FORMAT, "at",
                             clock_format_rfc3339(w->report->now_ms, at), "since",
                             clock_format_rfc3339(w->report->since_ms, since), "cluster",
                             w->report->cluster_id, "node", w->report->node, "version",
                             w->report->version, "members", members);
    if (w->report->partial != NULL)
        (void)json_object_update(head, w->report->partial);
    if (w->report->events_lost > 0)
        (void)json_object_set_new(head, "events_lost",
                                  json_integer((json_int_t)w->report->events_lost));
    char *text = json_dumps(head, JSON_INDENT(1));
    json_decref(head);
    *len = strlen(text);
    return text;
}

static int report_entry(struct archive *archive, const char *name, uint64_t bytes, int64_t at_ms)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (int64_t)bytes);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_mtime(entry, at_ms / 1000, 0);
    int rc = archive_write_header(archive, entry);
    archive_entry_free(entry);
    return rc == ARCHIVE_OK ? 0 : -EIO;
}

static int report_copy(struct archive *archive, struct report_member *member)
{
    char *block = mem_alloc(REPORT_BUFFER_BYTES);
    size_t n;
    int err = fflush(member->file) == 0 ? 0 : -errno;
    rewind(member->file);
    while (err == 0 && (n = fread(block, 1, REPORT_BUFFER_BYTES, member->file)) > 0)
        err = archive_write_data(archive, block, n) == (la_ssize_t)n ? 0 : -EIO;
    free(block);
    return err;
}

static int report_pack(struct report_writer *w)
{
    size_t len;
    int fd = report_open(w->report->dir, w->e);
    if (fd < 0)
        return fd;
    struct archive *archive = archive_write_new();
    char *head = report_head(w, &len);
    int err = archive_write_set_format_pax_restricted(archive) == ARCHIVE_OK &&
                      archive_write_add_filter_zstd(archive) == ARCHIVE_OK &&
                      archive_write_open_fd(archive, fd) == ARCHIVE_OK
                  ? 0
                  : -EIO;
    if (err == 0)
        err = report_entry(archive, "report.json", len, w->report->now_ms);
    if (err == 0)
        err = archive_write_data(archive, head, len) == (la_ssize_t)len ? 0 : -EIO;
    for (size_t i = 0; err == 0 && i < w->n; i++) {
        err = report_entry(archive, w->members[i].name, w->members[i].bytes, w->report->now_ms);
        if (err == 0)
            err = report_copy(archive, &w->members[i]);
    }
    if (archive_write_close(archive) != ARCHIVE_OK && err == 0)
        err = -EIO;
    if (err < 0)
        (void)error_set(w->e, err, "the report cannot be packed: %s",
                        archive_error_string(archive) != NULL ? archive_error_string(archive)
                                                              : err_text(err));
    (void)archive_write_free(archive);
    free(head);
    if (err == 0 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    (void)close(fd);
    return err < 0 ? err : -EIO;
}

int events_report_write(struct events_report *report, struct error *e)
{
    struct report_writer *w = mem_zalloc(sizeof *w);
    w->report = report;
    w->e = e;
    buf_init(&w->line, REPORT_LINE_MAX);
    report_gather(w);
    int result = w->err < 0 ? w->err : report_pack(w);
    for (size_t i = 0; i < w->n; i++) {
        free(w->members[i].name);
        (void)fclose(w->members[i].file);
        (void)XXH3_freeState(w->members[i].sum);
    }
    buf_done(&w->line);
    free(w);
    return result;
}

void events_report_done(struct events_report *report)
{
    for (size_t i = 0; i < report->names_n; i++)
        free(report->names[i].name);
    for (size_t i = 0; i < report->configs_n; i++) {
        free(report->configs[i].node);
        free(report->configs[i].yaml);
    }
    free(report->names);
    free(report->configs);
    free(report->frame);
    buf_done(&report->messages);
    buf_done(&report->events);
    json_decref(report->partial);
    free(report->path);
    free(report->dir);
    free(report->cluster_id);
    free(report->node);
    free(report->version);
}
