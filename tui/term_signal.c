/* Signals become a byte in a pipe and a flag. Those of a crash give the terminal back first. */
#include "tui/term_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static const int term_caught[] = {SIGWINCH, SIGTSTP, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int term_crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static int term_pipe[2] = {-1, -1};
static volatile sig_atomic_t term_got_resize;
static volatile sig_atomic_t term_got_suspend;
static volatile sig_atomic_t term_got_end;

static void term_on_signal(int number)
{
    int saved = errno;
    if (number == SIGWINCH)
        term_got_resize = 1;
    else if (number == SIGTSTP)
        term_got_suspend = 1;
    else
        term_got_end = number;
    ssize_t n = write(term_pipe[1], "", 1);
    (void)n;
    errno = saved;
}

static void term_on_crash(int number)
{
    ssize_t n = write(term_out_fd(), term_one.rescue, term_one.rescue_len);
    (void)n;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &term_one.saved);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void term_catch(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

void term_signal_open(void)
{
    if (term_pipe[0] < 0 && pipe2(term_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        abort();
    for (size_t i = 0; i < MEM_COUNT(term_caught); i++)
        term_catch(term_caught[i], term_on_signal);
    for (size_t i = 0; i < MEM_COUNT(term_crashes); i++)
        term_catch(term_crashes[i], term_on_crash);
    (void)signal(SIGPIPE, SIG_IGN);
}

void term_signal_close(void)
{
    for (size_t i = 0; i < MEM_COUNT(term_caught); i++)
        term_catch(term_caught[i], SIG_DFL);
    for (size_t i = 0; i < MEM_COUNT(term_crashes); i++)
        term_catch(term_crashes[i], SIG_DFL);
}

int term_signal_fd(void)
{
    return term_pipe[0];
}

struct term_signals term_take_signals(void)
{
    char bytes[64];
    while (read(term_pipe[0], bytes, sizeof bytes) > 0)
        ;
    struct term_signals signals = {term_got_resize != 0, term_got_suspend != 0, term_got_end};
    term_got_resize = 0;
    term_got_suspend = 0;
    term_got_end = 0;
    return signals;
}

void term_suspend(void)
{
    term_leave();
    (void)signal(SIGTSTP, SIG_DFL);
    (void)raise(SIGTSTP);
    term_catch(SIGTSTP, term_on_signal);
    term_return();
    term_got_resize = 1;
}
