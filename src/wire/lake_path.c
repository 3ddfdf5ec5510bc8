/* Happy path: text is put together with mem_printf and taken apart by hand. What comes from outside
 * (URLs, keys of listings, paths of actions) is checked against the bounds and refused otherwise.
 */
#include "wire/lake_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { LAKE_VERSION_DIGITS = 20, LAKE_PART_DIGITS = 10 };

/* ---- places ---------------------------------------------------------------------------------- */

static bool lake_part_is_valid(const char *part, size_t len)
{
    if (len == 0 || len > LAKE_NAME_BYTES_MAX)
        return false;
    if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f)
            return false;
    return true;
}

/* Parts separated by single slashes. */
static bool lake_parts_are_valid(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");
        if (!lake_part_is_valid(path, len))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

bool lake_key_is_valid(const char *key)
{
    return strlen(key) <= LAKE_KEY_BYTES_MAX && lake_parts_are_valid(key);
}

static char *lake_without_slashes(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    return mem_strndup(text, len);
}

static int lake_url_parse_file(const char *text, struct lake_url *url, struct error *e)
{
    const char *path = text;
    if (str_starts_with(path, "file:"))
        path += strlen("file:");
    if (str_starts_with(path, "///"))
        path += 2;
    if (path[0] != '/' || path[1] == '/')
        return error_set(e, ERR_INVALID,
                         "%.200s: a folder is written file:/absolute/path, without a host", text);
    char *trimmed = lake_without_slashes(path);
    if (trimmed[0] == '\0' || !lake_parts_are_valid(trimmed + 1)) {
        free(trimmed);
        return error_set(e, ERR_INVALID,
                         "%.200s: not a folder that tables can live in (no \"/\" itself, no \".\", "
                         "\"..\" or empty part)",
                         text);
    }
    *url = (struct lake_url){.scheme = LAKE_SCHEME_FILE, .bucket = mem_strdup(""), .path = trimmed};
    return 0;
}

static bool lake_bucket_is_valid(const char *bucket, size_t len)
{
    if (len < 3 || len > 63)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = bucket[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || i == len - 1 || (c != '-' && c != '.')))
            return false;
    }
    return true;
}

static int lake_url_parse_s3(const char *text, struct lake_url *url, struct error *e)
{
    const char *bucket = strstr(text, "://") + 3;
    size_t len = strcspn(bucket, "/");
    if (!lake_bucket_is_valid(bucket, len))
        return error_set(
            e, ERR_INVALID,
            "%.200s: not a bucket's name (3 to 63 lower-case letters, digits, '-', '.')", text);
    char *prefix = lake_without_slashes(bucket[len] == '/' ? bucket + len + 1 : "");
    if (prefix[0] != '\0' && !lake_key_is_valid(prefix)) {
        free(prefix);
        return error_set(e, ERR_INVALID,
                         "%.200s: not a prefix (no \".\", \"..\" or empty part, at most %d bytes)",
                         text, LAKE_KEY_BYTES_MAX);
    }
    *url = (struct lake_url){
        .scheme = LAKE_SCHEME_S3, .bucket = mem_strndup(bucket, len), .path = prefix};
    return 0;
}

int lake_url_parse(const char *text, struct lake_url *url, struct error *e)
{
    if (strlen(text) > LAKE_URL_BYTES_MAX)
        return error_set(e, ERR_INVALID, "a place of more than %d bytes", LAKE_URL_BYTES_MAX);
    if (str_starts_with(text, "s3://") || str_starts_with(text, "s3a://"))
        return lake_url_parse_s3(text, url, e);
    if (str_starts_with(text, "file:") || text[0] == '/')
        return lake_url_parse_file(text, url, e);
    return error_set(e, ERR_INVALID,
                     "%.200s: not a place for tables: give file:/absolute/path or "
                     "s3://bucket/prefix",
                     text);
}

void lake_url_done(struct lake_url *url)
{
    free(url->bucket);
    free(url->path);
    *url = (struct lake_url){0};
}

char *lake_url_format(const struct lake_url *url)
{
    if (url->scheme == LAKE_SCHEME_FILE)
        return mem_printf("file:%s", url->path);
    return mem_printf("s3://%s%s%s", url->bucket, url->path[0] != '\0' ? "/" : "", url->path);
}

bool lake_url_contains(const char *outer, const char *inner)
{
    size_t len = strlen(outer);
    return strncmp(outer, inner, len) == 0 && (inner[len] == '\0' || inner[len] == '/');
}

