/* ncurses has a descriptor of its own for the terminal. While something is drawn that descriptor is
 * a file in memory; then the file's bytes join those that wait, and it is the terminal again.
 *
 * What waits goes out through a description of the terminal that nobody else has, and that never
 * blocks. Where there is none (the terminal is another user's) writes block. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/term_internal.h"

enum {
    TERM_OUT_BYTES_MAX = 16 * 1024 * 1024,
    TERM_OUT_READER_MS = 5, /* who reads makes room in much less */
    TERM_OUT_LAST_MS = 250,
};

bool term_out_open(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    term_one.out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (term_one.out == NULL && fd >= 0)
        (void)close(fd);
    term_one.kept_fd = memfd_create("clustertop", MFD_CLOEXEC);
    term_one.own_fd = open("/proc/self/fd/1", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    buf_init(&term_one.unsent, TERM_OUT_BYTES_MAX);
    term_one.sent = 0;
    return term_one.out != NULL && term_one.kept_fd >= 0;
}

void term_out_close(void)
{
    if (term_one.own_fd >= 0)
        (void)close(term_one.own_fd);
    if (term_one.kept_fd >= 0)
        (void)close(term_one.kept_fd);
    if (term_one.out != NULL)
        (void)fclose(term_one.out);
    buf_done(&term_one.unsent);
    term_one.own_fd = -1;
    term_one.kept_fd = -1;
    term_one.out = NULL;
}

int term_out_fd(void)
{
    return term_one.own_fd >= 0 ? term_one.own_fd : STDOUT_FILENO;
}

bool term_is_sending(void)
{
    return term_one.sent < term_one.unsent.len;
}

/* A terminal that has gone shows itself when keys are read. */
void term_send(void)
{
    while (term_is_sending()) {
        ssize_t n = write(term_out_fd(), term_one.unsent.data + term_one.sent,
                          term_one.unsent.len - term_one.sent);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR)
            break;
        term_one.sent += n > 0 ? (size_t)n : 0;
    }
    term_one.sent = 0;
    buf_clear(&term_one.unsent);
}

/* Sends until all is out, at most so long; whether it is. */
static bool term_out_wait(int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct pollfd fd = {.fd = term_out_fd(), .events = POLLOUT};
    term_send();
    while (term_is_sending() && clock_mono_ms() < until_ms) {
        (void)poll(&fd, 1, (int)ms);
        term_send();
    }
    return !term_is_sending();
}

void term_out_begin(void)
{
    (void)fflush(term_one.out);
    (void)dup3(term_one.kept_fd, fileno(term_one.out), O_CLOEXEC);
}

void term_out_say(const char *bytes, size_t len)
{
    (void)buf_append(&term_one.unsent, bytes, len);
    term_send();
}

void term_out_end(void)
{
    (void)fflush(term_one.out);
    (void)dup3(STDOUT_FILENO, fileno(term_one.out), O_CLOEXEC);
    off_t end = lseek(term_one.kept_fd, 0, SEEK_CUR); /* behind it may lie an earlier frame's */
    ssize_t n = 0;
    if (end > 0 && buf_reserve(&term_one.unsent, (size_t)end) == 0)
        n = pread(term_one.kept_fd, term_one.unsent.data + term_one.unsent.len, (size_t)end, 0);
    term_one.unsent.len += n > 0 ? (size_t)n : 0;
    (void)lseek(term_one.kept_fd, 0, SEEK_SET);
    (void)term_out_wait(TERM_OUT_READER_MS);
}

bool term_out_last(void)
{
    if (term_out_wait(TERM_OUT_LAST_MS))
        return true;
    /* nobody reads: what the terminal has not shown yet makes room for what matters */
    (void)tcflush(term_out_fd(), TCOFLUSH);
    buf_clear(&term_one.unsent);
    term_one.sent = 0;
    term_out_say(term_one.rescue, term_one.rescue_len);
    return false;
}
