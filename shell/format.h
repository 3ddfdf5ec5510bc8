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

/* How much of a table is drawn. */
enum format_border {
    FORMAT_BORDER_INNER, /* a line under the header, lines between the columns */
    FORMAT_BORDER_NONE,  /* a line under the header */
    FORMAT_BORDER_FULL,  /* a frame around it */
};

#define FORMAT_CHOICES "table|vertical|csv|tsv|json|jsonl|markdown"
extern const char format_choices[]; /* the same */

int format_parse(const char *name, enum format *format); /* ERR_INVALID */
const char *format_name(enum format format);
bool format_is_json(enum format format);

#endif
