/* One question about tables to whoever leads: asked again while a leader is looked for, which is
 * safe because every change carries an id. */
#ifndef ROLE_CATALOG_CALL_H
#define ROLE_CATALOG_CALL_H

#include "wire/lake.pb-c.h"

struct node;
struct catalog_call;

enum {
    CATALOG_CALL_PATIENCE_MS = 10000, /* without a leader */
    CATALOG_CALL_TIMEOUT_MS = 10000,  /* for one answer */
};

/* `reply` is NULL with ERR_NO_LEADER and the like; else its code is 0 or final. */
typedef void (*catalog_call_fn)(void *arg, int code, const char *text,
                                const Wire__CatalogReply *reply);

/* Copies the request. `fn` is called once, never from inside a function of this header. */
struct catalog_call *catalog_call_start(struct node *node, const Wire__CatalogRequest *request,
                                        catalog_call_fn fn, void *arg);
/* `fn` is not called any more. Only before it was. */
void catalog_call_cancel(struct catalog_call *call);

#endif
