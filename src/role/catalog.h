/* The leader's side of tables: what CatalogRequests ask is proposed or read here. */
#ifndef ROLE_CATALOG_H
#define ROLE_CATALOG_H

#include <stdint.h>

#include "wire/lake.pb-c.h"

struct node;

/* Called when a table has an entry that is not published, on the leader. */
typedef void (*catalog_grown_fn)(void *arg, const uint8_t id[16]);

struct catalog;

struct catalog *catalog_new(struct node *node, catalog_grown_fn fn, void *arg);
void catalog_stop(struct catalog *catalog); /* no more requests, no more calls of `fn` */
void catalog_free(struct catalog *catalog);

/* Answers with a CatalogReply to `from`. */
void catalog_receive(struct catalog *catalog, uint64_t from, const Wire__CatalogRequest *request);

#endif
