/* How each node fared: vitals each second, each ten seconds, each minute, as they age. */
#ifndef TUI_MODEL_VITALS_H
#define TUI_MODEL_VITALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_scan.h"

#define MODEL_VITAL_LIST(X)                                                                        \
    X(MODEL_VITAL_CPU, "cpu_percent")                                                              \
    X(MODEL_VITAL_LOAD, "load")                                                                    \
    X(MODEL_VITAL_MEMORY, "memory_percent")                                                        \
    X(MODEL_VITAL_DISK, "disk_percent")                                                            \
    X(MODEL_VITAL_TASKS, "tasks_running")                                                          \
    X(MODEL_VITAL_RTT, "rtt_ms")                                                                   \
    X(MODEL_VITAL_BEAT, "beat_ms")                                                                 \
    X(MODEL_VITAL_JITTER, "beat_jitter_ms")

enum model_vital {
#define MODEL_VITAL_ENUM(symbol, name) symbol,
    MODEL_VITAL_LIST(MODEL_VITAL_ENUM)
#undef MODEL_VITAL_ENUM
        MODEL_VITALS
};

enum {
    MODEL_VITALS_NODES_MAX = 4096, /* further nodes have none */
    MODEL_VITALS_FEW_NODES = 64,   /* so many have long series */
    MODEL_VITALS_GAP_MS = 2000,    /* a step that is later than so much has no value */
};

struct model_vitals;

struct model_vitals *model_vitals_new(void);
void model_vitals_free(struct model_vitals *vitals);
void model_vitals_clear(struct model_vitals *vitals);

/* A line of /api/vitals. False when it is malformed. */
bool model_vitals_read(struct model_vitals *vitals, const char *text, size_t len);

/* Fills out[0..n) with the values of the steps that end at `end_ms` (out[n-1] the last one), NAN
 * where the node was silent or nothing is kept. Steps of MODEL_VITAL_BEAT, JITTER and RTT that are
 * longer than what was measured show the largest, the others the mean. */
void model_vitals_get(const struct model_vitals *vitals, const char *node, enum model_vital vital,
                      int64_t end_ms, int64_t step_ms, size_t n, float *out);
/* The value at `at_ms` or up to MODEL_VITALS_GAP_MS before it, exact when it is the newest. */
float model_vitals_value(const struct model_vitals *vitals, const char *node,
                         enum model_vital vital, int64_t at_ms);

int64_t model_vitals_newest_ms(const struct model_vitals *vitals); /* 0: nothing yet */
uint64_t model_vitals_generation(const struct model_vitals *vitals);
size_t model_vitals_bytes(const struct model_vitals *vitals);

#endif
