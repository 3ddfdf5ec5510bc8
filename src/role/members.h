/* The list of members as the leader keeps it: the nodes table in memory, changed through the log,
 * told to everybody. Active only while this node leads. */
#ifndef ROLE_MEMBERS_H
#define ROLE_MEMBERS_H

#include "role/changes.h"
#include "role/node.h"

struct members;

struct members *members_new(struct node *node, struct state *state, struct changes *changes);
void members_free(struct members *members);

/* This node leads now: reads the table, tells everybody, then calls `ready`. */
void members_activate(struct members *members, void (*ready)(void *arg), void *arg);
void members_deactivate(struct members *members);

/* `node` is the row as it is now; NULL with a code. */
typedef void (*members_done_fn)(void *arg, int code, const Wire__Node *node);

/* Writes a row (id 0: a new member, which gets one). `done` (may be NULL) comes when it is durable
 * and everybody is being told. */
void members_put(struct members *members, const Wire__Node *row, members_done_fn done, void *arg);

/* The row of a member, with changes that are not durable yet; NULL when there is none. */
const Wire__Node *members_get(const struct members *members, uint64_t id);
const Wire__Node *members_find_uuid(const struct members *members, const char *uuid);
const Wire__Node *members_find_name(const struct members *members, const char *name);

/* malloc'ed deep copy, to be changed and put; free with wire__node__free_unpacked(). */
Wire__Node *members_copy(const Wire__Node *row);

/* Tells one linked peer, or everybody, who the members are and who leads. */
void members_tell(struct members *members, uint64_t peer);
void members_tell_all(struct members *members);

/* The secret that joining nodes show; "" before it is known. */
const char *members_join_token(const struct members *members);

#endif
