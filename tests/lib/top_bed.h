/* A bed for tests of clustertop: a simulated cluster (fake_top.h) and a terminal (screen.h). */
#ifndef TESTS_LIB_TOP_BED_H
#define TESTS_LIB_TOP_BED_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/lib/fake_top.h"
#include "tests/lib/screen.h"

struct top_bed {
    char dir[64];
    char socket_path[96];
    char program[512];
    struct fake_top *top;
    struct screen *screen;
};

/* For cmocka: *state is a bed without a cluster, whose socket the programs look for. */
int top_bed_set_up(void **state);
int top_bed_tear_down(void **state);

void top_bed_begin(struct top_bed *w, unsigned nodes, double rate, bool is_hostile);
/* Starts clustertop, in the place of the one before. `option` may be NULL. */
struct screen *top_bed_open(struct top_bed *w, const char *term, unsigned short rows,
                            unsigned short columns, const char *option);
/* On a usual terminal, with three nodes where there is no cluster yet, which it waits for. */
struct screen *top_bed_open_usual(struct top_bed *w);
/* Whether the terminal is what it was: the last of what was written leaves the other screen. */
void top_bed_check_restored(struct screen *s);
/* Runs a command of the shell; its exit status. */
int top_bed_run(const char *command, char *out, size_t size);

#endif
