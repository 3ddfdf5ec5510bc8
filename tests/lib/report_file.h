/* Report archives (docs/events.md) for tests, good and bad ones. */
#ifndef TESTS_LIB_REPORT_FILE_H
#define TESTS_LIB_REPORT_FILE_H

#include <stddef.h>

struct report_file_member {
    const char *name;
    const char *data;
    unsigned type; /* of libarchive; 0: a file */
};

/* Writes an archive with these members and a right list of them in report.json, which begins with
 * `head`: "\"format\":1". 0, or -1. */
int report_file_write(const char *path, const char *head, const struct report_file_member *members,
                      size_t n);

#endif
