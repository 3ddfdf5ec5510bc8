/* Key words of SQL: those that a statement is read by. Others, such as day and name, may be columns
 * and are left out. */
#ifndef SHELL_SQL_WORDS_H
#define SHELL_SQL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

extern const char *const sql_words[]; /* ascending, in small letters; NULL ends them */
extern const size_t sql_words_n;

/* Whether the word of `len` bytes is one, in whatever case. */
bool sql_words_is_keyword(const char *word, size_t len);

#endif
