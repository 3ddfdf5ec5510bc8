/* The report of a cluster: what clustertop and clustersh open without it (docs/events.md). */
#ifndef ROLE_EVENTS_REPORT_H
#define ROLE_EVENTS_REPORT_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"

struct events_report_name {
    uint64_t id;
    char *name;
};

struct events_report_config {
    char *node; /* name */
    char *yaml;
};

/* Everything that writing it on a worker needs. */
struct events_report {
    char *path; /* of the file of events */
    char *dir;  /* where temporary files may be */
    char *cluster_id;
    char *node;
    char *version;
    int64_t since_ms;
    int64_t now_ms;
    char *frame; /* the state now; NULL: nothing is known of it */
    size_t frame_len;
    struct buf messages;
    struct buf events;    /* lines of events that nobody collected */
    uint64_t events_lost; /* that found no room there */
    json_t *partial;      /* of events_dark_json(); NULL: it is whole */
    struct events_report_name *names;
    size_t names_n, names_cap;
    struct events_report_config *configs;
    size_t configs_n, configs_cap;
};

void events_report_done(struct events_report *report);

/* Writes the archive into an unnamed file and returns its descriptor, at the start of it. Negative
 * codes with the reason. On a worker: takes seconds. */
int events_report_write(struct events_report *report, struct error *e);

#endif
