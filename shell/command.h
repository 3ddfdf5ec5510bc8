/* Commands: what a row says, how words become a call.
 *
 * A command is one const row in the file that implements it; command_table.c lists the rows. From a
 * row come the parser, `help`, --help, unique-prefix lookup, completion, docs/commands.md and the
 * man pages. Nothing about a command's form is written anywhere else. */
#ifndef SHELL_COMMAND_H
#define SHELL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct shell;
struct command_call;

enum {
    COMMAND_OPTIONS_MAX = 32,
    COMMAND_ARGUMENTS_MAX = 4,
    COMMAND_EXAMPLES_MAX = 4,
    COMMAND_WORDS_MAX = 4096, /* of one statement */
};

/* What a value is: decides how it is checked and how it is completed. */
enum command_type {
    COMMAND_TYPE_FLAG, /* an option without a value */
    COMMAND_TYPE_TEXT,
    COMMAND_TYPE_COUNT, /* 0 and up */
    COMMAND_TYPE_NUMBER,
    COMMAND_TYPE_DURATION, /* number holds milliseconds */
    COMMAND_TYPE_BYTES,
    COMMAND_TYPE_CHOICE, /* one of `choices` */
    COMMAND_TYPE_NODE,
    COMMAND_TYPE_NODES, /* a set: n[1-3], @worker, ... */
    COMMAND_TYPE_JOB,   /* a job, or one element of it: ID_7 */
    COMMAND_TYPE_FILE,
    COMMAND_TYPE_FORMAT, /* of output */
    COMMAND_TYPE_KEY,    /* of the key-value store */
    COMMAND_TYPE_COMMAND,
};

enum command_count {
    COMMAND_COUNT_ONE,
    COMMAND_COUNT_OPTIONAL,
    COMMAND_COUNT_MANY, /* one or more */
    COMMAND_COUNT_ARGV, /* one or more, the rest of the line, usually behind "--" */
    COMMAND_COUNT_LINE, /* meta-commands: the rest of the line as it stands, may be empty */
};

struct command_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum command_type type;
    const char *value;   /* placeholder in help: "N"; NULL for flags */
    const char *choices; /* "a|b|c" */
    bool repeats;
    const char *help;
};

struct command_argument {
    const char *name; /* "JOB"; NULL ends the list */
    enum command_type type;
    enum command_count count;
    const char *choices;
    const char *help;
};

struct command_example {
    const char *line;
    const char *what;
};

struct command {
    const char *name;    /* "job submit"; meta-commands begin with a backslash */
    const char *summary; /* one line, no full stop */
    const char *text;    /* further paragraphs, may be NULL */
    struct command_option options[COMMAND_OPTIONS_MAX]; /* a NULL name ends them */
    struct command_argument arguments[COMMAND_ARGUMENTS_MAX];
    struct command_example examples[COMMAND_EXAMPLES_MAX];
    /* Returns an exit status: enum shell_status, or what the command it ran gave. */
    int (*run)(struct shell *shell, const struct command_call *call);
};

/* One given option or argument, checked against its type. */
struct command_value {
    const char *text;
    uint64_t number; /* COUNT, DURATION (ms), BYTES */
    int64_t integer; /* NUMBER */
};

/* A statement that fits its row. Texts are borrowed from the words it was parsed from. */
struct command_call {
    const struct command *command;
    size_t n_words; /* of the command's name */
    struct {
        struct command_value *values;
        size_t n;
        size_t cap;
    } options[COMMAND_OPTIONS_MAX]; /* as the row's options */
    struct {
        struct command_value *values;
        size_t n;
        size_t cap;
    } arguments[COMMAND_ARGUMENTS_MAX];
    bool help; /* --help was among the options; nothing else was checked */
};

extern const struct command *const command_table[]; /* in the order of `help`; NULL ends it */

/* Finds the row for the first words: each is a unique prefix of a word of the name, an exact word
 * wins. Sets *n_words to how many words the name took. ERR_NOT_FOUND ("unknown command: …, did you
 * mean …"), ERR_CONFLICT ("ambiguous command: …, could be: …"). */
int command_find(const char *const *words, size_t n, const struct command **command,
                 size_t *n_words, struct error *e);

/* Parses words (the command's name included). ERR_INVALID and what is wrong with it in `e`. `call`
 * is initialised by this in any case: release it with command_call_done. */
int command_parse(const struct command *command, size_t n_words, const char *const *words, size_t n,
                  struct command_call *call, struct error *e);
void command_call_done(struct command_call *call);

/* The option's last value, NULL when it was not given. Asserts that the row has such an option. */
const struct command_value *command_option(const struct command_call *call, const char *name);
const char *command_option_text(const struct command_call *call, const char *name);
bool command_option_given(const struct command_call *call, const char *name);
/* Every value of a repeated option. */
const struct command_value *command_option_all(const struct command_call *call, const char *name,
                                               size_t *n);
/* Values of the row's argument `index`; *n is 0 and the result NULL when there are none. */
const struct command_value *command_argument_all(const struct command_call *call, size_t index,
                                                 size_t *n);
const char *command_argument_text(const struct command_call *call, size_t index);

#endif
