/* Writes manual pages in mdoc(7). Text goes in as plain UTF-8 and comes out escaped, each sentence
 * on a line of its own as mandoc -T lint wants it; macros are written a line at a time:
 *
 *     mdoc_macro(b, "It");
 *     mdoc_word(b, "Fl");
 *     mdoc_arg(b, "f");
 *     mdoc_end(b);                    ->  .It Fl f
 *
 * What does not fit the buffer is left out, as buf_append does. */
#ifndef BASE_MDOC_H
#define BASE_MDOC_H

#include "base/buf.h"

enum { MDOC_BYTES_MAX = 4 * 1024 * 1024 };

/* The page's head up to its NAME section: "clustersh-job", 1, "run jobs". */
void mdoc_head(struct buf *b, const char *name, unsigned section, const char *summary);
void mdoc_section(struct buf *b, const char *title);    /* .Sh, in capitals by custom */
void mdoc_subsection(struct buf *b, const char *title); /* .Ss */

/* A macro's line: its name, words that are macros or punctuation of mdoc, arguments that are text.
 */
void mdoc_macro(struct buf *b, const char *name);
void mdoc_word(struct buf *b, const char *word);
void mdoc_arg(struct buf *b, const char *text);
void mdoc_end(struct buf *b);
/* A whole line as it stands, such as ".El". */
void mdoc_line(struct buf *b, const char *line);

/* Paragraphs, apart by empty lines; lines that begin with a space stay as they are. Without
 * a paragraph's macro in front of the first. */
void mdoc_text(struct buf *b, const char *text);
/* The same, with a full stop behind where the text has none, and a capital in front. */
void mdoc_sentence(struct buf *b, const char *text);
/* Indented lines as a user types them. */
void mdoc_literal(struct buf *b, const char *text);

/* "see also": names of pages with their sections, "clusterd(8) clustersh(1)", apart by spaces. */
void mdoc_see_also(struct buf *b, const char *pages);

#endif
