#include "shell/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/uuid.h"
#include "shell/request.h"

enum { UPLOAD_TELL_BYTES = 4 * 1024 * 1024 };

static int upload_send(struct shell *shell, int fd, uint64_t bytes, const char *name,
                       struct upload *upload)
{
    struct client_path path;
    struct request_answer answer;
    struct uuid id;
    char key[UUID_TEXT_MAX];
    char size[STR_SHORT_MAX];
    int status = SHELL_STATUS_OK;
    uuid_generate(&id);
    (void)client_path(&path, "files", NULL);
    (void)client_path_param(&path, "name", name);
    if (bytes >= UPLOAD_TELL_BYTES)
        output_status(&shell->output, "uploading %s, %s", name, str_format_bytes(bytes, size));
    request_run(shell,
                &CLIENT_REQUEST(.method = "POST", .path = path.text, .from_fd = true, .fd = fd,
                                .fd_bytes = bytes, .content_type = "application/octet-stream",
                                .idempotency_key = uuid_format(&id, key)),
                &answer);
    if (answer.code != 0)
        status = request_report(shell, &answer);
    else
        upload->answer = json_incref(answer.json);
    request_answer_done(&answer);
    return status;
}

int upload_file(struct shell *shell, const char *path, const char *name, struct upload *upload)
{
    struct stat st;
    *upload = (struct upload){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return SHELL_STATUS_USAGE;
    }
    int status = shell_connect(shell);
    if (!S_ISREG(st.st_mode)) {
        shell_error(shell, "%s: only regular files can be sent; pack a folder with tar", path);
        status = SHELL_STATUS_USAGE;
    }
    const char *slash = strrchr(path, '/');
    if (name == NULL)
        name = slash != NULL ? slash + 1 : path;
    if (status == SHELL_STATUS_OK)
        status = upload_send(shell, fd, (uint64_t)st.st_size, name, upload);
    upload->is_executable = (st.st_mode & 0111) != 0;
    (void)close(fd);
    return status;
}

void upload_done(struct upload *upload)
{
    json_decref(upload->answer);
    upload->answer = NULL;
}
