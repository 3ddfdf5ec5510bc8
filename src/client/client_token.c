#include "client/client_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static int client_token_read(const char *path, char **token, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, -errno, "token file %s: %s", path, strerror(errno));
    char text[CLIENT_TOKEN_BYTES_MAX + 1];
    ssize_t n = read(fd, text, sizeof text);
    int code = n < 0 ? -errno : 0;
    (void)close(fd);
    if (code != 0)
        return error_set(e, code, "token file %s: %s", path, strerror(-code));
    size_t len = (size_t)n;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    if (len == 0 || len > CLIENT_TOKEN_BYTES_MAX)
        return error_set(e, ERR_INVALID, "token file %s: it must hold one line", path);
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return error_set(e, ERR_INVALID, "token file %s: that is no token", path);
    }
    *token = mem_strndup(text, len);
    return 0;
}

static char *client_token_beside(const struct client_endpoint *endpoints, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (endpoints[i].scheme != CLIENT_SCHEME_UNIX)
            continue;
        const char *slash = strrchr(endpoints[i].socket_path, '/');
        int len = slash == NULL ? 0 : (int)(slash - endpoints[i].socket_path) + 1;
        char *path = mem_printf("%.*sapi.token", len, endpoints[i].socket_path);
        char *token = NULL;
        (void)client_token_read(path, &token, NULL);
        free(path);
        if (token != NULL)
            return token;
    }
    return NULL;
}

int client_token_find(const char *token, const char *token_file,
                      const struct client_endpoint *endpoints, size_t n, char **found,
                      struct error *e)
{
    if (token == NULL && token_file == NULL)
        token = getenv("CLUSTERSH_TOKEN");
    if (token != NULL && token[0] != '\0') {
        *found = mem_strdup(token);
        return 0;
    }
    if (token_file == NULL)
        token_file = getenv("CLUSTERSH_TOKEN_FILE");
    if (token_file != NULL && token_file[0] != '\0')
        return client_token_read(token_file, found, e);
    *found = client_token_beside(endpoints, n);
    return 0;
}
