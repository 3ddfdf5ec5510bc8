#include "client/archive_library.h"

#include <dlfcn.h>
#include <stddef.h>

#define ARCHIVE_LIBRARY_FILE "libarchive.so.13"

static struct archive_library archive_library;
static void *archive_library_handle;

static int archive_library_resolve(struct error *e)
{
#define ARCHIVE_LIBRARY_RESOLVE(name)                                                              \
    *(void **)&archive_library.name = dlsym(archive_library_handle, "archive_" #name);             \
    if (archive_library.name == NULL)                                                              \
        return error_set(e, ERR_UNSUPPORTED, ARCHIVE_LIBRARY_FILE " has no archive_" #name);
    ARCHIVE_LIBRARY_FUNCTIONS(ARCHIVE_LIBRARY_RESOLVE)
#undef ARCHIVE_LIBRARY_RESOLVE
    return 0;
}

int archive_library_load(const struct archive_library **library, struct error *e)
{
    if (archive_library_handle == NULL)
        archive_library_handle = dlopen(ARCHIVE_LIBRARY_FILE, RTLD_NOW | RTLD_LOCAL);
    if (archive_library_handle == NULL)
        return error_set(e, ERR_UNSUPPORTED,
                         "archives can't be read without libarchive: %s; install libarchive13",
                         dlerror());
    int rc = archive_library_resolve(e);
    if (rc == 0)
        *library = &archive_library;
    return rc;
}
