/* Where DuckDB's library is. The daemon looks, only executors load it. */
#ifndef RUN_EXECUTOR_LIBRARY_H
#define RUN_EXECUTOR_LIBRARY_H

#include "base/error.h"

/* Looks at `path`, or, for NULL or "", where configure found it, in ../lib of this program or
 * beside it, and in the system's directories. malloc'ed path; NULL with ERR_UNSUPPORTED and what to
 * do in `e`. */
char *executor_library_find(const char *path, struct error *e);

#endif
