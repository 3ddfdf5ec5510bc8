/* A disk that hangs or fails, for one process: preloaded, it stands between clusterd and the
 * kernel.
 *
 *   LD_PRELOAD=.../slow_disk.so SLOW_DISK=FILE SLOW_DISK_UNDER=DIR [SLOW_DISK_AIO=no] clusterd ...
 *
 * What is written to files under DIR goes through, as long as FILE does not exist. While it says
 * "hang", writes and syncs take as long as it exists; while it says "fail", they end with EIO. Both
 * ways in which logs are written (run/writer_thread.h): asynchronous writes, which then end late or
 * badly, and those of the thread, which alone are left with SLOW_DISK_AIO=no. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 10, HELD_MAX = 64 };

enum mood { MOOD_WELL, MOOD_HANGS, MOOD_FAILS };

static long (*real_syscall)(long, ...);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);

/* Asynchronous writes that the disk sits on, and those that it will have failed. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct held {
    aio_context_t context;
    struct iocb *iocb;
} held[HELD_MAX];
static unsigned held_n;
static struct iocb *failed[HELD_MAX];
static unsigned failed_n;

__attribute__((constructor)) static void find_real(void)
{
    *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
}

static enum mood mood_now(void)
{
    char word[8] = "";
    const char *path = getenv("SLOW_DISK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return MOOD_WELL;
    ssize_t n = read(fd, word, sizeof word - 1);
    (void)close(fd);
    return n >= 4 && strncmp(word, "fail", 4) == 0 ? MOOD_FAILS : MOOD_HANGS;
}

static bool is_under(int fd)
{
    char link[64];
    char path[4096];
    const char *under = getenv("SLOW_DISK_UNDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = under != NULL ? readlink(link, path, sizeof path) : -1;
    size_t len = under != NULL ? strlen(under) : 0;
    return n > 0 && (size_t)n >= len && memcmp(path, under, len) == 0;
}

static void look_later(void)
{
    const struct timespec wait = {.tv_nsec = LOOK_MS * 1000000L};
    (void)nanosleep(&wait, NULL);
}

/* Returns when the disk goes on; false: with an error. */
static bool passes(int fd)
{
    if (!is_under(fd))
        return true;
    enum mood mood;
    while ((mood = mood_now()) == MOOD_HANGS)
        look_later();
    return mood == MOOD_WELL;
}

/* ---- writes of a thread ---------------------------------------------------------------------- */

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    if (passes(fd))
        return real_pwrite(fd, data, len, offset);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite64(fd, data, len, offset);
}

int fdatasync(int fd)
{
    if (passes(fd))
        return real_fdatasync(fd);
    errno = EIO;
    return -1;
}

int fsync(int fd)
{
    if (passes(fd))
        return real_fsync(fd);
    errno = EIO;
    return -1;
}

/* ---- asynchronous writes --------------------------------------------------------------------- */

/* Hands on what the disk sat on, once it goes on. */
static void *release(void *arg)
{
    while (mood_now() == MOOD_HANGS)
        look_later();
    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < held_n; i++) {
        if (mood_now() == MOOD_FAILS && failed_n < HELD_MAX)
            failed[failed_n++] = held[i].iocb;
        (void)real_syscall(SYS_io_submit, held[i].context, 1L, &held[i].iocb);
    }
    held_n = 0;
    pthread_mutex_unlock(&mutex);
    return arg;
}

/* The kernel takes one that will hang; true: it is held here. */
static bool hold(aio_context_t context, struct iocb *iocb)
{
    enum mood mood = is_under((int)iocb->aio_fildes) ? mood_now() : MOOD_WELL;
    pthread_mutex_lock(&mutex);
    bool holds = mood == MOOD_HANGS && held_n < HELD_MAX;
    bool first = holds && held_n == 0;
    if (holds)
        held[held_n++] = (struct held){context, iocb};
    if (mood == MOOD_FAILS && failed_n < HELD_MAX)
        failed[failed_n++] = iocb;
    pthread_mutex_unlock(&mutex);
    pthread_t thread;
    if (first && pthread_create(&thread, NULL, release, NULL) == 0)
        (void)pthread_detach(thread);
    return holds;
}

static void spoil(struct io_event *event)
{
    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < failed_n; i++) {
        if ((uintptr_t)failed[i] != event->obj)
            continue;
        failed[i] = failed[--failed_n];
        event->res = -EIO;
        break;
    }
    pthread_mutex_unlock(&mutex);
}

long syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    const char *aio = getenv("SLOW_DISK_AIO");
    if (number == SYS_io_setup && aio != NULL && strcmp(aio, "no") == 0) {
        errno = ENOSYS;
        return -1;
    }
    if (number == SYS_io_submit && a[1] == 1 &&
        hold((aio_context_t)a[0], ((struct iocb **)a[2])[0]))
        return 1;
    long rc = real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_io_getevents)
        for (long i = 0; i < rc; i++)
            spoil(&((struct io_event *)a[3])[i]);
    return rc;
}
