#include "shell/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { INTERRUPT_IGNORED_MAX = 3, INTERRUPT_STATUS = 130 };

static int interrupt_event = -1;
static volatile sig_atomic_t interrupt_count;
static volatile sig_atomic_t interrupt_resized;
static volatile sig_atomic_t interrupt_ending;
static volatile sig_atomic_t interrupt_muted;
static volatile sig_atomic_t interrupt_stopping;
static volatile sig_atomic_t interrupt_continued;

static void interrupt_handler(int number)
{
    int saved = errno;
    uint64_t one = 1;
    if (number == SIGWINCH)
        interrupt_resized = 1;
    else if (number == SIGTSTP)
        interrupt_stopping = 1;
    else if (number == SIGCONT)
        interrupt_continued = 1;
    else if (number != SIGINT || !interrupt_muted)
        interrupt_count++;
    if (number == SIGTERM || number == SIGHUP)
        interrupt_ending = 1;
    if (interrupt_count >= INTERRUPT_IGNORED_MAX)
        _exit(INTERRUPT_STATUS);
    (void)!write(interrupt_event, &one, sizeof one);
    errno = saved;
}

static void interrupt_catch(int number)
{
    struct sigaction action = {.sa_handler = interrupt_handler, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

void interrupt_init(void)
{
    interrupt_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (interrupt_event < 0)
        abort();
    interrupt_catch(SIGINT);
}

void interrupt_catch_all(void)
{
    interrupt_catch(SIGWINCH);
    interrupt_catch(SIGTERM);
    interrupt_catch(SIGHUP);
}

void interrupt_mute(bool muted)
{
    interrupt_muted = muted;
}

void interrupt_catch_stop(bool caught)
{
    static const int numbers[] = {SIGTSTP, SIGCONT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (caught)
            interrupt_catch(numbers[i]);
        else
            (void)signal(numbers[i], SIG_DFL);
    }
}

bool interrupt_take_stop(void)
{
    bool was = interrupt_stopping != 0;
    interrupt_stopping = 0;
    return was;
}

bool interrupt_take_continue(void)
{
    bool was = interrupt_continued != 0;
    interrupt_continued = 0;
    return was;
}

void interrupt_stop(void)
{
    (void)signal(SIGTSTP, SIG_DFL);
    (void)raise(SIGTSTP);
    interrupt_catch_stop(true);
    interrupt_stopping = 0;
    interrupt_continued = 0;
}

int interrupt_fd(void)
{
    return interrupt_event;
}

void interrupt_quiet(void)
{
    uint64_t n;
    if (interrupt_event < 0 || interrupt_count > 0)
        return;
    (void)!read(interrupt_event, &n, sizeof n);
    if (interrupt_count > 0)
        (void)!write(interrupt_event, &(uint64_t){1}, sizeof n);
}

bool interrupt_pending(void)
{
    return interrupt_count > 0;
}

bool interrupt_take(void)
{
    bool was = interrupt_count > 0;
    interrupt_count = 0;
    interrupt_quiet();
    return was;
}

bool interrupt_take_resize(void)
{
    bool was = interrupt_resized != 0;
    interrupt_resized = 0;
    return was;
}

bool interrupt_wants_end(void)
{
    return interrupt_ending != 0;
}
