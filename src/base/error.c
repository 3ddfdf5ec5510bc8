#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define ERR_CASE(symbol, number, api_name, text)                                                   \
    case symbol:                                                                                   \
        return text;
        ERR_LIST(ERR_CASE)
#undef ERR_CASE
    default:
        break;
    }
    const char *text = code < 0 ? strerrordesc_np(-code) : NULL;
    return text != NULL ? text : "unknown error";
}

const char *err_name(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define ERR_CASE(symbol, number, api_name, text)                                                   \
    case symbol:                                                                                   \
        return api_name;
        ERR_LIST(ERR_CASE)
#undef ERR_CASE
    case -ENOENT:
        return "not_found";
    case -EEXIST:
        return "exists";
    case -EACCES:
    case -EPERM:
        return "forbidden";
    case -ENOSPC:
    case -EDQUOT:
        return "disk_full";
    case -ENOMEM:
        return "out_of_memory";
    case -EADDRINUSE:
        return "address_in_use";
    case -EINVAL:
        return "invalid";
    case -ETIMEDOUT:
        return "timeout";
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EPIPE:
        return "unavailable";
    default:
        return "io";
    }
}

int err_from_name(const char *name)
{
    if (strcmp(name, "ok") == 0)
        return 0;
    if (strcmp(name, "disk_full") == 0)
        return -ENOSPC;
    if (strcmp(name, "out_of_memory") == 0)
        return -ENOMEM;
    if (strcmp(name, "address_in_use") == 0)
        return -EADDRINUSE;
    if (strcmp(name, "io") == 0)
        return -EIO;
#define ERR_IF(symbol, number, api_name, text)                                                     \
    if (strcmp(name, api_name) == 0)                                                               \
        return symbol;
    ERR_LIST(ERR_IF)
#undef ERR_IF
    return ERR_INTERNAL;
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
    if (e == NULL)
        return code;
    va_list args;
    va_start(args, fmt);
    e->code = code;
    (void)vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    return code;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
    if (e == NULL)
        return ERR_INTERNAL;
    char old[ERROR_TEXT_MAX];
    memcpy(old, e->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 2 < sizeof e->text) {
        memcpy(e->text + n, ": ", 2);
        (void)memccpy(e->text + n + 2, old, '\0', sizeof e->text - (size_t)n - 2);
        e->text[sizeof e->text - 1] = '\0';
    }
    return e->code;
}
