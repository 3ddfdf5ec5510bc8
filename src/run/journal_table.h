/* The segments of a journal as its loop and its writer both see them, and what is damaged.
 *
 * Everything here is under `mutex`, except for the opener, who is alone. */
#ifndef RUN_JOURNAL_TABLE_H
#define RUN_JOURNAL_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "run/journal.h"

enum { JOURNAL_NAME_MAX = 32, JOURNAL_INDEX_STEP_BYTES = 64 << 10 };

#define JOURNAL_SUFFIX ".jsonl"

/* Where a line begins. */
struct journal_place {
    uint64_t seq;
    uint64_t offset;
};

struct journal_segment {
    uint64_t first;
    uint64_t last;     /* first - 1: none */
    uint64_t bytes;    /* of head and lines, durable */
    uint64_t lines_at; /* offset of the first line */
    int64_t at_ms;
    struct journal_place *places; /* one for each JOURNAL_INDEX_STEP_BYTES at most, growing */
    size_t places_n;
    size_t places_cap;
    TAILQ_ENTRY(journal_segment) entry;
};

TAILQ_HEAD(journal_segment_list, journal_segment);

struct journal_table {
    pthread_mutex_t mutex;
    struct journal_segment_list segments; /* oldest first; never empty once opened */
    struct journal_damage *damage;        /* by `first` */
    size_t damage_n;
    size_t damage_cap;
    uint64_t generation; /* grows before lines that were durable change their place or go */
    uint64_t bytes;
    unsigned segments_n;
};

void journal_table_init(struct journal_table *table);
void journal_table_done(struct journal_table *table);

void journal_name(char name[static JOURNAL_NAME_MAX], uint64_t first);
/* False when `name` is no segment's. */
bool journal_name_parse(const char *name, uint64_t *first);

struct journal_segment *journal_segment_new(uint64_t first);
void journal_segment_free(struct journal_segment *segment);
/* Notes that line `seq` begins at `offset`, if the index wants to know. */
void journal_segment_note(struct journal_segment *segment, uint64_t seq, uint64_t offset);
/* Where to begin to read for `seq`. */
uint64_t journal_segment_seek(const struct journal_segment *segment, uint64_t seq);
/* Forgets the places of lines from `seq` on. */
void journal_segment_cut(struct journal_segment *segment, uint64_t seq);

/* Adds at the end, or removes and frees. */
void journal_table_add(struct journal_table *table, struct journal_segment *segment);
void journal_table_remove(struct journal_table *table, struct journal_segment *segment);
/* The last segment that begins at or before `seq`; NULL when all begin behind it. */
struct journal_segment *journal_table_find(const struct journal_table *table, uint64_t seq);

/* Adds what is not known yet. */
void journal_table_add_damage(struct journal_table *table, const struct journal_damage *damage);
/* Forgets damage as far as it lies in [first, last]. */
void journal_table_forget_damage(struct journal_table *table, uint64_t first, uint64_t last);

#endif
