/* How the nodes are, from their heartbeats: a tick each second while this node collects. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/events_internal.h"

static struct events_pulse *events_pulse_get(const struct events *events, uint64_t node)
{
    struct events_pulse *pulse = NULL;
    HASH_FIND(hh, events->pulses, &node, sizeof node, pulse);
    return pulse;
}

static uint16_t events_used(uint64_t free_bytes, uint64_t total_bytes)
{
    if (total_bytes == 0 || free_bytes > total_bytes)
        return 0;
    return vitals_clamp((total_bytes - free_bytes) * 1000 / total_bytes);
}

/* Mean and jitter as RFC 3550, 6.4.1 has them: each new value counts for a sixteenth. */
static void events_take_beat(struct events *events, struct events_pulse *pulse)
{
    int64_t now_ms = loop_now_ms(node_loop(events->node));
    int64_t usual_ms = (int64_t)node_options(events->node)->worker_heartbeat_ms;
    uint16_t *values = pulse->sample.values;
    int64_t gap_ms = now_ms - pulse->heard_ms;
    if (pulse->heard_ms == 0) {
        values[VITALS_BEAT] = vitals_clamp((uint64_t)usual_ms);
        values[VITALS_JITTER] = 0;
    } else {
        int64_t off = gap_ms > usual_ms ? gap_ms - usual_ms : usual_ms - gap_ms;
        int64_t jitter = values[VITALS_JITTER];
        values[VITALS_BEAT] = vitals_clamp((uint64_t)gap_ms);
        values[VITALS_JITTER] = vitals_clamp((uint64_t)(jitter + (off * 10 - jitter) / 16));
        if (gap_ms > 2 * usual_ms && events->collecting)
            event_emit(events->node, EVENT_NODE_LATE,
                       EVENT_ABOUT(.node = node_member_name(events->node, pulse->node)),
                       "a heartbeat of %s came after %lld ms",
                       node_member_name(events->node, pulse->node), (long long)gap_ms);
    }
    pulse->heard_ms = now_ms;
}

static struct events_pulse *events_pulse_add(struct events *events, uint64_t node)
{
    struct events_pulse *pulse = events_pulse_get(events, node);
    if (pulse == NULL) {
        pulse = mem_zalloc(sizeof *pulse);
        pulse->node = node;
        HASH_ADD(hh, events->pulses, node, sizeof pulse->node, pulse);
    }
    return pulse;
}

void events_vitals_expect(struct events *events)
{
    const Wire__Members *members = node_members(events->node);
    for (size_t i = 0; i < members->n_nodes; i++)
        if (!members->nodes[i]->removed && !members->nodes[i]->poll)
            (void)events_pulse_add(events, members->nodes[i]->id);
}

int64_t events_vitals_heard_ms(const struct events *events, uint64_t node)
{
    const struct events_pulse *pulse = events_pulse_get(events, node);
    return pulse != NULL ? pulse->heard_ms : 0;
}

void events_vitals_set_position(struct events *events, uint64_t node, uint64_t position)
{
    events_pulse_add(events, node)->position = position;
}

uint64_t events_vitals_position(const struct events *events, uint64_t node)
{
    const struct events_pulse *pulse = events_pulse_get(events, node);
    return pulse != NULL ? pulse->position : 0;
}

void events_heard(struct node *node, uint64_t from, const Wire__Vitals *vitals)
{
    struct events *events = events_of(node);
    if (events != NULL && events->collecting && vitals != NULL)
        events_vitals_take(events, from, vitals);
}

void events_vitals_take(struct events *events, uint64_t from, const Wire__Vitals *vitals)
{
    struct events_pulse *pulse = events_pulse_add(events, from);
    uint16_t *values = pulse->sample.values;
    values[VITALS_CPU] = vitals_clamp(vitals->cpu_permille);
    values[VITALS_LOAD] = vitals_clamp(vitals->load_milli / 10);
    values[VITALS_MEMORY] = events_used(vitals->memory_available_bytes, vitals->memory_total_bytes);
    values[VITALS_DISK] = events_used(vitals->disk_free_bytes, vitals->disk_total_bytes);
    values[VITALS_TASKS] = vitals_clamp(vitals->tasks_running);
    values[VITALS_RTT] = vitals_clamp(vitals->rtt_us / 10);
    events_take_beat(events, pulse);
    pulse->fresh = true;
}

static void events_vitals_store(struct events *events, const struct vitals_tick *tick)
{
    size_t len;
    if (events->store == NULL)
        return;
    char *data = vitals_tick_pack(tick, &len);
    events_mirrors_give(events, tick->step_ms, tick->at_ms, 0, data, len);
    event_store_add_tick(events->store, tick->step_ms, tick->at_ms, data, len);
}

/* The mean of the latest `n` ticks. */
static struct vitals_tick *events_vitals_mean(const struct vitals_ticks *ticks, size_t n,
                                              uint32_t step_ms)
{
    const struct vitals_tick *latest[10];
    const struct vitals_tick *tick = TAILQ_LAST(&ticks->list, vitals_tick_list);
    for (size_t i = n; i > 0; i--) {
        latest[i - 1] = tick;
        tick = TAILQ_PREV(tick, vitals_tick_list, link);
    }
    return vitals_tick_mean(latest, n, step_ms);
}

