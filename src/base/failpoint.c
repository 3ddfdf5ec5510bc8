#include "base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FAILPOINT_PATH_MAX = 4096, FAILPOINT_LOOK_MS = 5, FAILPOINT_PAUSE_MS = 30000 };

static bool failpoint_path(const char *name, const char *suffix, char out[FAILPOINT_PATH_MAX])
{
    const char *dir = getenv("CLUSTERD_FAILPOINTS");
    if (dir == NULL || dir[0] == '\0')
        return false;
    (void)snprintf(out, FAILPOINT_PATH_MAX, "%s/%s%s", dir, name, suffix);
    return true;
}

void failpoint(const char *name)
{
    char path[FAILPOINT_PATH_MAX];
    if (failpoint_path(name, "", path) && unlink(path) == 0)
        (void)kill(getpid(), SIGKILL);
}

void failpoint_pause(const char *name)
{
    static const struct timespec pause = {.tv_nsec = FAILPOINT_LOOK_MS * 1000000L};
    char path[FAILPOINT_PATH_MAX], held[FAILPOINT_PATH_MAX];
    if (!failpoint_path(name, "", path) || !failpoint_path(name, ".held", held))
        return;
    for (int left_ms = FAILPOINT_PAUSE_MS; left_ms > 0 && access(path, F_OK) == 0;
         left_ms -= FAILPOINT_LOOK_MS) {
        int fd = open(held, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)close(fd);
        (void)nanosleep(&pause, NULL);
    }
}
