#include "run/executor_library.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define EXECUTOR_LIBRARY_FILE "libduckdb.so"

#ifndef DUCKDB_LIBRARY
#define DUCKDB_LIBRARY "/usr/lib/" EXECUTOR_LIBRARY_FILE
#endif

/* The directory of this program with `below` behind it; NULL when it is not known. */
static char *executor_library_beside(const char *below)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return NULL;
    *slash = '\0';
    return mem_printf("%s/%s", self, below);
}

/* Takes `path`. */
static char *executor_library_if_readable(char *path)
{
    if (path != NULL && access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *executor_library_find(const char *path, struct error *e)
{
    static const char *const system[] = {"/usr/local/lib/" EXECUTOR_LIBRARY_FILE,
                                         "/usr/lib/" EXECUTOR_LIBRARY_FILE};
    if (path != NULL && *path != '\0') {
        char *found = executor_library_if_readable(mem_strdup(path));
        if (found == NULL)
            (void)error_set(e, ERR_UNSUPPORTED, "SQL needs DuckDB, and %s cannot be read", path);
        return found;
    }
    char *found = executor_library_if_readable(mem_strdup(DUCKDB_LIBRARY));
    if (found == NULL)
        found =
            executor_library_if_readable(executor_library_beside("../lib/" EXECUTOR_LIBRARY_FILE));
    if (found == NULL)
        found = executor_library_if_readable(executor_library_beside(EXECUTOR_LIBRARY_FILE));
    for (size_t i = 0; found == NULL && i < MEM_COUNT(system); i++)
        found = executor_library_if_readable(mem_strdup(system[i]));
    if (found == NULL)
        (void)error_set(e, ERR_UNSUPPORTED,
                        "SQL needs DuckDB: put " EXECUTOR_LIBRARY_FILE
                        " (1.4) beside clusterd or in ../lib");
    return found;
}
