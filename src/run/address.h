/* Addresses as people write them: "HOST:PORT" and "[IPV6]:PORT". */
#ifndef RUN_ADDRESS_H
#define RUN_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_HOST_MAX = 256, ADDRESS_TEXT_MAX = 64 };

/* Splits into host (without brackets) and port. ERR_INVALID: no port, no host, a port above 65535,
 * an IPv6 address without brackets. */
int address_split(const char *text, char host[static ADDRESS_HOST_MAX], uint16_t *port);

/* Fills `out` when `host` is an IPv4 or IPv6 address (a name needs a resolver: ERR_INVALID). */
int address_parse_numeric(const char *host, uint16_t port, struct sockaddr_storage *out);

/* "127.0.0.1:7400", "[::1]:7400"; of another family: "?". */
const char *address_format(const struct sockaddr *address, char out[static ADDRESS_TEXT_MAX]);

#endif
