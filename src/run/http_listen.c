#include "run/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Makes way for a new socket file: a socket that nobody listens on is removed. */
static int http_listen_clear(const char *path, const struct sockaddr_un *address, struct error *e)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT
                   ? 0
                   : error_set(e, -errno, "cannot listen on %s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, -EEXIST, "cannot listen on %s: a file that is no socket is in the way",
                         path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(e, -errno, "cannot make a socket: %s", strerror(errno));
    int rc = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    (void)close(fd);
    if (rc != ECONNREFUSED && rc != ENOENT)
        return error_set(e, -EADDRINUSE, "cannot listen on %s: another process does", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_set(e, -errno, "cannot replace %s: %s", path, strerror(errno));
    return 0;
}

int http_listen_unix(const char *path, mode_t mode, struct error *e)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) > HTTP_LISTEN_PATH_MAX)
        return error_set(e, ERR_TOO_LARGE, "the path of a Unix socket has at most %d bytes: %s",
                         HTTP_LISTEN_PATH_MAX, path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int rc = http_listen_clear(path, &address, e);
    if (rc != 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(e, -errno, "cannot make a socket: %s", strerror(errno));
    /* The file is made with the mode of the descriptor, minus the umask: never more than asked for.
     */
    if (fchmod(fd, mode) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, mode) != 0 || listen(fd, HTTP_LISTEN_BACKLOG) != 0) {
        rc = error_set(e, -errno, "cannot listen on %s: %s", path, strerror(errno));
        (void)close(fd);
        return rc;
    }
    return fd;
}

static int http_listen_address(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0)
        return -errno;
    int on = 1;
    int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, HTTP_LISTEN_BACKLOG) != 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    return fd;
}

static uint16_t http_listen_port(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return 0;
    return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&ss)->sin6_port
                                          : ((struct sockaddr_in *)(void *)&ss)->sin_port);
}

int http_listen_tcp(const char *host, uint16_t port, uint16_t *port_out, struct error *e)
{
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    int gai = getaddrinfo(host, service, &hints, &list);
    if (gai != 0)
        return error_set(e, ERR_INVALID, "cannot listen on %s: %s", host, gai_strerror(gai));
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
        fd = http_listen_address(ai);
    freeaddrinfo(list);
    if (fd == -EADDRINUSE)
        return error_set(e, fd, "port %u of %s is in use by another process", port, host);
    if (fd < 0)
        return error_set(e, fd, "cannot listen on %s port %u: %s", host, port, strerror(-fd));
    *port_out = http_listen_port(fd);
    return fd;
}
