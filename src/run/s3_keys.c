#include "run/s3_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

enum { S3_KEYS_LINE_MAX = 4096, S3_KEYS_LINES_MAX = 10000 };

struct s3_keys {
    char *access_key, *secret_key, *token; /* as configured */
    char *path;
    struct timespec changed; /* of the file as it was read */
    char *file_access, *file_secret, *file_token;
};

static char *s3_keys_or_env(const char *value, const char *name)
{
    if (value != NULL && value[0] != '\0')
        return mem_strdup(value);
    value = getenv(name);
    return value != NULL && value[0] != '\0' ? mem_strdup(value) : NULL;
}

struct s3_keys *s3_keys_new(const struct s3_keys_options *options)
{
    struct s3_keys *keys = mem_zalloc(sizeof *keys);
    keys->path = s3_keys_or_env(options->path, "AWS_SHARED_CREDENTIALS_FILE");
    bool named = options->access_key != NULL && options->access_key[0] != '\0';
    /* A file that is named in the configuration counts before the environment. */
    if (!named && options->path != NULL && options->path[0] != '\0')
        return keys;
    keys->access_key = s3_keys_or_env(options->access_key, "AWS_ACCESS_KEY_ID");
    keys->secret_key = s3_keys_or_env(options->secret_key, "AWS_SECRET_ACCESS_KEY");
    keys->token = named ? mem_strdup(options->session_token)
                        : s3_keys_or_env(options->session_token, "AWS_SESSION_TOKEN");
    return keys;
}

static void s3_keys_forget(struct s3_keys *keys)
{
    free(keys->file_access);
    free(keys->file_secret);
    free(keys->file_token);
    keys->file_access = keys->file_secret = keys->file_token = NULL;
}

void s3_keys_free(struct s3_keys *keys)
{
    if (keys == NULL)
        return;
    s3_keys_forget(keys);
    free(keys->access_key);
    free(keys->secret_key);
    free(keys->token);
    free(keys->path);
    free(keys);
}

/* "name = value" of the profile at hand. */
static void s3_keys_line(struct s3_keys *keys, char *line)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return;
    char *name_end = equals, *value = equals + 1;
    while (name_end > line && (name_end[-1] == ' ' || name_end[-1] == '\t'))
        name_end--;
    *name_end = '\0';
    value += strspn(value, " \t");
    size_t len = strcspn(value, "\r\n");
    while (len > 0 && value[len - 1] == ' ')
        len--;
    char **to = strcmp(line, "aws_access_key_id") == 0       ? &keys->file_access
                : strcmp(line, "aws_secret_access_key") == 0 ? &keys->file_secret
                : strcmp(line, "aws_session_token") == 0     ? &keys->file_token
                                                             : NULL;
    if (to == NULL)
        return;
    free(*to);
    *to = mem_strndup(value, len);
}

static void s3_keys_read(struct s3_keys *keys, FILE *file)
{
    char line[S3_KEYS_LINE_MAX];
    bool here = false;
    s3_keys_forget(keys);
    for (int i = 0; i < S3_KEYS_LINES_MAX && fgets(line, sizeof line, file) != NULL; i++) {
        char *at = line + strspn(line, " \t");
        if (*at == '[')
            here = str_starts_with(at, "[default]");
        else if (here && *at != '#' && *at != ';')
            s3_keys_line(keys, at);
    }
}

static int s3_keys_refresh(struct s3_keys *keys, struct error *e)
{
    struct stat st;
    FILE *file = fopen(keys->path, "re");
    if (file == NULL || fstat(fileno(file), &st) < 0) {
        if (file != NULL)
            (void)fclose(file);
        return error_set(e, ERR_UNAUTHORIZED, "%s: the file of S3 credentials cannot be read",
                         keys->path);
    }
    if (st.st_mtim.tv_sec != keys->changed.tv_sec || st.st_mtim.tv_nsec != keys->changed.tv_nsec) {
        s3_keys_read(keys, file);
        keys->changed = st.st_mtim;
    }
    (void)fclose(file);
    return 0;
}

int s3_keys_get(struct s3_keys *keys, const char **access_key, const char **secret_key,
                const char **token, struct error *e)
{
    int err = 0;
    *access_key = keys->access_key;
    *secret_key = keys->secret_key;
    *token = keys->token;
    if (keys->access_key == NULL && keys->path != NULL) {
        err = s3_keys_refresh(keys, e);
        *access_key = keys->file_access;
        *secret_key = keys->file_secret;
        *token = keys->file_token;
    }
    if (err == 0 && (*access_key == NULL || *secret_key == NULL))
        err =
            error_set(e, ERR_UNAUTHORIZED,
                      "there are no S3 credentials: set sql.s3_credentials to a file with "
                      "[default], aws_access_key_id and aws_secret_access_key, or the environment "
                      "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return err;
}
