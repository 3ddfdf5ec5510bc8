/* The words behind a backslash command, read as psql reads them.
 *
 * Words are apart by blanks. '…' knows '' and \n \t \r \b \f \\ \' \OCTAL \xHEX; "…" stays as it
 * is, quotes and all, for names of SQL; `…` is what a command of this machine writes; :name is a
 * variable. A backslash at the beginning of a word ends the words: the next command begins there,
 * two of them are only an end. */
#ifndef SHELL_META_WORDS_H
#define SHELL_META_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "shell/command.h"
#include "shell/vars.h"

enum { META_WORDS_MAX = 256, META_WORDS_OUTPUT_BYTES_MAX = 1024 * 1024 };

/* How the words of a row are read. */
enum meta_words_form {
    META_WORDS_PLAIN,
    META_WORDS_PIPE, /* a '|' in front, or behind (options), takes the rest of the line as it stands
                      */
    META_WORDS_LINE, /* all of the line as it stands */
};

/* The row with exactly the name of the command that `text` begins with, a backslash first; NULL
 * when there is none. *len is the length of the name. */
const struct command *meta_words_command(const char *text, size_t text_len, size_t *len);
enum meta_words_form meta_words_form(const struct command *command);

/* How many bytes of `text` the backslash command at its beginning takes, its newline included. */
size_t meta_words_len(const char *text, size_t text_len);

struct meta_words {
    char **texts;
    size_t n;
    size_t cap;
    int exit_code; /* of the last `…`; -1: there was none */
};

/* Reads the words in `text`, which is what follows the name. With `runs` false variables and `…`
 * are left as they stand and an open quote is no error (for completion). ERR_INVALID for a quote
 * that is not closed, ERR_TOO_LARGE past META_WORDS_MAX. Release with meta_words_done in any case.
 */
int meta_words_read(struct meta_words *words, const struct vars *vars, const char *text, size_t len,
                    enum meta_words_form form, bool runs, struct error *e);
/* Malloc'ed text that reads back as the one word `word`. */
char *meta_words_quote(const char *word);
void meta_words_done(struct meta_words *words);

#endif
