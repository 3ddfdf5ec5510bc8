/* clustersh on a terminal, in front of a fake cluster, in a folder of its own. */
#ifndef TESTS_LIB_SHELL_BED_H
#define TESTS_LIB_SHELL_BED_H

#include "tests/lib/fake_cluster.h"
#include "tests/lib/screen.h"

#define SHELL_BED_PROMPT "clustersh n1 (leader n1)> "

struct shell_bed {
    char dir[64];
    char socket_path[96];
    char history[96];
    struct fake_cluster *cluster;
    struct screen *screen;
};

/* As cmocka wants them. */
int shell_bed_set_up(void **state);
int shell_bed_tear_down(void **state);

/* Sets what the environment of the tests must have; once, in main. */
void shell_bed_environment(void);

/* Starts it, again if it ran, with up to four arguments; waits for the prompt on 24x80. */
struct screen *shell_bed_open(struct shell_bed *bed);
struct screen *shell_bed_open_as(struct shell_bed *bed, const char *term, unsigned short rows,
                                 unsigned short columns, const char *const *arguments);

/* Types a statement, Enter, and waits for the next prompt. */
void shell_bed_run(struct shell_bed *bed, const char *line);

/* A file in the folder; its path is static. */
const char *shell_bed_write(struct shell_bed *bed, const char *name, const char *text);
/* The same as a program that runs. */
const char *shell_bed_script(struct shell_bed *bed, const char *name, const char *text);
/* What a file of the folder holds, malloc'ed; "" when it is not there. */
char *shell_bed_read(struct shell_bed *bed, const char *name);

#endif
