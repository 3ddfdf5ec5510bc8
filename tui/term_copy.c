/* Text for the clipboard. Terminals take it by OSC 52; tmux takes it from programs only if it is
 * told to, but does what its own command says, and hands it on to the terminal around it. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "tui/term_internal.h"

extern char **environ;

enum { TERM_COPY_BYTES_MAX = 128 * 1024 };

/* Begins `tmux load-buffer -w -`; nobody waits for its end. */
static bool term_copy_tmux(const char *text, size_t len)
{
    static pid_t before;
    char *const argv[] = {(char[]){"tmux"}, (char[]){"load-buffer"}, (char[]){"-w"}, (char[]){"-"},
                          NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    if (before > 0 && waitpid(before, NULL, WNOHANG) != 0)
        before = 0;
    int fd = memfd_create("clustertop", MFD_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_begun = false;
    if (write(fd, text, len) == (ssize_t)len && lseek(fd, 0, SEEK_SET) == 0 &&
        posix_spawn_file_actions_init(&actions) == 0) {
        is_begun = posix_spawn_file_actions_adddup2(&actions, fd, 0) == 0 &&
                   posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) == 0 &&
                   posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) == 0 &&
                   posix_spawnp(&pid, "tmux", &actions, NULL, argv, environ) == 0;
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    before = is_begun ? pid : before;
    (void)close(fd);
    return is_begun;
}

bool term_copy(const char *text)
{
    const char *tmux = getenv("TMUX");
    size_t len = strlen(text);
    if (tmux != NULL && tmux[0] != '\0' && term_copy_tmux(text, len))
        return true;
    if (!term_one.is_xterm)
        return false;
    struct buf b;
    buf_init(&b, TERM_COPY_BYTES_MAX);
    bool fits = buf_append_str(&b, "\033]52;c;") == 0 && base64_encode(&b, text, len) == 0 &&
                buf_append_str(&b, "\033\\") == 0;
    if (fits)
        term_out_say(buf_cstr(&b), b.len);
    buf_done(&b);
    return fits;
}
