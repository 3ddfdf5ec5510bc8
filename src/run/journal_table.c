#include "run/journal_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { NAME_DIGITS = 20 };

void journal_table_init(struct journal_table *table)
{
    *table = (struct journal_table){.generation = 1};
    pthread_mutex_init(&table->mutex, NULL);
    TAILQ_INIT(&table->segments);
}

void journal_table_done(struct journal_table *table)
{
    struct journal_segment *segment;
    while ((segment = TAILQ_FIRST(&table->segments)) != NULL)
        journal_table_remove(table, segment);
    free(table->damage);
    pthread_mutex_destroy(&table->mutex);
}

void journal_name(char name[static JOURNAL_NAME_MAX], uint64_t first)
{
    (void)snprintf(name, JOURNAL_NAME_MAX, "%0*" PRIu64 JOURNAL_SUFFIX, NAME_DIGITS, first);
}

bool journal_name_parse(const char *name, uint64_t *first)
{
    char digits[NAME_DIGITS + 1] = "";
    if (strlen(name) != NAME_DIGITS + strlen(JOURNAL_SUFFIX) ||
        strcmp(name + NAME_DIGITS, JOURNAL_SUFFIX) != 0)
        return false;
    memcpy(digits, name, NAME_DIGITS);
    return str_parse_u64(digits, 1, UINT64_MAX - 1, first) == 0;
}

struct journal_segment *journal_segment_new(uint64_t first)
{
    struct journal_segment *segment = mem_zalloc(sizeof *segment);
    segment->first = first;
    segment->last = first - 1;
    return segment;
}

void journal_segment_free(struct journal_segment *segment)
{
    free(segment->places);
    free(segment);
}

void journal_segment_note(struct journal_segment *segment, uint64_t seq, uint64_t offset)
{
    size_t n = segment->places_n;
    if (n > 0 && offset - segment->places[n - 1].offset < JOURNAL_INDEX_STEP_BYTES)
        return;
    MEM_GROW(segment->places, segment->places_cap, n + 1);
    segment->places[n] = (struct journal_place){.seq = seq, .offset = offset};
    segment->places_n++;
}

uint64_t journal_segment_seek(const struct journal_segment *segment, uint64_t seq)
{
    size_t low = 0;
    size_t high = segment->places_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->places[middle].seq <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? segment->lines_at : segment->places[low - 1].offset;
}

void journal_segment_cut(struct journal_segment *segment, uint64_t seq)
{
    while (segment->places_n > 0 && segment->places[segment->places_n - 1].seq >= seq)
        segment->places_n--;
}

void journal_table_add(struct journal_table *table, struct journal_segment *segment)
{
    TAILQ_INSERT_TAIL(&table->segments, segment, entry);
    table->segments_n++;
    table->bytes += segment->bytes;
}

void journal_table_remove(struct journal_table *table, struct journal_segment *segment)
{
    TAILQ_REMOVE(&table->segments, segment, entry);
    table->segments_n--;
    table->bytes -= segment->bytes;
    journal_segment_free(segment);
}

struct journal_segment *journal_table_find(const struct journal_table *table, uint64_t seq)
{
    struct journal_segment *segment;
    TAILQ_FOREACH_REVERSE(segment, &table->segments, journal_segment_list, entry)
    if (segment->first <= seq)
        return segment;
    return NULL;
}

void journal_table_add_damage(struct journal_table *table, const struct journal_damage *damage)
{
    size_t at = table->damage_n;
    for (size_t i = 0; i < table->damage_n; i++) {
        const struct journal_damage *known = &table->damage[i];
        if (known->first == damage->first)
            return;
        if (known->first > damage->first && at == table->damage_n)
            at = i;
    }
    MEM_GROW(table->damage, table->damage_cap, table->damage_n + 1);
    memmove(table->damage + at + 1, table->damage + at,
            (table->damage_n - at) * sizeof *table->damage);
    table->damage[at] = *damage;
    table->damage_n++;
}

void journal_table_forget_damage(struct journal_table *table, uint64_t first, uint64_t last)
{
    size_t kept = 0;
    struct journal_damage behind = {.first = 0};
    for (size_t i = 0; i < table->damage_n; i++) {
        struct journal_damage damage = table->damage[i];
        if (damage.first >= first && damage.last <= last)
            continue;
        if (damage.first < first && damage.last > last) {
            behind = damage;
            behind.first = last + 1;
        }
        if (damage.first < first && damage.last >= first)
            damage.last = first - 1;
        else if (damage.first <= last && damage.last > last)
            damage.first = last + 1;
        table->damage[kept++] = damage;
    }
    table->damage_n = kept;
    if (behind.first > 0)
        journal_table_add_damage(table, &behind);
}
