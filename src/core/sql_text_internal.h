/* Statements by their first word, which has been taken: each takes the rest into the statement. */
#ifndef CORE_SQL_TEXT_INTERNAL_H
#define CORE_SQL_TEXT_INTERNAL_H

#include "core/sql_cursor.h"

/* sql_text_alter.c */
void sql_text_alter(struct sql_cursor *c, struct sql_statement *s);

/* sql_text_create.c. A column: name TYPE [NOT NULL]; `cap` is that of s->columns. */
void sql_text_column(struct sql_cursor *c, struct sql_statement *s, size_t *cap);
void sql_text_create(struct sql_cursor *c, struct sql_statement *s);

/* sql_text_change.c */
void sql_text_insert(struct sql_cursor *c, struct sql_statement *s);
void sql_text_copy(struct sql_cursor *c, struct sql_statement *s);
void sql_text_delete(struct sql_cursor *c, struct sql_statement *s);
void sql_text_truncate(struct sql_cursor *c, struct sql_statement *s);
void sql_text_update(struct sql_cursor *c, struct sql_statement *s);
void sql_text_optimize(struct sql_cursor *c, struct sql_statement *s);
void sql_text_vacuum(struct sql_cursor *c, struct sql_statement *s);

#endif
