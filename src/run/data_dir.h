/* The data directory of a node: one owner at a time, a format version, an identity that lasts.
 *
 *     lock       flock'ed by the owner; holds its pid
 *     format     version of the layout and of the program that wrote it
 *     identity   JSON: node_uuid, cluster_id, node_id, name
 *
 * The directory and everything below it are readable by the owner only.
 */
#ifndef RUN_DATA_DIR_H
#define RUN_DATA_DIR_H

#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"

enum { DATA_DIR_FORMAT = 1, DATA_DIR_NAME_MAX = 64 };

struct data_dir;

struct data_dir_identity {
    char node_uuid[UUID_TEXT_MAX];  /* made when the directory was; never changes */
    char cluster_id[UUID_TEXT_MAX]; /* "": in no cluster yet */
    uint64_t node_id;               /* 0: in no cluster yet */
    char name[DATA_DIR_NAME_MAX];   /* "": not named yet */
};

/* Opens `path`, creating it (0700, parents too) when it is not there, and locks it. ERR_BUSY: "...
 * is in use by pid N"; ERR_VERSION: written in a newer format; ERR_INVALID: neither empty nor a
 * data directory; ERR_CORRUPT: an identity that is unreadable or missing; -errno. */
int data_dir_open(const char *path, struct data_dir **out, struct error *e);
void data_dir_close(struct data_dir *dir); /* unlocks; NULL allowed */

const char *data_dir_path(const struct data_dir *dir); /* absolute; owned by `dir` */

const struct data_dir_identity *data_dir_identity(const struct data_dir *dir);

/* Makes a new identity durable; on failure the old one stays. The node_uuid must be the same. */
int data_dir_set_identity(struct data_dir *dir, const struct data_dir_identity *identity,
                          struct error *e);

/* Returns the malloc'ed path of the subdirectory `name` ("tasks", "raft/snapshots"), which it
 * creates (0700) when it is not there, durably; NULL with `e` set on failure. */
char *data_dir_subdir(struct data_dir *dir, const char *name, struct error *e);

#endif
