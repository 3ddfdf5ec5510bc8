#include "run/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/error.h"
#include "base/str.h"

int address_split(const char *text, char host[static ADDRESS_HOST_MAX], uint16_t *port)
{
    uint64_t number;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || str_parse_u64(colon + 1, 0, UINT16_MAX, &number) < 0)
        return ERR_INVALID;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return ERR_INVALID;
    }
    if (len == 0 || len >= ADDRESS_HOST_MAX)
        return ERR_INVALID;
    memcpy(host, text, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return 0;
}

int address_parse_numeric(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0)
        return 0;
    return ERR_INVALID;
}

const char *address_format(const struct sockaddr *address, char out[static ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        (void)uv_ip6_name(in6, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)address;
        (void)uv_ip4_name(in4, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(in4->sin_port));
    } else {
        (void)snprintf(out, ADDRESS_TEXT_MAX, "?");
    }
    return out;
}
