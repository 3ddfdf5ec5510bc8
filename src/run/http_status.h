/* The one place where error codes meet HTTP status codes. */
#ifndef RUN_HTTP_STATUS_H
#define RUN_HTTP_STATUS_H

/* The status that says what `code` (negative, of base/error.h or -errno) says. */
unsigned http_status_of(int code);

/* The code for an answer of `status`; 0 for 1xx to 3xx. For clients. */
int http_status_error(unsigned status);

/* "not_found" for the statuses that the server itself answers with. Never NULL. */
const char *http_status_name(unsigned status);

#endif
