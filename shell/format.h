/* Formats of output. Table and vertical are for people; the others are stable, for programs. */
#ifndef SHELL_FORMAT_H
#define SHELL_FORMAT_H

#include <stdbool.h>

enum format {
    FORMAT_TABLE,
    FORMAT_VERTICAL,
    FORMAT_CSV,  /* RFC 4180 */
    FORMAT_TSV,  /* tab, newline and backslash as \t \n \\ */
    FORMAT_JSON, /* one array of objects */
    FORMAT_JSONL,
    FORMAT_MARKDOWN,
};

extern const char format_choices[]; /* "table|vertical|..." */

int format_parse(const char *name, enum format *format); /* ERR_INVALID */
const char *format_name(enum format format);
bool format_is_json(enum format format);

#endif
