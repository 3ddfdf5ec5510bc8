/* Help and reference documentation, all from the rows. */
#ifndef SHELL_COMMAND_HELP_H
#define SHELL_COMMAND_HELP_H

#include <stddef.h>

#include "base/buf.h"
#include "shell/command.h"

struct shell;

enum { COMMAND_HELP_BYTES_MAX = 4 * 1024 * 1024, COMMAND_HELP_WIDTH = 80 };

/* "job show [OPTION]... JOB" */
void command_help_usage(const struct command *command, struct buf *b);
/* Usage, what it does, arguments, options, examples, within `width` columns. */
void command_help_text(const struct command *command, size_t width, struct buf *b);
/* "  -f, --follow     what it does", the text from `column` on. */
void command_help_row(const char *left, const char *right, size_t column, size_t width,
                      struct buf *b);
/* One line for each command whose name begins with `prefix` ("" for all), meta-commands last. */
void command_help_list(const char *prefix, size_t width, struct buf *b);

/* Print one of them; return an exit status. */
int command_help_one(struct shell *shell, const struct command *command);
int command_help_all(struct shell *shell);
int command_help_meta(struct shell *shell); /* the backslash commands */
/* `words` may be a command, a group such as "job", a topic (shell/topic.h), "topics" or "sql",
 * which list them, or none of these, which is said. */
int command_help_group(struct shell *shell, const char *const *words, size_t n);

/* The whole table: as JSON for completions and man pages, as Markdown for docs/commands.md.
 * `program` is the row of the program's own options. */
void command_docs_json(const struct command *program, struct buf *b);
void command_docs_markdown(const struct command *program, struct buf *b);

#endif