/* Ten seconds are over; maybe a minute. */
static void events_vitals_fold(struct events *events)
{
    struct vitals_tick *ten =
        events_vitals_mean(&events->ticks, events->ticks.n < 10 ? events->ticks.n : 10, 10000);
    events_vitals_store(events, ten);
    vitals_ticks_push(&events->tens, ten);
    if (events->seconds % 60 != 0)
        return;
    struct vitals_tick *minute =
        events_vitals_mean(&events->tens, events->tens.n < 6 ? events->tens.n : 6, 60000);
    events_vitals_store(events, minute);
    free(minute);
}

static int events_pulse_compare(struct events_pulse *a, struct events_pulse *b)
{
    return a->node < b->node ? -1 : a->node > b->node;
}

void events_vitals_tick(struct events *events)
{
    HASH_SRT(hh, events->pulses, events_pulse_compare);
    struct vitals_tick *tick =
        vitals_tick_new(loop_wall_ms(node_loop(events->node)), 1000, HASH_COUNT(events->pulses));
    struct events_pulse *pulse;
    struct events_pulse *next;
    uint32_t n = 0;
    HASH_ITER (hh, events->pulses, pulse, next) {
        const Wire__Node *member = node_member(events->node, pulse->node);
        if (member == NULL || member->removed) {
            HASH_DEL(events->pulses, pulse);
            free(pulse);
            continue;
        }
        struct vitals_node *row = &tick->nodes[n++];
        row->node = (uint32_t)pulse->node;
        row->sample = pulse->sample;
        if (!pulse->fresh)
            memset(row->sample.values, 0xff, sizeof row->sample.values);
        pulse->fresh = false;
    }
    tick->n = n;
    vitals_ticks_push(&events->ticks, tick);
    events_vitals_store(events, tick);
    if (++events->seconds % 10 == 0)
        events_vitals_fold(events);
}

void events_vitals_clear(struct events *events)
{
    struct events_pulse *pulse;
    struct events_pulse *next;
    HASH_ITER (hh, events->pulses, pulse, next) {
        HASH_DEL(events->pulses, pulse);
        free(pulse);
    }
    vitals_ticks_done(&events->ticks);
    vitals_ticks_done(&events->tens);
    events->seconds = 0;
}

/* A value with as many digits as it has. */
static void events_vitals_value(struct buf *out, enum vitals_column column, uint16_t raw)
{
    unsigned scale = vitals_columns[column].scale;
    if (raw == VITALS_NONE)
        (void)buf_append_str(out, "null");
    else if (scale == 1)
        (void)buf_printf(out, "%u", raw);
    else
        (void)buf_printf(out, "%u.%0*u", raw / scale, scale == 10 ? 1 : 2, raw % scale);
}

void events_vitals_print(struct events *events, const char *name, struct buf *out)
{
    static const enum vitals_column columns[] = {VITALS_CPU, VITALS_LOAD, VITALS_TASKS, VITALS_RTT};
    const Wire__Node *member = node_member_named(events->node, name);
    const struct events_pulse *pulse = member != NULL ? events_pulse_get(events, member->id) : NULL;
    for (unsigned i = 0; pulse != NULL && i < MEM_COUNT(columns); i++) {
        (void)buf_printf(out, ",\"%s\":", vitals_columns[columns[i]].name);
        events_vitals_value(out, columns[i], pulse->sample.values[columns[i]]);
    }
}

static bool vitals_is_silent(const struct vitals_sample *sample)
{
    for (unsigned i = 0; i < VITALS_COLUMNS; i++)
        if (sample->values[i] != VITALS_NONE)
            return false;
    return true;
}

int events_vitals_line(events_name_fn name_of, const void *arg, const struct vitals_tick *tick,
                       const struct nodeset *only, struct buf *out)
{
    char at[CLOCK_RFC3339_MAX];
    (void)buf_printf(out, "{\"at\":\"%s\",\"step_ms\":%u,\"columns\":[",
                     clock_format_rfc3339(tick->at_ms, at), tick->step_ms);
    for (unsigned i = 0; i < VITALS_COLUMNS; i++)
        (void)buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", vitals_columns[i].name);
    (void)buf_append_str(out, "],\"nodes\":{");
    bool first = true;
    for (uint32_t i = 0; i < tick->n; i++) {
        const char *name = name_of(arg, tick->nodes[i].node);
        const struct vitals_sample *sample = &tick->nodes[i].sample;
        if (only != NULL && !nodeset_contains(only, name))
            continue;
        (void)buf_printf(out, "%s\"%s\":", first ? "" : ",", name);
        first = false;
        if (vitals_is_silent(sample)) {
            (void)buf_append_str(out, "null");
            continue;
        }
        for (unsigned c = 0; c < VITALS_COLUMNS; c++) {
            (void)buf_append_byte(out, c == 0 ? '[' : ',');
            events_vitals_value(out, (enum vitals_column)c, sample->values[c]);
        }
        (void)buf_append_byte(out, ']');
    }
    return buf_append_str(out, "}}\n");
}