char *lake_url_join(const char *place, const char *key)
{
    return mem_printf("%s/%s", place, key);
}

char *lake_table_place(const char *store, const char *name, const struct uuid *id)
{
    char clean[64];
    size_t n = 0;
    for (; name[n] != '\0' && n < sizeof clean - 1; n++) {
        char c = name[n];
        bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        clean[n] = keep ? c : '_';
    }
    clean[n] = '\0';
    char text[UUID_TEXT_MAX];
    return mem_printf("%s/tables/%s-%s", store, clean, uuid_format(id, text));
}

/* ---- a table's log --------------------------------------------------------------------------- */

const char *lake_log_entry(uint64_t version, char out[static LAKE_LOG_NAME_MAX])
{
    (void)snprintf(out, LAKE_LOG_NAME_MAX, LAKE_LOG_PREFIX "%020" PRIu64 ".json", version);
    return out;
}

const char *lake_log_checkpoint(uint64_t version, char out[static LAKE_LOG_NAME_MAX])
{
    (void)snprintf(out, LAKE_LOG_NAME_MAX, LAKE_LOG_PREFIX "%020" PRIu64 ".checkpoint.parquet",
                   version);
    return out;
}

const char *lake_log_checkpoint_part(uint64_t version, uint32_t part, uint32_t parts,
                                     char out[static LAKE_LOG_NAME_MAX])
{
    (void)snprintf(out, LAKE_LOG_NAME_MAX,
                   LAKE_LOG_PREFIX "%020" PRIu64 ".checkpoint.%010" PRIu32 ".%010" PRIu32
                                   ".parquet",
                   version, part, parts);
    return out;
}

const char *lake_log_before(uint64_t version, char out[static LAKE_LOG_NAME_MAX])
{
    (void)snprintf(out, LAKE_LOG_NAME_MAX, LAKE_LOG_PREFIX "%020" PRIu64, version);
    return out;
}

/* Exactly `digits` decimal digits. */
static bool lake_digits(const char **text, unsigned digits, uint64_t max, uint64_t *value)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9' || n > (max - (uint64_t)(c - '0')) / 10)
            return false;
        n = n * 10 + (uint64_t)(c - '0');
    }
    *text += digits;
    *value = n;
    return true;
}

static bool lake_log_parse_part(const char *text, struct lake_log_name *name)
{
    uint64_t part, parts;
    if (!lake_digits(&text, LAKE_PART_DIGITS, UINT32_MAX, &part) || *text++ != '.' ||
        !lake_digits(&text, LAKE_PART_DIGITS, UINT32_MAX, &parts) ||
        strcmp(text, ".parquet") != 0 || part < 1 || part > parts)
        return false;
    name->kind = LAKE_LOG_CHECKPOINT_PART;
    name->part = (uint32_t)part;
    name->parts = (uint32_t)parts;
    return true;
}

void lake_log_parse(const char *key, struct lake_log_name *name)
{
    *name = (struct lake_log_name){.kind = LAKE_LOG_OTHER};
    if (!str_starts_with(key, LAKE_LOG_PREFIX))
        return;
    const char *rest = key + strlen(LAKE_LOG_PREFIX);
    if (!lake_digits(&rest, LAKE_VERSION_DIGITS, INT64_MAX, &name->version))
        return;
    if (strcmp(rest, ".json") == 0)
        name->kind = LAKE_LOG_ENTRY;
    else if (strcmp(rest, ".checkpoint.parquet") == 0)
        name->kind = LAKE_LOG_CHECKPOINT;
    else if (str_starts_with(rest, ".checkpoint.") &&
             !lake_log_parse_part(rest + strlen(".checkpoint."), name) &&
             strlen(rest) > strlen(".checkpoint.") + 36)
        name->kind = LAKE_LOG_CHECKPOINT_UUID;
}

/* ---- data files ------------------------------------------------------------------------------ */

/* What Hive's FileUtils and Spark escape in the name of a partition's folder. */
static bool lake_must_escape(unsigned char c)
{
    return c < 0x20 || c == 0x7f || strchr("\"#%'*/:=?\\{[]^", c) != NULL;
}

static char *lake_escape(const char *text, bool (*must)(unsigned char c))
{
    size_t n = 0;
    char *out = mem_alloc(strlen(text) * 3 + 1);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (must(*p))
            n += (size_t)sprintf(out + n, "%%%02X", *p);
        else
            out[n++] = (char)*p;
    }
    out[n] = '\0';
    return out;
}

