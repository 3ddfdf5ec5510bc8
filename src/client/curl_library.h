/* libcurl, loaded by the first call that needs it, which are those over TCP: with the thirty
 * libraries behind it it takes longer to load than all else that a console does before its prompt.
 *
 * library->easy_init() is curl_easy_init(), and so on; names and contracts are curl.h's. */
#ifndef CLIENT_CURL_LIBRARY_H
#define CLIENT_CURL_LIBRARY_H

#include <curl/curl.h>

#include "base/error.h"

#define CURL_LIBRARY_FUNCTIONS(X)                                                                  \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(global_cleanup)                                                                              \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_assign)                                                                                \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(multi_setopt)                                                                                \
    X(multi_socket_action)                                                                         \
    X(slist_append)                                                                                \
    X(slist_free_all)

struct curl_library {
#define CURL_LIBRARY_MEMBER(name) __typeof__(curl_##name) *name;
    CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_MEMBER)
#undef CURL_LIBRARY_MEMBER
};

/* The library, loaded for good. ERR_UNSUPPORTED when this machine has none. */
int curl_library_load(const struct curl_library **library, struct error *e);

#endif
