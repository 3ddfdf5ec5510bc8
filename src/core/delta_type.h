/* DuckDB's spellings of types, for delta_schema.c. Source: DuckDB documentation, "Data Types". */
#ifndef CORE_DELTA_TYPE_H
#define CORE_DELTA_TYPE_H

#include "core/delta_schema.h"

/* Parses a whole type; `column` is for the error. On failure `type` holds nothing. */
int delta_type_parse(const char *text, const char *column, struct delta_type *type,
                     struct error *e);

#endif
