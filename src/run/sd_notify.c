#include "run/sd_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

enum { SD_NOTIFY_TEXT_MAX = 512 };

bool sd_notify_is_enabled(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    return path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0';
}

static int sd_notify_send(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (text[0] == '\0' || !sd_notify_is_enabled())
        return 0;
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* abstract */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    int err = 0;
    if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        err = -errno;
    (void)close(fd);
    return err;
}

/* A line of its own for each assignment: a status has none to give. */
static int sd_notify_with_status(const char *state, const char *status)
{
    char text[SD_NOTIFY_TEXT_MAX];
    int len = snprintf(text, sizeof text, "%s%s", state, status != NULL ? "STATUS=" : "");
    if (status != NULL) {
        (void)snprintf(text + len, sizeof text - (size_t)len, "%s", status);
        for (char *at = text + len; (at = strchr(at, '\n')) != NULL;)
            *at = ' ';
    } else {
        text[strcspn(text, "\n")] = '\0';
    }
    return sd_notify_send(text);
}

int sd_notify_ready(const char *status)
{
    return sd_notify_with_status("READY=1\n", status);
}

int sd_notify_stopping(const char *status)
{
    return sd_notify_with_status("STOPPING=1\n", status);
}

int sd_notify_watchdog(void)
{
    return sd_notify_send("WATCHDOG=1");
}

int64_t sd_notify_watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *usec = getenv("WATCHDOG_USEC");
    uint64_t number;
    if (pid != NULL &&
        (str_parse_u64(pid, 1, UINT64_MAX, &number) < 0 || number != (uint64_t)getpid()))
        return 0;
    if (usec == NULL || str_parse_u64(usec, 1, UINT64_MAX, &number) < 0)
        return 0;
    return (int64_t)(number / 1000);
}
