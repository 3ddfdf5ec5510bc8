#include "base/failpoint.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void failpoint(const char *name)
{
    const char *dir = getenv("CLUSTERD_FAILPOINTS");
    char path[4096];
    if (dir == NULL || dir[0] == '\0')
        return;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (unlink(path) == 0)
        (void)kill(getpid(), SIGKILL);
}
