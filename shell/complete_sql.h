/* What may stand at the cursor in a statement of SQL: names of tables behind FROM and the like,
 * columns of the tables that the statement names, key words. */
#ifndef SHELL_COMPLETE_SQL_H
#define SHELL_COMPLETE_SQL_H

#include "shell/complete.h"

/* `text` is one statement of `len` bytes with the cursor at `point`. Sets `from` and `prefix`, from
 * the statement's beginning, and adds what fits. */
void complete_sql(struct complete *complete, const char *text, size_t point, size_t len,
                  complete_names_fn names, void *arg);

/* Words that a statement may begin with. */
void complete_sql_first_words(struct complete *complete);

#endif
