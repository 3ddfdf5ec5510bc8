#include "run/executor_port.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "wire/frame.h"

enum { EXECUTOR_PORT_CREDIT_MAX = 1 << 30 };

void executor_port_init(struct executor_port *port, int fd)
{
    *port = (struct executor_port){.fd = fd};
    pthread_mutex_init(&port->send_lock, NULL);
    pthread_mutex_init(&port->lock, NULL);
    pthread_cond_init(&port->changed, NULL);
}

static void executor_port_write(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            _exit(0); /* nobody is there to hear of it */
        data += n;
        len -= (size_t)n;
    }
}

void executor_port_send(struct executor_port *port, enum wire_type type,
                        const ProtobufCMessage *message)
{
    struct buf frame;
    buf_init(&frame, FRAME_BODY_BYTES_MAX + FRAME_HEADER_BYTES);
    int err = wire_pack(&frame, type, message);
    assert(err == 0);
    (void)err;
    pthread_mutex_lock(&port->send_lock);
    executor_port_write(port->fd, frame.data, frame.len);
    pthread_mutex_unlock(&port->send_lock);
    buf_done(&frame);
}

bool executor_port_wait(struct executor_port *port)
{
    pthread_mutex_lock(&port->lock);
    while (port->credit <= 0 && !port->is_cancelled)
        pthread_cond_wait(&port->changed, &port->lock);
    bool go_on = !port->is_cancelled;
    pthread_mutex_unlock(&port->lock);
    return go_on;
}

void executor_port_spend(struct executor_port *port, uint64_t bytes)
{
    pthread_mutex_lock(&port->lock);
    port->credit -= (int64_t)bytes;
    pthread_mutex_unlock(&port->lock);
}

bool executor_port_is_cancelled(struct executor_port *port)
{
    pthread_mutex_lock(&port->lock);
    bool is_cancelled = port->is_cancelled;
    pthread_mutex_unlock(&port->lock);
    return is_cancelled;
}

static int64_t executor_port_clamp(uint64_t bytes)
{
    return bytes < EXECUTOR_PORT_CREDIT_MAX ? (int64_t)bytes : EXECUTOR_PORT_CREDIT_MAX;
}

void executor_port_begin(struct executor_port *port, uint64_t credit)
{
    pthread_mutex_lock(&port->lock);
    port->credit = executor_port_clamp(credit);
    port->is_cancelled = false;
    pthread_mutex_unlock(&port->lock);
}

void executor_port_credit(struct executor_port *port, uint64_t bytes)
{
    pthread_mutex_lock(&port->lock);
    int64_t credit = port->credit + executor_port_clamp(bytes);
    port->credit = credit < EXECUTOR_PORT_CREDIT_MAX ? credit : EXECUTOR_PORT_CREDIT_MAX;
    pthread_cond_signal(&port->changed);
    pthread_mutex_unlock(&port->lock);
}

void executor_port_cancel(struct executor_port *port)
{
    pthread_mutex_lock(&port->lock);
    port->is_cancelled = true;
    pthread_cond_signal(&port->changed);
    pthread_mutex_unlock(&port->lock);
}
