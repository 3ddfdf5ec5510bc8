/* An entry of the ordered log as a JSON object, for the journal, and back.
 *
 *   {"term":3,"at":"2026-11-28T13:45:00.123Z","kind":"message","client":"UUID","number":7,
 *    "channel":"general","from":"anna","text":"hello"}
 *   {"term":4,"at":"…","kind":"lead"}
 *   {"term":4,"at":"…","kind":"members","payload":"BASE64 of wire.ChatMembers"}
 *
 * A message that is no text (which no client of ours can send) has "payload" in place of "text". */
#ifndef ROLE_CHAT_LINE_H
#define ROLE_CHAT_LINE_H

#include "base/buf.h"
#include "base/clock.h"
#include "core/order_entry.h"

/* Remembers the second of the last time stamp, which is most often that of the next one. */
struct chat_line_clock {
    int64_t second;
    char text[CLOCK_RFC3339_MAX];
};

/* "2026-11-28T13:45:00.123Z" in the clock's memory. */
const char *chat_line_time(struct chat_line_clock *clock, int64_t wall_ms);

/* Appends the object; the buffer has no bound that it could reach. */
void chat_line_put(struct buf *b, struct chat_line_clock *clock, const struct order_entry *entry);

/* Reads the members of the line with number `seq`: what chat_line_put() wrote without its first
 * brace. The strings of `entry` lie in `arena`, which grows and may move: see chat_line_batch.
 * ERR_CORRUPT: something else. */
struct chat_line_batch {
    struct order_entry *entries;
    size_t n;
    size_t cap;
    struct buf arena;
    size_t *offsets; /* of each entry's strings in the arena */
    size_t offsets_cap;
    char second[CLOCK_RFC3339_MAX]; /* the last time stamp up to its milliseconds, */
    int64_t second_ms;              /* and what it stands for */
};

void chat_line_batch_init(struct chat_line_batch *batch);
void chat_line_batch_done(struct chat_line_batch *batch);
void chat_line_batch_clear(struct chat_line_batch *batch);
int chat_line_batch_add(struct chat_line_batch *batch, uint64_t seq, const char *members,
                        size_t len);
/* Sets the strings of the entries, when all were added. */
void chat_line_batch_finish(struct chat_line_batch *batch);

#endif
