/* The output of a job's elements, as it comes. */
#ifndef SHELL_FOLLOW_H
#define SHELL_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "shell/shell.h"

enum { FOLLOW_STREAMS_MAX = 32, FOLLOW_LINE_BYTES_MAX = 64 * 1024 };

struct follow {
    const char *job;
    const char *attempt; /* NULL: the latest */
    bool follows;        /* until the end; else what there is now */
    bool with_stdout;
    bool with_stderr;
    bool merges;   /* stderr goes to standard output too, each line labelled */
    bool labelled; /* each line begins with its element */
};

/* One element's output, byte for byte unless lines are labelled. Resumes where a broken connection
 * left off. 0, or an exit status after saying what went wrong; INTERRUPTED after Ctrl-C. */
int follow_element(struct shell *shell, const struct follow *follow, uint32_t index);

/* The output of all `elements` elements; each line is labelled. Without `follows` one after the
 * other, else as many at once as FOLLOW_STREAMS_MAX allows, until every element has ended. */
int follow_all(struct shell *shell, const struct follow *follow, uint64_t elements);

#endif
