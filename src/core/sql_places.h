/* Which worker has read a file lately, and so may have it in its cache; and which worker is to run
 * which task of a stage.
 *
 * The memory is bounded: a file that isn't asked for gives way to another of the same hash. It is
 * only a hint. Files that nobody is known to have go to workers in an order that is the same on all
 * nodes, so that coordinators that know nothing of each other send a table's parts to the same
 * ones.
 */
#ifndef CORE_SQL_PLACES_H
#define CORE_SQL_PLACES_H

#include <stddef.h>
#include <stdint.h>

enum { SQL_PLACES_FILES = 65536, SQL_PLACES_NODES_MAX = 1024 };

struct sql_places;

struct sql_places *sql_places_new(void);
void sql_places_free(struct sql_places *places);

struct sql_place_file {
    const char *root, *path; /* together its name */
    uint64_t bytes;
};

/* The node has read the file. */
void sql_places_note(struct sql_places *places, const struct sql_place_file *file, uint64_t node);

struct sql_place_node {
    uint64_t id;
    unsigned running; /* tasks that it has already, as far as known here */
};

/* Chooses a node for each of `tasks` tasks: task t reads files[first[t] .. first[t + 1]). The one
 * that has most of its bytes, as long as no node gets more than its share of the tasks and what it
 * runs already is at most `slots` more than what the idlest one runs. `nodes` (1 to
 * SQL_PLACES_NODES_MAX) may be in any order; out[t] = an index of it. */
void sql_places_choose(const struct sql_places *places, const struct sql_place_file *files,
                       const size_t *first, size_t tasks, const struct sql_place_node *nodes,
                       size_t nodes_n, unsigned slots, size_t *out);

#endif
