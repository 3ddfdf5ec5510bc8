/* Happy path: the file is there, is ours alone, and holds a token. When it is missing, a new token
 * is written to a temporary file that is then linked to its name, so that two starts at once agree
 * on one token. */
#include "run/api_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum { API_AUTH_BYTES = 32, API_AUTH_TOKEN_MIN = 16 };

/* base64url without padding (RFC 4648, section 5) */
static void api_auth_encode(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        count += 8;
        while (count >= 6) {
            count -= 6;
            *out++ = digits[bits >> count & 63];
        }
    }
    if (count > 0)
        *out++ = digits[bits << (6 - count) & 63];
    *out = '\0';
}

static int api_auth_sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path) + 1);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) == 0 ? 0 : -errno;
    (void)close(fd);
    return rc;
}

static int api_auth_write(int fd, const char *token)
{
    char line[API_AUTH_TOKEN_MAX + 2];
    int len = snprintf(line, sizeof line, "%s\n", token);
    ssize_t n = write(fd, line, (size_t)len);
    explicit_bzero(line, sizeof line);
    if (n != len)
        return n < 0 ? -errno : -ENOSPC;
    return fsync(fd) == 0 ? 0 : -errno;
}

/* Writes the token beside `path` and gives it that name: with `replace` whoever has it now,
 * otherwise only if nobody has. */
static int api_auth_place(const char *path, const char *token, bool replace, struct error *e)
{
    char *temp = mem_printf("%s.%ld", path, (long)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -errno : api_auth_write(fd, token);
    if (rc == 0 && replace && rename(temp, path) != 0)
        rc = -errno;
    if (rc == 0 && !replace && link(temp, path) != 0 && errno != EEXIST)
        rc = -errno;
    if (rc == 0)
        rc = api_auth_sync_dir(path);
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(temp);
    }
    free(temp);
    if (rc != 0)
        return error_set(e, rc, "cannot write the API token to %s: %s", path, err_text(rc));
    return 0;
}

static int api_auth_create(const char *path, struct error *e)
{
    uint8_t bytes[API_AUTH_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_set(e, -errno, "cannot get random bytes for the API token: %s",
                         strerror(errno));
    char token[API_AUTH_TOKEN_LEN + 1];
    api_auth_encode(bytes, sizeof bytes, token);
    explicit_bzero(bytes, sizeof bytes);
    int rc = api_auth_place(path, token, false, e);
    explicit_bzero(token, sizeof token);
    return rc;
}

static bool api_auth_is_token(const char *s, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-._~+/=";
    return len >= API_AUTH_TOKEN_MIN && len <= API_AUTH_TOKEN_MAX && strspn(s, allowed) == len;
}

static int api_auth_read(int fd, const char *path, char token[static API_AUTH_TOKEN_MAX + 1],
                         struct error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(e, -errno, "cannot read the API token %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        return error_set(e, ERR_FORBIDDEN,
                         "others may read the API token %s (mode %03o): chmod 600 it, or remove it "
                         "to get a new one",
                         path, (unsigned)st.st_mode & 0777U);
    char line[API_AUTH_TOKEN_MAX + 2];
    ssize_t n = read(fd, line, sizeof line - 1);
    if (n < 0)
        return error_set(e, -errno, "cannot read the API token %s: %s", path, strerror(errno));
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    size_t len = strlen(line);
    if (!api_auth_is_token(line, len))
        return error_set(e, ERR_CORRUPT, "%s holds no API token: remove it to get a new one", path);
    memcpy(token, line, len + 1);
    explicit_bzero(line, sizeof line);
    return 0;
}

int api_auth_load(const char *path, char token[static API_AUTH_TOKEN_MAX + 1], struct error *e)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int rc = api_auth_create(path, e);
        if (rc != 0)
            return rc;
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        return error_set(e, -errno, "cannot open the API token %s: %s", path, strerror(errno));
    int rc = api_auth_read(fd, path, token, e);
    (void)close(fd);
    return rc;
}

int api_auth_save(const char *path, const char *token, struct error *e)
{
    char held[API_AUTH_TOKEN_MAX + 1];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool same = fd >= 0 && api_auth_read(fd, path, held, NULL) == 0 && strcmp(held, token) == 0;
    if (fd >= 0)
        (void)close(fd);
    explicit_bzero(held, sizeof held);
    return same ? 0 : api_auth_place(path, token, true, e);
}

bool api_auth_check(const char *authorization, const char *token)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    authorization += 7;
    while (*authorization == ' ')
        authorization++;
    return str_equal_secret(authorization, token);
}
