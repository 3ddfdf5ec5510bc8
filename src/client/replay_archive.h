/* A report archive (docs/events.md, "Report") unpacked into unnamed temporary files, with marks to
 * find a moment by. Everything in it is taken for hostile: sizes, names, checksums, times. */
#ifndef CLIENT_REPLAY_ARCHIVE_H
#define CLIENT_REPLAY_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    REPLAY_FORMAT = 1,
    REPLAY_MEMBERS_MAX = 16 * 1024,
    REPLAY_HEAD_BYTES_MAX = 16 * 1024 * 1024, /* of report.json */
    REPLAY_LINE_BYTES_MAX = 64 * 1024 * 1024,
    REPLAY_TEXT_MAX = 128,   /* of the texts of report.json */
    REPLAY_MARK_LINES = 256, /* lines between two marks; a frame has one each */
    REPLAY_APART_MS = 2000,  /* events of so long before a frame may have come after it: clocks of
                              * nodes differ, and what it holds already may be told later. Patches
                              * applied once more in their order end where they ended */
};

#define REPLAY_BYTES_MAX (INT64_C(4) << 30) /* of all members, unpacked */

enum replay_part_name {
    REPLAY_FRAMES,
    REPLAY_EVENTS,
    REPLAY_VITALS,
    REPLAY_MESSAGES,
    REPLAY_PARTS,
};

struct replay_mark {
    size_t offset; /* of a line */
    int64_t at_ms; /* never falls from mark to mark */
    size_t line;
};

/* Lines of JSON; only whole ones count. */
struct replay_part {
    const char *data; /* NULL when there is nothing */
    size_t len;
    size_t lines;
    struct replay_mark *marks;
    size_t n_marks, marks_cap;
};

struct replay_archive {
    struct replay_part parts[REPLAY_PARTS];
    int64_t made_ms;
    char cluster[REPLAY_TEXT_MAX]; /* "" where report.json doesn't say */
    char node[REPLAY_TEXT_MAX];    /* that made it */
    char version[REPLAY_TEXT_MAX];
    char partial[REPLAY_TEXT_MAX]; /* the node whose part it is; "": it is whole */
    char reason[REPLAY_TEXT_MAX];  /* why */
};

/* ERR_CORRUPT (no archive, cut, checksums, malformed), ERR_VERSION, ERR_TOO_LARGE, -errno. */
int replay_archive_open(const char *path, struct replay_archive **archive, struct error *e);
void replay_archive_free(struct replay_archive *archive); /* NULL allowed */

/* The line at *offset, which moves behind it. NULL at the end. */
const char *replay_part_line(const struct replay_part *part, size_t *offset, size_t *len);
/* The last mark at or before `at_ms`; the first when there is none, NULL when there are no marks.
 */
const struct replay_mark *replay_part_find(const struct replay_part *part, int64_t at_ms);
/* The "at" of a line; 0 when it has none. */
int64_t replay_line_at(const char *line, size_t len);

#endif
