/* Records of the log as events. The hook runs on whichever thread logs, inside the log's lock: it
 * queues a copy, and the loop tells it. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "role/events_internal.h"

static void events_log_free(struct events_log_record *record)
{
    free(record->text);
    free(record->role);
    free(record->job);
    free(record->task);
    free(record->peer);
    free(record);
}

static void events_log_field(struct buf *out, const char *key, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    (void)buf_printf(out, ",\"%s\":", key);
    (void)json_text_append(out, value, strnlen(value, EVENT_NAME_MAX));
}

static void events_log_say(struct events *events, const struct events_log_record *record,
                           uint64_t lost)
{
    const struct event_kind_row *kind = event_kind_row(EVENT_LOG_RECORD);
    struct buf out;
    buf_init(&out, EVENT_JSON_MAX - 256);
    (void)buf_printf(&out, "\"kind\":\"%s\",\"level\":\"%s\",\"text\":", kind->name,
                     log_level_name(record->level));
    (void)json_text_append(&out, record->text, strlen(record->text));
    events_log_field(&out, "node", events->name);
    events_log_field(&out, "role", record->role);
    events_log_field(&out, "job", record->job);
    events_log_field(&out, "task", record->task);
    events_log_field(&out, "peer", record->peer);
    if (record->code < 0)
        events_log_field(&out, "code", err_name(record->code));
    if (lost > 0)
        (void)buf_printf(&out, ",\"lost\":%llu", (unsigned long long)lost);
    (void)buf_append_byte(&out, '}');
    struct event event = {
        .kind = kind->name, .level = record->level, .about = events->name, .table = ""};
    events_say(events, record->at_ms, &event, buf_cstr(&out), out.len);
    buf_done(&out);
}

static void events_log_on_post(void *arg)
{
    struct events *events = arg;
    STAILQ_HEAD(, events_log_record) list = STAILQ_HEAD_INITIALIZER(list);
    (void)pthread_mutex_lock(&events->log_mutex);
    STAILQ_CONCAT(&list, &events->log);
    uint64_t lost = events->log_lost;
    events->log_n = 0;
    events->log_lost = 0;
    events->log_posted = false;
    (void)pthread_mutex_unlock(&events->log_mutex);
    struct events_log_record *record;
    while ((record = STAILQ_FIRST(&list)) != NULL) {
        STAILQ_REMOVE_HEAD(&list, link);
        if (!events->stopping)
            events_log_say(events, record, STAILQ_EMPTY(&list) ? lost : 0);
        events_log_free(record);
    }
}

static void events_log_hook(void *arg, enum log_level level, int64_t wall_ms,
                            const struct log_about *about, const char *text)
{
    struct events *events = arg;
    if ((int)level < events->log_level)
        return;
    (void)pthread_mutex_lock(&events->log_mutex);
    if (events->log_n >= EVENTS_LOG_MAX) {
        events->log_lost++;
    } else {
        struct events_log_record *record = mem_zalloc(sizeof *record);
        *record = (struct events_log_record){.level = level,
                                             .at_ms = wall_ms,
                                             .text = mem_strndup(text, EVENT_TEXT_MAX),
                                             .role = mem_strdup(about->role),
                                             .job = mem_strdup(about->job),
                                             .task = mem_strdup(about->task),
                                             .peer = mem_strdup(about->peer),
                                             .code = about->code};
        STAILQ_INSERT_TAIL(&events->log, record, link);
        events->log_n++;
    }
    bool post = !events->log_posted;
    events->log_posted = true;
    (void)pthread_mutex_unlock(&events->log_mutex);
    if (post)
        loop_post(node_loop(events->node), &events->log_post, events_log_on_post, events);
}

void events_log_start(struct events *events)
{
    (void)pthread_mutex_init(&events->log_mutex, NULL);
    STAILQ_INIT(&events->log);
    if (events->log_level >= 0)
        log_set_hook(events_log_hook, events);
}

void events_log_stop(struct events *events)
{
    if (events->log_level >= 0)
        log_set_hook(NULL, NULL);
}
