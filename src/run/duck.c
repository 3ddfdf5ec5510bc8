#include "run/duck.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "base/str.h"
#include "run/executor_library.h"

#define DUCK_VERSION "v1.4."

struct duck duck;

static int duck_resolve(void *library, struct error *e)
{
#define DUCK_RESOLVE(name)                                                                         \
    *(void **)&duck.name = dlsym(library, "duckdb_" #name);                                        \
    if (duck.name == NULL)                                                                         \
        return error_set(e, ERR_UNSUPPORTED, "this DuckDB has no duckdb_" #name);
    DUCK_FUNCTIONS(DUCK_RESOLVE)
#undef DUCK_RESOLVE
    return 0;
}

int duck_load(const char *path, struct error *e)
{
    char *found = executor_library_find(path, e);
    if (found == NULL)
        return ERR_UNSUPPORTED;
    void *library = dlopen(found, RTLD_NOW | RTLD_LOCAL);
    int err = 0;
    if (library == NULL)
        err = error_set(e, ERR_UNSUPPORTED, "cannot load DuckDB: %s", dlerror());
    else
        err = duck_resolve(library, e);
    if (err == 0 && !str_starts_with(duck.library_version(), DUCK_VERSION))
        err = error_set(e, ERR_UNSUPPORTED, "%s is DuckDB %s, needed is " DUCK_VERSION "x", found,
                        duck.library_version());
    free(found);
    return err;
}
