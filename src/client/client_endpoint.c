#include "client/client_endpoint.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { CLIENT_ENDPOINT_PORT = 7401 };

static int client_endpoint_invalid(const char *text, const char *why, struct error *e)
{
    return error_set(e, ERR_INVALID, "endpoint \"%s\": %s", text, why);
}

static int client_endpoint_parse_unix(const char *text, const char *path,
                                      struct client_endpoint *endpoint, struct error *e)
{
    if (path[0] == '\0')
        return client_endpoint_invalid(text, "a socket's path must follow \"unix:\"", e);
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return client_endpoint_invalid(text, "a socket's path has at most 107 bytes", e);
    struct client_endpoint result = {.scheme = CLIENT_SCHEME_UNIX, .base_url = "http://localhost"};
    (void)snprintf(result.text, sizeof result.text, "unix:%s", path);
    (void)snprintf(result.socket_path, sizeof result.socket_path, "%s", path);
    *endpoint = result;
    return 0;
}

/* Splits "host:port", "[v6]:port" or a host alone. */
static int client_endpoint_split(const char *text, const char *rest, size_t len, char *host,
                                 size_t host_max, uint64_t *port, struct error *e)
{
    char hostport[CLIENT_ENDPOINT_TEXT_MAX];
    if (len == 0 || len >= sizeof hostport)
        return client_endpoint_invalid(text, "a host is missing or too long", e);
    memcpy(hostport, rest, len);
    hostport[len] = '\0';

    char *colon = strrchr(hostport, ':');
    char *bracket = strrchr(hostport, ']');
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        if (str_parse_u64(colon + 1, 1, 65535, port) != 0)
            return client_endpoint_invalid(text, "the port must be a number from 1 to 65535", e);
        *colon = '\0';
    }
    bool is_v6 = hostport[0] == '[' && bracket != NULL && bracket[1] == '\0';
    const char *allowed = is_v6
                              ? "[]:.%0123456789abcdefABCDEF"
                              : "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (hostport[0] == '\0' || strspn(hostport, allowed) != strlen(hostport))
        return client_endpoint_invalid(text, "that is no host name or address", e);
    if (strlen(hostport) >= host_max)
        return client_endpoint_invalid(text, "the host is too long", e);
    memcpy(host, hostport, strlen(hostport) + 1);
    return 0;
}

static int client_endpoint_parse_tcp(const char *text, const char *rest, enum client_scheme scheme,
                                     struct client_endpoint *endpoint, struct error *e)
{
    size_t len = strcspn(rest, "/");
    if (strcmp(rest + len, "") != 0 && strcmp(rest + len, "/") != 0)
        return client_endpoint_invalid(text, "nothing may follow the port", e);
    char host[256];
    uint64_t port = CLIENT_ENDPOINT_PORT;
    int rc = client_endpoint_split(text, rest, len, host, sizeof host, &port, e);
    if (rc != 0)
        return rc;
    struct client_endpoint result = {.scheme = scheme};
    (void)snprintf(result.text, sizeof result.text, "%s://%s:%u",
                   scheme == CLIENT_SCHEME_HTTP ? "http" : "https", host, (unsigned)port);
    memcpy(result.base_url, result.text, sizeof result.base_url);
    *endpoint = result;
    return 0;
}

int client_endpoint_parse(const char *text, struct client_endpoint *endpoint, struct error *e)
{
    if (str_starts_with(text, "unix:"))
        return client_endpoint_parse_unix(text, text + strlen("unix:"), endpoint, e);
    if (str_starts_with(text, "http://"))
        return client_endpoint_parse_tcp(text, text + strlen("http://"), CLIENT_SCHEME_HTTP,
                                         endpoint, e);
    if (str_starts_with(text, "https://"))
        return client_endpoint_parse_tcp(text, text + strlen("https://"), CLIENT_SCHEME_HTTPS,
                                         endpoint, e);
    if (strstr(text, "://") != NULL)
        return client_endpoint_invalid(
            text, "it must be unix:PATH, http://HOST:PORT or https://HOST:PORT", e);
    if (strchr(text, '/') != NULL)
        return client_endpoint_parse_unix(text, text, endpoint, e);
    return client_endpoint_parse_tcp(text, text, CLIENT_SCHEME_HTTP, endpoint, e);
}

static bool client_endpoint_is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool client_endpoint_is_own_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid();
}

static bool client_endpoint_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    (void)strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* One cluster's sockets as one comma-separated list; NULL when there is none. *answers: somebody
 * listens on one of them. */
static char *client_endpoint_list(const char *const *patterns, size_t n, bool *answers)
{
    glob_t found = {0};
    for (size_t i = 0; i < n; i++)
        (void)glob(patterns[i], i == 0 ? 0 : GLOB_APPEND, NULL, &found);
    char *list = NULL;
    *answers = false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        if (!client_endpoint_is_own_socket(path))
            continue;
        char *longer =
            mem_printf("%s%sunix:%s", list == NULL ? "" : list, list == NULL ? "" : ",", path);
        free(list);
        list = longer;
        *answers = *answers || client_endpoint_answers(path);
    }
    globfree(&found);
    return list;
}

/* What ./quickstart or `clusterd dev` left in the working directory, the one that is up if one is:
 * they are different clusters. The directory may be anybody's, therefore only sockets of ours: what
 * is typed goes there. */
static char *client_endpoint_nearby(void)
{
    static const char *const quickstart[] = {".quickstart/*.sock", ".quickstart/*/*.sock",
                                             ".quickstart/*/*/*.sock"};
    static const char *const dev[] = {"clusterd-dev/*/data/*.sock"};
    bool first_answers;
    bool second_answers;
    char *first = client_endpoint_list(quickstart, MEM_COUNT(quickstart), &first_answers);
    char *second = client_endpoint_list(dev, MEM_COUNT(dev), &second_answers);
    bool take_second = first == NULL || (second_answers && !first_answers);
    free(take_second ? first : second);
    return take_second ? second : first;
}

char *client_endpoint_default(struct error *e)
{
    const char *given = getenv("CLUSTERSH_ENDPOINT");
    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);

    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/') {
        char *path = mem_printf("%s/clusterd/clusterd.sock", runtime);
        char *endpoint = client_endpoint_is_socket(path) ? mem_printf("unix:%s", path) : NULL;
        free(path);
        if (endpoint != NULL)
            return endpoint;
    }
    if (client_endpoint_is_socket("/run/clusterd/clusterd.sock"))
        return mem_strdup("unix:/run/clusterd/clusterd.sock");

    char *nearby = client_endpoint_nearby();
    if (nearby == NULL)
        (void)error_set(e, ERR_NOT_FOUND, "no cluster found: none of the usual sockets is there");
    return nearby;
}

bool client_endpoint_is_local(const struct client_endpoint *endpoint)
{
    if (endpoint->scheme == CLIENT_SCHEME_UNIX)
        return true;
    const char *host = strstr(endpoint->base_url, "://") + 3;
    return str_starts_with(host, "127.") || str_starts_with(host, "localhost:") ||
           str_starts_with(host, "[::1]:");
}
