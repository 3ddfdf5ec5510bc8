#include "client/curl_library.h"

#include <dlfcn.h>
#include <stddef.h>

#include "base/mem.h"

/* One library under two names, by who does its TLS; that of the headers comes first. */
static const char *const curl_library_files[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

static struct curl_library curl_library;
static void *curl_library_handle;

static int curl_library_resolve(struct error *e)
{
#define CURL_LIBRARY_RESOLVE(name)                                                                 \
    *(void **)&curl_library.name = dlsym(curl_library_handle, "curl_" #name);                      \
    if (curl_library.name == NULL)                                                                 \
        return error_set(e, ERR_UNSUPPORTED, "this libcurl has no curl_" #name);
    CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_RESOLVE)
#undef CURL_LIBRARY_RESOLVE
    return 0;
}

int curl_library_load(const struct curl_library **library, struct error *e)
{
    for (size_t i = 0; i < MEM_COUNT(curl_library_files) && curl_library_handle == NULL; i++)
        curl_library_handle = dlopen(curl_library_files[i], RTLD_NOW | RTLD_LOCAL);
    if (curl_library_handle == NULL)
        return error_set(e, ERR_UNSUPPORTED,
                         "TCP needs libcurl: %s; install libcurl3-gnutls, or use the Unix socket "
                         "of a node",
                         dlerror());
    int rc = curl_library_resolve(e);
    if (rc == 0)
        *library = &curl_library;
    return rc;
}
