#include "run/http_status.h"

#include <errno.h>

#include "base/error.h"

unsigned http_status_of(int code)
{
    switch (code) {
    case ERR_INVALID:
    case ERR_PROTOCOL:
    case ERR_VERSION:
    case -EINVAL:
        return 400;
    case ERR_UNAUTHORIZED:
        return 401;
    case ERR_FORBIDDEN:
    case ERR_WRONG_CLUSTER:
    case -EACCES:
    case -EPERM:
        return 403;
    case ERR_NOT_FOUND:
    case -ENOENT:
        return 404;
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_CANCELLED:
    case -EEXIST:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_BUSY:
    case ERR_NOT_LEADER:
    case ERR_NO_LEADER:
    case ERR_UNAVAILABLE:
    case ERR_CLOSED:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EPIPE:
        return 503;
    case ERR_TIMEOUT:
    case ERR_OUTCOME_UNKNOWN:
    case -ETIMEDOUT:
        return 504;
    case -ENOSPC:
    case -EDQUOT:
        return 507;
    default:
        return 500;
    }
}

int http_status_error(unsigned status)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
    case 410:
        return ERR_NOT_FOUND;
    case 408:
    case 504:
        return ERR_TIMEOUT;
    case 409:
    case 412:
        return ERR_CONFLICT;
    case 413:
    case 414:
    case 431:
        return ERR_TOO_LARGE;
    case 405:
    case 415:
    case 501:
        return ERR_UNSUPPORTED;
    case 429:
        return ERR_BUSY;
    case 502:
    case 503:
        return ERR_UNAVAILABLE;
    case 507:
        return -ENOSPC;
    default:
        if (status < 400)
            return 0;
        return status < 500 ? ERR_INVALID : ERR_INTERNAL;
    }
}

const char *http_status_name(unsigned status)
{
    switch (status) {
    case 405:
        return "method_not_allowed";
    case 411:
        return "length_required";
    case 414:
        return "uri_too_long";
    case 415:
        return "unsupported_type";
    case 429:
        return "too_many_requests";
    default:
        return err_name(http_status_error(status));
    }
}
