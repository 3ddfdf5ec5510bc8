#include "run/spawner_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/sched_hint.h"

static void spawner_setup_on_signal(int signal)
{
    (void)signal; /* it ends a wait */
}

/* Signals that are to be ignored get a handler: unlike SIG_IGN it doesn't pass on to the commands.
 */
static void spawner_setup_signals(void)
{
    static const int handled[] = {SIGCHLD, SIGHUP,  SIGINT,  SIGTERM,
                                  SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2};
    struct sigaction act = {.sa_handler = spawner_setup_on_signal};
    static const char reset[64]; /* the kernel's own struct, with SIG_DFL */
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int i = 1; i < NSIG; i++) {
        if (i != SIGKILL && i != SIGSTOP)
            (void)syscall(SYS_rt_sigaction, i, reset, NULL, NSIG / 8);
    }
    for (size_t i = 0; i < MEM_COUNT(handled); i++)
        (void)sigaction(handled[i], &act, NULL);
}

/* Every running command holds two descriptors here, so ours are as many as are allowed; commands
 * get the limit that we were started with. */
static uint64_t spawner_setup_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return 0;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : before;
}

static int spawner_setup_descriptors(int fd, int *null_fd)
{
    if (fd > STDERR_FILENO + 1)
        (void)close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    *null_fd = null;
    return 0;
}

int spawner_setup(int fd, int *null_fd, uint64_t *files_max)
{
    static const struct rlimit none = {0, 0};

    spawner_setup_signals();
    int err = spawner_setup_descriptors(fd, null_fd);
    if (err < 0)
        return err;
    (void)setsid(); /* fails when it leads a session already */
    (void)setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGUSR1) < 0)
        return -errno;
    *files_max = spawner_setup_files();
    sched_hint_short_slice();
    return 0;
}
