/* Objects in buckets, over HTTP. Source: Amazon S3 API Reference. Between object_store.c and here.
 */
#ifndef RUN_OBJECT_S3_H
#define RUN_OBJECT_S3_H

#include <stdbool.h>

#include "run/object_internal.h"

struct object_s3;

/* Copies the options. ERR_INVALID: the endpoint is none. */
int object_s3_new(struct object_s3 **out, struct loop *loop, struct http_client *http,
                  const struct object_s3_options *options, struct error *e);
void object_s3_free(struct object_s3 *s3); /* no call is under way */

/* Begins the call; object_call_finish() ends it, never from inside this. */
void object_s3_start(struct object_s3 *s3, struct object_call *call);
/* It will not be finished; what it has begun (a multipart upload) is undone as far as possible.
 * True when the call's memory is the caller's at once, false when object_call_finish() still comes.
 */
bool object_s3_cancel(struct object_call *call);

#endif
