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
    COMMAND_OPTIONS_MAX = 28,
    COMMAND_ARGUMENTS_MAX = 4,
    COMMAND_EXAMPLES_MAX = 5,
    COMMAND_HINT_MAX = 256,
};

/* What a value is: decides how it is checked and how it is completed. */
enum command_type {
    COMMAND_TYPE_FLAG, /* an option without a value */
    COMMAND_TYPE_TEXT,
    COMMAND_TYPE_COUNT, /* 0 to 2^32 - 1 */
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
    COMMAND_TYPE_PIPE,     /* meta-commands: a file, or '|' and a command that takes the line */
    COMMAND_TYPE_VARIABLE, /* of the shell */
    COMMAND_TYPE_SETTING,  /* of \pset */
    COMMAND_TYPE_ENDPOINT, /* or a node's name */
    COMMAND_TYPE_TABLE,
    COMMAND_TYPE_FUNCTION, /* of SQL */
    COMMAND_TYPE_SQL,      /* a statement's first words: CREATE TABLE */
    COMMAND_TYPE_MODEL,
    COMMAND_TYPE_SERVICE,
    COMMAND_TYPE_CHANNEL,
    COMMAND_TYPE_TXN,
    COMMAND_TYPE_KINDS, /* of events: job.*,raft.lead */
    COMMAND_TYPE_QUERY,
};

enum command_count {
    COMMAND_COUNT_ONE,
    COMMAND_COUNT_OPTIONAL,
    COMMAND_COUNT_MANY,          /* one or more */
    COMMAND_COUNT_ARGV,          /* one or more: the rest of the words, usually behind "--" */
    COMMAND_COUNT_ARGV_OPTIONAL, /* the same, or none */
    COMMAND_COUNT_ANY,           /* none or more */
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

/* A name and what it means: an exit status, a variable, a file. */
struct command_note {
    const char *name; /* NULL ends a list */
    const char *help;
};

struct command {
    const char *name;    /* "job submit"; meta-commands begin with a backslash */
    const char *also;    /* another word for it, as a whole; NULL: none */
    const char *summary; /* one line, no full stop */
    const char *text;    /* further paragraphs, may be NULL */
    struct command_option options[COMMAND_OPTIONS_MAX]; /* a NULL name ends them */
    const struct command_option *shared;                /* with other rows; may be NULL */
    bool is_bare; /* does not take the common options (-o, --help) */
    struct command_argument arguments[COMMAND_ARGUMENTS_MAX];
    struct command_example examples[COMMAND_EXAMPLES_MAX];
    const struct command_note *statuses;    /* of exit, where they are its own; may be NULL */
    const struct command_note *environment; /* may be NULL */
    const struct command_note *files;       /* may be NULL */
    /* Returns an exit status: enum shell_status, or what the command it ran gave. */
    int (*run)(struct shell *shell, const struct command_call *call);
};

/* One given option or argument, checked against its type. */
struct command_value {
    const char *text;
    size_t at;       /* which of the words it was: tells the order of different options */
    uint64_t number; /* COUNT, DURATION (ms), BYTES */
    int64_t integer; /* NUMBER */
};

struct command_values {
    struct command_value *values;
    size_t n;
    size_t cap;
};

/* A statement that fits its row. Texts are borrowed from the words it was parsed from. */
struct command_call {
    const struct command *command;
    struct command_values options[COMMAND_OPTIONS_MAX];     /* as command_option_at numbers them */
    struct command_values arguments[COMMAND_ARGUMENTS_MAX]; /* as the row's arguments */
    bool help;     /* --help was given: nothing behind it was checked */
    char **joined; /* sets of nodes that stood in several words */
    size_t n_joined;
    size_t joined_cap;
};

extern const struct command *const command_table[]; /* in the order of `help`; NULL ends it */

/* Finds the row for the first words: each is a unique prefix of a word of the name, an exact word
 * wins. *n_words is how many words the name took. ERR_NOT_FOUND ("unknown command: …"),
 * ERR_CONFLICT ("ambiguous command: …, could be: …"), ERR_INVALID for a group without a command
 * ("node needs a command: list, …"). `hint` gets what to do next. */
int command_find(const char *const *words, size_t n, const struct command **command,
                 size_t *n_words, struct error *e, char hint[static COMMAND_HINT_MAX]);

/* True for names that begin with a backslash. */
bool command_is_meta(const struct command *command);

/* The row's `index`-th option: its own, the shared ones, then the common ones, which meta-commands
 * and bare rows don't take. NULL behind the last. */
const struct command_option *command_option_at(const struct command *command, size_t index);

/* Parses the words behind the command's name. `line` is the text behind the first word of a
 * statement, for rows that take it as it stands; NULL when words came as program arguments.
 * ERR_INVALID and what is wrong in `e`. Sets `call` in any case: release with command_call_done. */
int command_parse(const struct command *command, const char *const *words, size_t n,
                  const char *line, struct command_call *call, struct error *e);
void command_call_done(struct command_call *call);

/* True when `text` is one of "a|b|c". */
bool command_choices_has(const char *choices, const char *text);

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
