/* The commands of clusterd as rows: what they take, what they do. Their parser (clusterd.c), help,
 * clusterd(8) and completion come from here. */
#ifndef CLUSTERD_CLI_H
#define CLUSTERD_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

enum { CLI_OPTIONS_MAX = 24 };

/* What the value of an option or an argument is. */
enum cli_type { CLI_FLAG, CLI_COUNT, CLI_FILE, CLI_FOLDER, CLI_SETTING };

struct cli_option {
    int letter; /* that a row of commands names it by; also on the command line if `is_short` */
    bool is_short;
    const char *name;
    enum cli_type type;
    const char *value; /* placeholder, NULL for flags */
    const char *help;
};

struct cli_command {
    const char *name;
    const char *synopsis;
    const char *summary;
    const char *text;       /* paragraphs, may be NULL */
    const char *options;    /* letters of those that it takes */
    const char *words;      /* what its first argument may be, "check|show|reference", or NULL */
    enum cli_type argument; /* what comes behind them; CLI_FLAG: nothing */
    int args_max;
};

extern const struct cli_option cli_options[]; /* a NULL name ends them */
extern const struct cli_command cli_commands[];

const struct cli_command *cli_find(const char *name);

void cli_help(FILE *out);
void cli_help_one(const struct cli_command *command, FILE *out);

/* Manual pages: names of all, a line each; one of them, ERR_NOT_FOUND when there is none. */
void cli_man_list(struct buf *b);
int cli_man_page(const char *page, struct buf *b);
/* clusterd.yaml(5). */
void config_man(struct buf *b);

/* Prints what the last of `words`, behind the program's name, may become: "TEXT\tABOUT" a line,
 * then
 * ":" and letters: 'f' or 'd' when files or folders may stand there, 'n' when no space belongs
 * behind. */
void cli_complete(const char *const *words, size_t n, FILE *out);

#endif
