/* libarchive, loaded by the first who needs it: with what it stands on it takes longer to load than
 * all else that a console does before its prompt.
 *
 * library->read_new() is archive_read_new(), and so on; names and contracts are archive.h's. */
#ifndef CLIENT_ARCHIVE_LIBRARY_H
#define CLIENT_ARCHIVE_LIBRARY_H

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"

#define ARCHIVE_LIBRARY_FUNCTIONS(X)                                                               \
    X(entry_filetype)                                                                              \
    X(entry_hardlink)                                                                              \
    X(entry_pathname)                                                                              \
    X(error_string)                                                                                \
    X(read_data)                                                                                   \
    X(read_free)                                                                                   \
    X(read_new)                                                                                    \
    X(read_next_header)                                                                            \
    X(read_open_fd)                                                                                \
    X(read_support_filter_gzip)                                                                    \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_format_tar)

struct archive_library {
#define ARCHIVE_LIBRARY_MEMBER(name) __typeof__(archive_##name) *name;
    ARCHIVE_LIBRARY_FUNCTIONS(ARCHIVE_LIBRARY_MEMBER)
#undef ARCHIVE_LIBRARY_MEMBER
};

/* The library, loaded for good. ERR_UNSUPPORTED when this machine has none. */
int archive_library_load(const struct archive_library **library, struct error *e);

#endif
