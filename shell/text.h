/* Text in columns of a terminal: how wide it is, cut and padded to a width. */
#ifndef SHELL_TEXT_H
#define SHELL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"

/* Takes the character set of the locale (setlocale was called): UTF-8, or ASCII for any other.
 * Until then ASCII. */
void text_set_locale(void);
/* For tests: as if the locale's character set were UTF-8 or not. */
void text_set_utf8(bool is_utf8);
bool text_is_utf8(void);

/* Malloc'ed form of `s` that a terminal shows and never obeys (str_printable); in ASCII every other
 * character is '?'. With `keep_lines` newlines and tabs stay. */
char *text_clean(const char *s, size_t len, bool keep_lines);

/* The same of a field of an object; "" when it is no text. */
char *text_of_field(const json_t *object, const char *key, bool keep_lines);

/* Malloc'ed: the strings of an array, apart by `separator`. Not cleaned. */
char *text_join(const json_t *strings, const char *separator);

/* Text that comes in parts, which may end inside a character. Zeroed to begin with. */
struct text_stream {
    char left[4]; /* the beginning of a character, or a carriage return */
    size_t n;
};

/* Malloc'ed clean form of the next part, lines and tabs kept, the carriage return of CRLF left out;
 * what waits for the next part is cut off. `is_last`: nothing waits. */
char *text_stream_clean(struct text_stream *stream, const char *bytes, size_t len, bool is_last);

/* Malloc'ed: JSON text with \\uXXXX for what a terminal would obey, and in ASCII for every other
 * character. */
char *text_clean_json(const char *json);

/* Columns that clean text takes. Wide characters count two, combining ones none. */
size_t text_width(const char *s);

/* Appends `s`, cut to `width` columns with an ellipsis where it is longer, and padded to `width`:
 * behind, or in front when `right`. `pad` false leaves out padding behind. */
void text_append_fit(struct buf *b, const char *s, size_t width, bool right, bool pad);

/* Ends malloc'ed clean text after at most `width` columns with an ellipsis. */
char *text_cut(const char *s, size_t width);

/* Breaks `s` at spaces into lines of at most `width` columns, each behind `indent` spaces. Lines
 * that begin with a space stay as they are. */
void text_append_wrapped(struct buf *b, const char *s, size_t indent, size_t width);

#endif
