#include "tests/lib/report_file.h"

#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <xxhash.h>

#include "base/buf.h"

enum { REPORT_FILE_LIST_MAX = 64 * 1024 };

static int report_file_add(struct archive *a, const struct report_file_member *member)
{
    struct archive_entry *entry = archive_entry_new();
    unsigned type = member->type != 0 ? member->type : AE_IFREG;
    size_t len = type == AE_IFREG ? strlen(member->data) : 0;
    archive_entry_set_pathname(entry, member->name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(entry, member->data);
    archive_entry_set_size(entry, (int64_t)len);
    int rc = archive_write_header(a, entry) == ARCHIVE_OK ? 0 : -1;
    if (rc == 0 && len > 0 && archive_write_data(a, member->data, len) != (la_ssize_t)len)
        rc = -1;
    archive_entry_free(entry);
    return rc;
}

int report_file_write(const char *path, const char *head, const struct report_file_member *members,
                      size_t n)
{
    struct archive *a = archive_write_new();
    struct buf list;
    buf_init(&list, REPORT_FILE_LIST_MAX);
    (void)buf_printf(&list, "{%s,\"members\":[", head);
    (void)archive_write_add_filter_zstd(a);
    (void)archive_write_set_format_pax_restricted(a);
    int rc = archive_write_open_filename(a, path) == ARCHIVE_OK ? 0 : -1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct report_file_member *member = &members[i];
        rc = report_file_add(a, member);
        (void)buf_printf(&list, "%s{\"name\":\"%s\",\"bytes\":%zu,\"xxh\":\"%016llx\"}",
                         i > 0 ? "," : "", member->name, strlen(member->data),
                         (unsigned long long)XXH3_64bits(member->data, strlen(member->data)));
    }
    (void)buf_append_str(&list, "]}");
    if (rc == 0)
        rc = report_file_add(a, &(struct report_file_member){"report.json", buf_cstr(&list), 0});
    if (archive_write_close(a) != ARCHIVE_OK)
        rc = -1;
    (void)archive_write_free(a);
    buf_done(&list);
    return rc;
}
