/* One request of sock_diag(7): the socket whose own address is our peer's. An end that its process
 * has closed is still there while the rest of its bytes are under way, and then counts as root's:
 * it has no inode, by which it is told apart. */
#include "run/peer_user.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

struct peer_user_request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 diag;
};

union peer_user_answer {
    struct nlmsghdr head;
    char bytes[4096];
};

/* An IPv4 address that came in on an IPv6 socket becomes one again: the peer's socket has it so. */
static void peer_user_unmap(struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *in6 = (const void *)address;
    if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6->sin6_port};
    memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], sizeof in.sin_addr);
    memcpy(address, &in, sizeof in);
}

/* False: not an address of this machine alone. */
static bool peer_user_put(const struct sockaddr_storage *address, __be16 *port, __be32 ip[4])
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        *port = in->sin_port;
        memcpy(ip, &in->sin_addr, sizeof in->sin_addr);
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        *port = in6->sin6_port;
        memcpy(ip, &in6->sin6_addr, sizeof in6->sin6_addr);
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return false;
}

static int peer_user_request(int fd, struct peer_user_request *out)
{
    struct sockaddr_storage peer, own;
    socklen_t peer_len = sizeof peer, own_len = sizeof own;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
        return -errno;
    peer_user_unmap(&peer);
    peer_user_unmap(&own);
    struct peer_user_request request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .diag = {.sdiag_family = (__u8)peer.ss_family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = UINT32_MAX,
                 .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    struct inet_diag_sockid *id = &request.diag.id;
    if (!peer_user_put(&peer, &id->idiag_sport, id->idiag_src) ||
        !peer_user_put(&own, &id->idiag_dport, id->idiag_dst))
        return ERR_UNSUPPORTED;
    *out = request;
    return 0;
}

static int peer_user_read(const union peer_user_answer *answer, size_t len, uid_t *out)
{
    const struct nlmsghdr *head = &answer->head;
    if (len < sizeof *head || head->nlmsg_len > len)
        return ERR_PROTOCOL;
    if (head->nlmsg_type == NLMSG_ERROR &&
        head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
        int err = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
        return err == -ENOENT ? ERR_NOT_FOUND : err < 0 ? err : ERR_PROTOCOL;
    }
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        head->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
        return ERR_PROTOCOL;
    const struct inet_diag_msg *found = NLMSG_DATA(head);
    if (found->idiag_inode == 0)
        return ERR_NOT_FOUND;
    *out = found->idiag_uid;
    return 0;
}

int peer_user_of(int fd, uid_t *out)
{
    struct peer_user_request request;
    union peer_user_answer answer;
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int err = peer_user_request(fd, &request);
    if (err < 0)
        return err;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return -errno;
    ssize_t n = sendto(netlink, &request, sizeof request, 0, (const struct sockaddr *)&kernel,
                       sizeof kernel);
    if (n >= 0)
        n = recv(netlink, &answer, sizeof answer, 0);
    err = n < 0 ? -errno : peer_user_read(&answer, (size_t)n, out);
    (void)close(netlink);
    return err;
}
