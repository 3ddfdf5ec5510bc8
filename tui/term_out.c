/* ncurses has a descriptor of its own for the terminal. While a frame is drawn that descriptor is a
 * file in memory; then the file's bytes are written, and it is the terminal again. Without such a
 * file ncurses writes to the terminal as it likes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "tui/term_internal.h"

enum { TERM_OUT_BYTES = 16 * 1024 };

bool term_out_open(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    term_one.out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (term_one.out == NULL && fd >= 0)
        (void)close(fd);
    term_one.kept_fd = memfd_create("clustertop", MFD_CLOEXEC);
    return term_one.out != NULL;
}

void term_out_close(void)
{
    if (term_one.kept_fd >= 0)
        (void)close(term_one.kept_fd);
    if (term_one.out != NULL)
        (void)fclose(term_one.out);
    term_one.kept_fd = -1;
    term_one.out = NULL;
}

void term_out_begin(void)
{
    (void)fflush(term_one.out);
    if (term_one.kept_fd >= 0)
        (void)dup3(term_one.kept_fd, fileno(term_one.out), O_CLOEXEC);
}

/* A terminal that has gone shows itself when keys are read. */
static void term_out_write(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

void term_out_end(void)
{
    char bytes[TERM_OUT_BYTES];
    ssize_t n;
    if (term_one.kept_fd < 0)
        return;
    (void)dup3(STDOUT_FILENO, fileno(term_one.out), O_CLOEXEC);
    off_t end = lseek(term_one.kept_fd, 0, SEEK_CUR); /* behind it may lie an earlier frame's */
    for (off_t at = 0; at < end; at += n) {
        size_t room = (size_t)(end - at) < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
        n = pread(term_one.kept_fd, bytes, room, at);
        if (n <= 0)
            break;
        term_out_write(bytes, (size_t)n);
    }
    (void)lseek(term_one.kept_fd, 0, SEEK_SET);
}
