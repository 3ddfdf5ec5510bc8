/* Between events_read.c and events_read_part.c; nobody else includes it. */
#ifndef ROLE_EVENTS_READ_INTERNAL_H
#define ROLE_EVENTS_READ_INTERNAL_H

#include "role/events_internal.h"

enum {
    EVENTS_OUT_BYTES = 32 << 10,
    EVENTS_UNTIL_MS = 10000, /* so much later than `until` there are none before it */
};

struct events_reader {
    struct events *events;
    struct events_query query;
    struct events_out out;
    struct loop_hook hook;
    uint64_t after;   /* events: the position up to which it has read */
    uint64_t past;    /* up to here lies the past, where times are looked at */
    bool counts;      /* a gap behind `after` is a loss */
    int64_t since_ms; /* partial: where its own events begin */
    int64_t after_ms; /* vitals: the time up to which it has read */
    bool off_disk;    /* the disk has no more that memory has not */
    struct event_store_read *read;
    struct vitals_tick **ticks; /* that wait to become one of `step_ms` */
    size_t ticks_n, ticks_cap;
    uint64_t ticks_ms;
    uint64_t left;      /* lines */
    bool partial;       /* nobody collects */
    uint64_t own_mark;  /* seq of this node's own that the last collector had */
    uint64_t own_after; /* seq of its own up to which it has read */
    bool own_off_disk;
    bool own_over;                /* behind `until` */
    struct events_others *others; /* what other nodes have; NULL: not asked yet */
    bool full;
    bool over;
    bool greeted;                     /* told where it stands, so that it can go on after a break */
    struct events_report_job *report; /* is being made */
    int fd;                           /* of the report; -1: none */
    struct buf lines;
    TAILQ_ENTRY(events_reader) link;
};

/* A line that is wanted, of whatever node: into `out`. */
void events_reader_put(struct events_reader *reader, const char *json, size_t len,
                       uint64_t position);

/* ---- events_read_part.c: while nobody collects ---- */

void events_reader_begin_partial(struct events_reader *reader);
/* False: the disk or another node is asked first, or others want a turn. */
bool events_reader_pump_part(struct events_reader *reader);

#endif
