/* Job specifications: JSON as in docs/api.md to wire.JobSpec and back. */
#ifndef ROLE_JOB_SPEC_H
#define ROLE_JOB_SPEC_H

#include <jansson.h>

#include "base/error.h"
#include "base/rangeset.h"
#include "wire/cluster.pb-c.h"

enum {
    JOB_SPEC_BYTES_MAX = 1 << 20, /* packed */
    JOB_SPEC_COMMANDS_MAX = 1000,
    JOB_SPEC_FILES_MAX = 1000,
    JOB_SPEC_ENV_MAX = 1000,
    JOB_SPEC_AFTER_MAX = 256,
};

/* Checks types, names, limits; unknown keys are errors. A dependency must name its job by whole
 * UUID. On success *out is the caller's, to be freed with wire__job_spec__free_unpacked(). */
int job_spec_parse(const json_t *json, const char *user, Wire__JobSpec **out, struct error *e);

/* Whether it names files that were uploaded. */
bool job_spec_has_uploads(const Wire__JobSpec *spec);

/* The elements that the specification asks for: index 0 without an array. */
int job_spec_elements(const Wire__JobSpec *spec, struct rangeset *elements, struct error *e);

/* New references, as keys of a job object. */
json_t *job_spec_strings(char **strings, size_t n);
json_t *job_spec_after(const Wire__JobSpec *spec);
json_t *job_spec_env(const Wire__JobSpec *spec);
json_t *job_spec_files(const Wire__JobSpec *spec);

#endif
