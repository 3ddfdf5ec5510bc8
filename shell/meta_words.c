#include "shell/meta_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/interpolate.h"

static bool meta_words_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

const struct command *meta_words_command(const char *text, size_t text_len, size_t *len)
{
    size_t n = 1;
    if (text_len > 1 && text[1] == '!')
        n = 2; /* as psql: \!ls */
    while (n > 0 && n < text_len && text[1] != '!' && text[n] != '\n' && text[n] != '\\' &&
           !meta_words_is_blank(text[n]))
        n++;
    *len = n < text_len ? n : text_len;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const char *name = command_table[i]->name;
        if (name[0] == '\\' && strlen(name) == *len && memcmp(name, text, *len) == 0)
            return command_table[i];
    }
    return NULL;
}

enum meta_words_form meta_words_form(const struct command *command)
{
    if (command == NULL || command->arguments[0].name == NULL)
        return META_WORDS_PLAIN;
    if (command->arguments[0].count == COMMAND_COUNT_LINE)
        return META_WORDS_LINE;
    return command->arguments[0].type == COMMAND_TYPE_PIPE ? META_WORDS_PIPE : META_WORDS_PLAIN;
}

/* Behind the quote that opens at `at`; `len` when it is not closed. */
static size_t meta_words_skip_quote(const char *text, size_t len, size_t at)
{
    char quote = text[at++];
    while (at < len && text[at] != quote)
        at += text[at] == '\\' && quote == '\'' && at + 1 < len ? 2 : 1;
    return at < len ? at + 1 : len;
}

/* Where a command line begins that takes the rest, behind options in parentheses; `len` if nowhere.
 */
static size_t meta_words_pipe(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && meta_words_is_blank(text[at]))
        at++;
    if (at < len && text[at] == '(') {
        while (at < len && text[at] != ')')
            at++;
        at += at < len;
        while (at < len && meta_words_is_blank(text[at]))
            at++;
    }
    return at < len && text[at] == '|' ? at : len;
}

/* Where the words end: the newline, a backslash that begins a word, or `len`. */
static size_t meta_words_end(const char *text, size_t len, enum meta_words_form form)
{
    size_t at = 0;
    const char *newline = memchr(text, '\n', len);
    size_t line = newline != NULL ? (size_t)(newline - text) : len;
    if (form == META_WORDS_LINE || (form == META_WORDS_PIPE && meta_words_pipe(text, line) < line))
        return line;
    for (at = 0; at < len && text[at] != '\n';) {
        bool begins = at == 0 || meta_words_is_blank(text[at - 1]);
        if (begins && text[at] == '\\')
            return at;
        bool is_quote = text[at] == '\'' || text[at] == '"' || text[at] == '`';
        at = is_quote ? meta_words_skip_quote(text, len, at) : at + 1;
    }
    return at;
}

size_t meta_words_len(const char *text, size_t text_len)
{
    size_t name;
    if (text_len >= 2 && text[1] == '\\')
        return 2;
    const struct command *command = meta_words_command(text, text_len, &name);
    size_t end = name + meta_words_end(text + name, text_len - name, meta_words_form(command));
    return end + (end < text_len && text[end] == '\n');
}

/* Reading */

struct meta_words_scan {
    const struct vars *vars;
    const char *text;
    size_t len;
    size_t at;
    bool runs;
    int exit_code;
    struct buf word;
};

/* Up to `digits_max` digits of `base` at the scan's place. */
static char meta_words_code(struct meta_words_scan *s, int base, int digits_max)
{
    char digits[4] = "";
    int n = 0;
    while (n < digits_max && s->at < s->len &&
           (base == 16 ? isxdigit((unsigned char)s->text[s->at])
                       : s->text[s->at] >= '0' && s->text[s->at] <= '7'))
        digits[n++] = s->text[s->at++];
    return (char)strtol(digits, NULL, base);
}

/* What stands behind a backslash inside '…'. */
static void meta_words_escape(struct meta_words_scan *s)
{
    static const char from[] = "ntrbf";
    static const char to[] = "\n\t\r\b\f";
    char c = s->text[s->at];
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    char value;
    if (c >= '0' && c <= '7') {
        value = meta_words_code(s, 8, 3);
    } else if (c == 'x' && s->at + 1 < s->len && isxdigit((unsigned char)s->text[s->at + 1])) {
        s->at++;
        value = meta_words_code(s, 16, 2);
    } else {
        value = found != NULL ? to[found - from] : c;
        s->at++;
    }
    if (value != '\0')
        (void)buf_append_byte(&s->word, (uint8_t)value);
}

static int meta_words_open(const struct meta_words_scan *s, char quote, struct error *e)
{
    return s->runs ? error_set(e, ERR_INVALID, "a %c quote is not closed", quote) : 0;
}

static int meta_words_take_single(struct meta_words_scan *s, struct error *e)
{
    s->at++;
    while (s->at < s->len) {
        char c = s->text[s->at++];
        if (c == '\\' && s->at < s->len) {
            meta_words_escape(s);
        } else if (c != '\'') {
            (void)buf_append_byte(&s->word, (uint8_t)c);
        } else if (s->at < s->len && s->text[s->at] == '\'') {
            (void)buf_append_byte(&s->word, '\'');
            s->at++;
        } else {
            return 0;
        }
    }
    return meta_words_open(s, '\'', e);
}

