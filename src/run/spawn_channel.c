/* Records are appended to `out`; a flush cuts it into packets at record boundaries and sends until
 * the socket is full. The receiver walks the records of each packet. Any other failure of the
 * socket than "full" means that the peer is gone. */
#include "run/spawn_channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

void spawn_channel_init(struct spawn_channel *ch, int fd, size_t out_bytes_max)
{
    ch->fd = fd;
    buf_init(&ch->out, out_bytes_max);
    buf_init(&ch->in, SPAWN_MESSAGE_LARGE_BYTES_MAX);
}

void spawn_channel_done(struct spawn_channel *ch)
{
    if (ch->fd >= 0)
        close(ch->fd);
    ch->fd = -1;
    buf_done(&ch->out);
    buf_done(&ch->in);
}

/* Bytes of the next packet: whole records, at least one. */
static size_t spawn_channel_cut(const struct buf *out, size_t from)
{
    size_t len = 0;

    while (from + len < out->len) {
        struct spawn_message_head head;
        memcpy(&head, out->data + from + len, sizeof head);
        assert(head.bytes >= sizeof head && head.bytes <= out->len - from - len);
        if (len > 0 && len + head.bytes > SPAWN_MESSAGE_PACKET_BYTES)
            break;
        len += head.bytes;
    }
    return len;
}

/* 0, 1 when the socket is full, ERR_TOO_LARGE for a packet, ERR_CLOSED. */
static int spawn_channel_send(int fd, const void *data, size_t len, int attached)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)data, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (attached >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control.space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof attached);
        memcpy(CMSG_DATA(c), &attached, sizeof attached);
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)len)
        return 0;
    if (n < 0 && errno == EMSGSIZE)
        return ERR_TOO_LARGE;
    /* ENOBUFS, ENOMEM and ETOOMANYREFS pass, as EAGAIN does */
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == EBADF))
        return ERR_CLOSED;
    return 1;
}

static int spawn_channel_send_large(int fd, const uint8_t *record, size_t len)
{
    struct spawn_message_head head = {.bytes = sizeof head, .type = SPAWN_MESSAGE_LARGE};
    int memory = memfd_create("spawn", MFD_CLOEXEC);
    if (memory < 0)
        return 1;
    int rc = 1;
    if (pwrite(memory, record, len, 0) == (ssize_t)len)
        rc = spawn_channel_send(fd, &head, sizeof head, memory);
    close(memory);
    return rc;
}

int spawn_channel_flush(struct spawn_channel *ch)
{
    size_t sent = 0;
    int rc = 0;

    while (rc == 0 && sent < ch->out.len) {
        size_t len = spawn_channel_cut(&ch->out, sent);
        const uint8_t *packet = ch->out.data + sent;
        rc = len > SPAWN_MESSAGE_PACKET_BYTES ? ERR_TOO_LARGE
                                              : spawn_channel_send(ch->fd, packet, len, -1);
        if (rc == ERR_TOO_LARGE)
            rc = spawn_channel_send_large(ch->fd, packet, len);
        if (rc == 0)
            sent += len;
    }
    buf_consume(&ch->out, sent);
    return rc;
}

static int spawn_channel_deliver(uint8_t *data, size_t len, spawn_channel_fn fn, void *arg)
{
    while (len > 0) {
        struct spawn_message_head head;
        if (len < sizeof head)
            return ERR_PROTOCOL;
        memcpy(&head, data, sizeof head);
        if (head.bytes < sizeof head || head.bytes > len)
            return ERR_PROTOCOL;
        struct spawn_message_cursor body = {data + sizeof head, head.bytes - sizeof head};
        int err = fn(arg, head.type, body);
        if (err < 0)
            return err;
        data += head.bytes;
        len -= head.bytes;
    }
    return 0;
}

/* Replaces the packet in `in` by the content of the memory file. */
static int spawn_channel_load_large(struct buf *in, int memory)
{
    struct stat st;

    buf_clear(in);
    if (fstat(memory, &st) < 0 || buf_reserve(in, (size_t)st.st_size) < 0)
        return ERR_PROTOCOL;
    if (pread(memory, in->data, (size_t)st.st_size, 0) != st.st_size)
        return ERR_PROTOCOL;
    in->len = (size_t)st.st_size;
    return 0;
}

static int spawn_channel_take_attached(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* Reads one packet and hands its records out; 1 when there is none. */
static int spawn_channel_receive_one(struct spawn_channel *ch, spawn_channel_fn fn, void *arg)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;

    if (ch->in.cap > 4 * SPAWN_MESSAGE_PACKET_BYTES)
        buf_done(&ch->in);
    buf_clear(&ch->in);
    (void)buf_reserve(&ch->in, SPAWN_MESSAGE_PACKET_BYTES);
    struct iovec iov = {ch->in.data, SPAWN_MESSAGE_PACKET_BYTES};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control.space};
    ssize_t n;
    do {
        n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? 1 : ERR_CLOSED;
    if (n == 0)
        return ERR_CLOSED;
    ch->in.len = (size_t)n;

    int memory = spawn_channel_take_attached(&msg);
    int err = msg.msg_flags & MSG_TRUNC ? ERR_PROTOCOL : 0;
    if (memory >= 0) {
        if (err == 0)
            err = spawn_channel_load_large(&ch->in, memory);
        close(memory);
    }
    return err < 0 ? err : spawn_channel_deliver(ch->in.data, ch->in.len, fn, arg);
}

int spawn_channel_receive(struct spawn_channel *ch, unsigned packets_max, spawn_channel_fn fn,
                          void *arg)
{
    for (unsigned i = 0; i < packets_max; i++) {
        int rc = spawn_channel_receive_one(ch, fn, arg);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    return 0;
}
