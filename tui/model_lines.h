/* A bounded list of lines that happened: events and log records, chat messages, the output of a
 * task. The oldest go when the bounds are reached.
 *
 * A line has a position that never changes, one more than the line before it. Lines stand in the
 * order in which they came; `when_ms`, which never falls, is that order's clock. */
#ifndef TUI_MODEL_LINES_H
#define TUI_MODEL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_LINE_TEXT_MAX = 8 * 1024,   /* bytes; longer ones are cut and end in "..." */
    MODEL_LINE_DATA_MAX = 64 * 1024,  /* patch of an event; without it when larger */
    MODEL_LINE_NAMES_MAX = 16 * 1024, /* different sources and kinds; further ones are "?" */
};

enum model_level {
    MODEL_LEVEL_DEBUG,
    MODEL_LEVEL_INFO,
    MODEL_LEVEL_WARN,
    MODEL_LEVEL_ERROR,
};

/* What is there of a line; all text is printable (str_printable), "" where there is none. */
struct model_line {
    int64_t at_ms;   /* the source's clock */
    int64_t when_ms; /* never falls from line to line */
    uint64_t number; /* of the source: SEQ of an event, seq of a message */
    enum model_level level;
    const char *source; /* node; sender of a message */
    const char *kind;   /* AREA.WHAT; channel of a message; stream of output */
    uint16_t source_id; /* small number of that name, in this list */
    uint16_t kind_id;
    const char *text;
    size_t text_len;
    const char *by;
    const char *cause;
    /* Patch: table < 0 when it has none. */
    int table;
    const char *key; /* raw */
    const char *row; /* JSON object, row_len bytes; NULL when `gone` */
    size_t row_len;
    bool gone;
    bool is_hole; /* made here: lines are missing in this place */
};

struct model_lines;

struct model_lines_limits {
    size_t lines_max; /* a power of two */
    size_t bytes_max;
};

struct model_lines *model_lines_new(const struct model_lines_limits *limits);
void model_lines_free(struct model_lines *lines);

/* Positions first <= pos < end are there. */
uint64_t model_lines_first(const struct model_lines *lines);
uint64_t model_lines_end(const struct model_lines *lines);
size_t model_lines_bytes(const struct model_lines *lines);
/* Other numbers mean another list altogether (cleared, or another moment's). */
uint64_t model_lines_generation(const struct model_lines *lines);
/* Lines that came and are not kept any more. */
uint64_t model_lines_dropped(const struct model_lines *lines);

/* `line` borrows until the next line is added. */
void model_lines_get(const struct model_lines *lines, uint64_t pos, struct model_line *line);
/* The first position whose when_ms is later than `when_ms`; end when there is none. */
uint64_t model_lines_after(const struct model_lines *lines, int64_t when_ms);

/* Copies the line; text is made printable here. when_ms is raised to that of the line before.
 * source_id and kind_id are not read. Returns its position. */
uint64_t model_lines_add(struct model_lines *lines, const struct model_line *line);
void model_lines_clear(struct model_lines *lines);

/* Names by their small numbers: < count. */
const char *model_lines_source(const struct model_lines *lines, uint16_t id);
const char *model_lines_kind(const struct model_lines *lines, uint16_t id);
size_t model_lines_n_sources(const struct model_lines *lines);
size_t model_lines_n_kinds(const struct model_lines *lines);

/* Without a text: it changes a row and has nothing to tell (kind state.row). Filters leave it out.
 */
bool model_lines_is_silent(const struct model_lines *lines, uint64_t pos);

/* What is found without touching the text. */
struct model_line_head {
    enum model_level level;
    uint16_t source_id, kind_id;
};
struct model_line_head model_lines_head(const struct model_lines *lines, uint64_t pos);
/* What filters look at: "SOURCE KIND TEXT" in one piece, NUL-terminated. */
const char *model_lines_whole(const struct model_lines *lines, uint64_t pos, size_t *len);

const char *model_level_name(enum model_level level);
enum model_level model_level_from_name(const char *name); /* INFO for unknown ones */

#endif