char *lake_data_dir(const struct lake_partition *partitions, size_t n)
{
    char *dir = mem_strdup("");
    for (size_t i = 0; i < n; i++) {
        const char *value = partitions[i].value;
        bool none = value == NULL || value[0] == '\0';
        char *left = lake_escape(partitions[i].column, lake_must_escape);
        char *right = lake_escape(none ? "__HIVE_DEFAULT_PARTITION__" : value, lake_must_escape);
        /* A long value names its folder in part only: the value itself is in the log. */
        char *longer = mem_printf("%s%.*s=%.*s/", dir, 100, left, 150, right);
        free(left);
        free(right);
        free(dir);
        dir = longer;
    }
    return dir;
}

char *lake_data_key(const struct lake_partition *partitions, size_t n, const struct uuid *id)
{
    char text[UUID_TEXT_MAX];
    char *dir = lake_data_dir(partitions, n);
    char *key = mem_printf("%spart-%s.parquet", dir, uuid_format(id, text));
    free(dir);
    return key;
}

static bool lake_must_encode(unsigned char c)
{
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return !alnum && strchr("-_.!~*'()/=:@&+$,;", c) == NULL;
}

char *lake_action_path(const char *key)
{
    return lake_escape(key, lake_must_encode);
}

static int lake_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes percent encoding; NULL when it is malformed or holds a NUL. */
static char *lake_decode(const char *path)
{
    char *out = mem_alloc(strlen(path) + 1);
    size_t n = 0;
    for (const char *p = path; *p != '\0'; p++) {
        if (*p != '%') {
            out[n++] = *p;
            continue;
        }
        int high = lake_hex(p[1]);
        int low = high < 0 ? -1 : lake_hex(p[2]);
        if (low < 0 || high + low == 0) {
            free(out);
            return NULL;
        }
        out[n++] = (char)(high * 16 + low);
        p += 2;
    }
    out[n] = '\0';
    return out;
}

/* Splits the URL of a file into the folder that it lies in and its name. */
static int lake_resolve_absolute(const char *url_text, char **place, char **key, struct error *e)
{
    const char *slash = strrchr(url_text, '/');
    char *dir = mem_strndup(url_text, (size_t)(slash - url_text));
    struct lake_url url;
    int err = lake_url_parse(dir, &url, e);
    free(dir);
    if (err < 0)
        return err;
    if (!lake_key_is_valid(slash + 1)) {
        lake_url_done(&url);
        return error_set(e, ERR_INVALID, "%.200s: not the path of a file", url_text);
    }
    *place = lake_url_format(&url);
    *key = mem_strdup(slash + 1);
    lake_url_done(&url);
    return 0;
}

int lake_action_resolve(const char *table_place, const char *path, char **place, char **key,
                        struct error *e)
{
    char *decoded = lake_decode(path);
    int err = 0;
    if (decoded == NULL)
        return error_set(e, ERR_INVALID, "the log names a file by a malformed path: %.200s", path);
    if (decoded[0] == '/' || str_starts_with(decoded, "file:") ||
        str_starts_with(decoded, "s3://") || str_starts_with(decoded, "s3a://")) {
        err = lake_resolve_absolute(decoded, place, key, e);
    } else if (!lake_key_is_valid(decoded)) {
        err = error_set(e, ERR_INVALID, "the log names a file outside of its table: %.200s", path);
    } else {
        *place = mem_strdup(table_place);
        *key = mem_strdup(decoded);
    }
    free(decoded);
    return err;
}

/* ---- shuffle --------------------------------------------------------------------------------- */

char *lake_shuffle_prefix(const struct uuid *query)
{
    char text[UUID_TEXT_MAX];
    return mem_printf(LAKE_SHUFFLE_PREFIX "%s", uuid_format(query, text));
}

char *lake_shuffle_file(const struct uuid *query, unsigned stage, unsigned task, unsigned attempt,
                        unsigned partition)
{
    char text[UUID_TEXT_MAX];
    return mem_printf(LAKE_SHUFFLE_PREFIX "%s/%u/%u-%u/%u.parquet", uuid_format(query, text), stage,
                      task, attempt, partition);
}

char *lake_shuffle_manifest(const struct uuid *query, unsigned stage)
{
    char text[UUID_TEXT_MAX];
    return mem_printf(LAKE_SHUFFLE_PREFIX "%s/%u/SUCCESS", uuid_format(query, text), stage);
}

bool lake_key_is_shuffle(const char *key)
{
    return strncmp(key, LAKE_SHUFFLE_PREFIX, strlen(LAKE_SHUFFLE_PREFIX)) == 0;
}
