/* The path that COPY names: what format it has, and where in it the pattern begins. */
#ifndef CORE_SQL_PATH_H
#define CORE_SQL_PATH_H

#include <stdbool.h>

#include "core/sql_text.h"

enum sql_path_format {
    SQL_PATH_UNKNOWN,
    SQL_PATH_CSV,
    SQL_PATH_JSON,
    SQL_PATH_PARQUET,
};

/* As the option FORMAT says, else by the extension behind which there may be .gz or .zst; a path
 * without one is csv. */
enum sql_path_format sql_path_format(const char *path, const struct sql_option *options, size_t n);

/* The folder that is in front of a name or pattern, as a URL, and the rest; both malloc'ed. False:
 * the path is neither absolute nor in a bucket. */
bool sql_path_split(const char *path, char **root, char **rest);

#endif