/* "…" stays with its quotes. */
static int meta_words_take_double(struct meta_words_scan *s, struct error *e)
{
    size_t end = meta_words_skip_quote(s->text, s->len, s->at);
    bool is_closed = end - s->at >= 2 && s->text[end - 1] == '"';
    (void)buf_append(&s->word, s->text + s->at, end - s->at);
    s->at = end;
    return is_closed ? 0 : meta_words_open(s, '"', e);
}

/* Runs the command and takes what it writes, without the newlines at its end. */
static int meta_words_run(struct meta_words_scan *s, const char *line, struct error *e)
{
    char chunk[4096];
    size_t n;
    FILE *from = popen(line, "re");
    if (from == NULL)
        return error_set(e, -errno, "`%s`: %s", line, strerror(errno));
    struct buf all;
    buf_init(&all, META_WORDS_OUTPUT_BYTES_MAX);
    bool is_cut = false;
    while ((n = fread(chunk, 1, sizeof chunk, from)) > 0)
        is_cut |= buf_append(&all, chunk, n) != 0;
    int status = pclose(from);
    s->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    while (all.len > 0 && strchr("\r\n", (char)all.data[all.len - 1]) != NULL)
        all.len--;
    bool is_text = memchr(buf_cstr(&all), '\0', all.len) == NULL;
    if (is_text)
        (void)buf_append(&s->word, all.data, all.len);
    buf_done(&all);
    if (!is_text || is_cut)
        return error_set(e, ERR_INVALID, "`%s`: it wrote %s", line,
                         is_cut ? "too much" : "a NUL character");
    return 0;
}

static int meta_words_take_command(struct meta_words_scan *s, struct error *e)
{
    size_t end = meta_words_skip_quote(s->text, s->len, s->at);
    bool is_closed = end - s->at >= 2 && s->text[end - 1] == '`';
    char *line = mem_strndup(s->text + s->at + 1, end - s->at - (is_closed ? 2 : 1));
    s->at = end;
    int rc = !is_closed ? meta_words_open(s, '`', e) : s->runs ? meta_words_run(s, line, e) : 0;
    free(line);
    return rc;
}

static int meta_words_take_word(struct meta_words_scan *s, struct error *e)
{
    int rc = 0;
    while (rc == 0 && s->at < s->len && !meta_words_is_blank(s->text[s->at]) &&
           s->text[s->at] != '\n') {
        char c = s->text[s->at];
        char *value;
        size_t n;
        if (c == '\'') {
            rc = meta_words_take_single(s, e);
        } else if (c == '"') {
            rc = meta_words_take_double(s, e);
        } else if (c == '`') {
            rc = meta_words_take_command(s, e);
        } else if (c == ':' && s->runs &&
                   (n = interpolate_at(s->vars, s->text + s->at, s->len - s->at, false, &value)) >
                       0) {
            rc = buf_append_str(&s->word, value);
            free(value);
            s->at += n;
        } else {
            rc = buf_append_byte(&s->word, (uint8_t)c);
            s->at++;
        }
    }
    return rc == ERR_TOO_LARGE
               ? error_set(e, rc, "a word is larger than %d MiB", INTERPOLATE_BYTES_MAX >> 20)
               : rc;
}

int meta_words_read(struct meta_words *words, const struct vars *vars, const char *text, size_t len,
                    enum meta_words_form form, bool runs, struct error *e)
{
    *words = (struct meta_words){.exit_code = -1};
    struct meta_words_scan s = {.vars = vars, .text = text, .runs = runs, .exit_code = -1};
    size_t end = meta_words_end(text, len, form);
    while (end > 0 && (meta_words_is_blank(text[end - 1]) || text[end - 1] == '\n'))
        end--;
    s.len = end;
    size_t pipe = form == META_WORDS_PIPE ? meta_words_pipe(text, end) : end;
    int rc = 0;
    for (;;) {
        while (s.at < s.len && (meta_words_is_blank(text[s.at]) || text[s.at] == '\n'))
            s.at++;
        if (s.at >= s.len || rc != 0)
            break;
        if (words->n == META_WORDS_MAX)
            return error_set(e, ERR_TOO_LARGE, "more than %d words", META_WORDS_MAX);
        bool is_rest = form == META_WORDS_LINE || s.at == pipe;
        buf_init(&s.word, INTERPOLATE_BYTES_MAX);
        if (is_rest) {
            (void)buf_append(&s.word, text + s.at, s.len - s.at);
            s.at = s.len;
        } else {
            rc = meta_words_take_word(&s, e);
        }
        MEM_GROW(words->texts, words->cap, words->n + 1);
        words->texts[words->n++] = buf_steal(&s.word, NULL);
    }
    words->exit_code = s.exit_code;
    return rc;
}

char *meta_words_quote(const char *word)
{
    struct buf b;
    if (word[0] != '\0' && strpbrk(word, " \t\r\n'`\\") == NULL && word[0] != '|')
        return mem_strdup(word);
    buf_init(&b, 2 * strlen(word) + 3);
    (void)buf_append_byte(&b, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'' || *word == '\\')
            (void)buf_append_byte(&b, (uint8_t)*word);
        (void)buf_append_byte(&b, (uint8_t)*word);
    }
    (void)buf_append_byte(&b, '\'');
    return buf_steal(&b, NULL);
}

void meta_words_done(struct meta_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        free(words->texts[i]);
    free(words->texts);
    *words = (struct meta_words){0};
}
