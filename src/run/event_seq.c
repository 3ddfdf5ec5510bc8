#include "run/event_seq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

static const char event_seq_magic[8] = "evseq 1";

struct event_seq_page {
    char magic[8];
    uint64_t last;
    char boot[40];  /* of the kernel that it was last written under */
    uint64_t clean; /* closed in order */
};

enum { EVENT_SEQ_BYTES = 4096 };

static void event_seq_read_boot(char out[static 40])
{
    memset(out, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, out, 36);
    (void)n; /* what is not read stays zero */
    (void)close(fd);
}

static struct event_seq_page *event_seq_map(const char *path, struct error *e)
{
    void *page = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && posix_fallocate(fd, 0, EVENT_SEQ_BYTES) == 0)
        page = mmap(NULL, EVENT_SEQ_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int code = -errno;
    if (fd >= 0)
        (void)close(fd);
    if (page != MAP_FAILED)
        return page;
    (void)error_set(e, code < 0 ? code : -EIO, "%s cannot be mapped: %s", path,
                    err_text(code < 0 ? code : -EIO));
    return NULL;
}

int event_seq_open(struct event_seq *seq, const char *path, uint64_t at_least, bool *skipped,
                   struct error *e)
{
    char boot[40];
    seq->page = event_seq_map(path, e);
    seq->mapped = seq->page != NULL;
    *skipped = false;
    if (!seq->mapped)
        seq->page = mem_zalloc(sizeof *seq->page);
    struct event_seq_page *page = seq->page;
    event_seq_read_boot(boot);
    bool known = memcmp(page->magic, event_seq_magic, sizeof page->magic) == 0;
    uint64_t last = known ? page->last : 0;
    /* Without the page only the file of events tells: what was told behind it is not known. */
    *skipped =
        known ? page->clean == 0 && memcmp(page->boot, boot, sizeof boot) != 0 : at_least > 0;
    last = last > at_least ? last : at_least;
    page->last = *skipped ? last + EVENT_SEQ_SKIP : last;
    memcpy(page->magic, event_seq_magic, sizeof page->magic);
    memcpy(page->boot, boot, sizeof boot);
    page->clean = 0;
    return seq->mapped ? 0 : e->code;
}

void event_seq_close(struct event_seq *seq)
{
    if (seq->page == NULL)
        return;
    seq->page->clean = 1;
    if (seq->mapped)
        (void)munmap(seq->page, EVENT_SEQ_BYTES);
    else
        free(seq->page);
    seq->page = NULL;
}

uint64_t event_seq_last(const struct event_seq *seq)
{
    return seq->page->last;
}

uint64_t event_seq_next(struct event_seq *seq)
{
    return ++seq->page->last;
}

void event_seq_raise(struct event_seq *seq, uint64_t value)
{
    if (value > seq->page->last)
        seq->page->last = value;
}
