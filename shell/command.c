/* Lookup: the first word narrows the table to the rows whose name begins with it, the next word
 * narrows those, until the words of one name are used up. */
#include "shell/command.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/statement.h"

enum { COMMAND_ROWS_MAX = 128 };

/* Rows that still fit, in the table's order. */
struct command_match {
    const struct command *rows[COMMAND_ROWS_MAX];
    size_t n;
};

bool command_is_meta(const struct command *command)
{
    return command->name[0] == '\\';
}

const struct command_option *command_option_at(const struct command *command, size_t index)
{
    static const struct command_option none = {.name = NULL};
    static const struct command_option common[] = {
        {"output", 'o', COMMAND_TYPE_FORMAT, "FORMAT", NULL, false,
         "table, vertical, csv, tsv, json, jsonl or markdown"},
        {"help", 'h', COMMAND_TYPE_FLAG, NULL, NULL, false, "show this help"},
        {.name = NULL},
    };
    bool is_bare = command->is_bare || command_is_meta(command);
    const struct command_option *lists[] = {
        command->options,
        command->shared != NULL ? command->shared : &none,
        is_bare ? &none : common,
    };
    for (size_t i = 0; i < MEM_COUNT(lists); i++) {
        for (const struct command_option *o = lists[i]; o->name != NULL; o++) {
            if (index-- == 0)
                return o;
        }
    }
    return NULL;
}

/* The `k`-th word of a row's name; false when it has no such word. */
static bool command_name_word(const struct command *command, size_t k, const char **word,
                              size_t *len)
{
    const char *name = command->name;
    for (; k > 0; k--) {
        name = strchr(name, ' ');
        if (name == NULL)
            return false;
        name++;
    }
    *word = name;
    *len = strcspn(name, " ");
    return true;
}

static size_t command_name_words(const struct command *command)
{
    size_t n = 1;
    for (const char *p = command->name; *p != '\0'; p++)
        n += *p == ' ';
    return n;
}

/* Keeps the rows whose `k`-th word is `given` or, when there is none, begins with it. */
static void command_narrow(struct command_match *match, size_t k, const char *given)
{
    size_t given_len = strlen(given);
    struct command_match exact = {.n = 0};
    struct command_match prefix = {.n = 0};
    for (size_t i = 0; i < match->n; i++) {
        const char *word;
        size_t len;
        if (!command_name_word(match->rows[i], k, &word, &len) || given_len > len ||
            memcmp(word, given, given_len) != 0)
            continue;
        prefix.rows[prefix.n++] = match->rows[i];
        if (given_len == len)
            exact.rows[exact.n++] = match->rows[i];
    }
    *match = exact.n > 0 ? exact : prefix;
}

/* True when every row has the same `k`-th word. */
static bool command_agree(const struct command_match *match, size_t k)
{
    const char *first = NULL;
    size_t first_len = 0;
    for (size_t i = 0; i < match->n; i++) {
        const char *word;
        size_t len;
        if (!command_name_word(match->rows[i], k, &word, &len))
            return false;
        if (first != NULL && (len != first_len || memcmp(word, first, len) != 0))
            return false;
        first = word;
        first_len = len;
    }
    return true;
}

/* Lists the first k + 1 words of each row's name, once each, or only the word k. */
static void command_list(const struct command_match *match, size_t k, bool whole, char *out,
                         size_t max)
{
    struct buf b;
    buf_init(&b, max - 1);
    const char *last = "";
    size_t last_len = 0;
    for (size_t i = 0; i < match->n; i++) {
        const char *word;
        size_t len;
        if (!command_name_word(match->rows[i], k, &word, &len) ||
            (len == last_len && memcmp(word, last, len) == 0))
            continue;
        const char *from = whole ? match->rows[i]->name : word;
        (void)buf_printf(&b, "%s%.*s", b.len > 0 ? ", " : "", (int)(word + len - from), from);
        last = word;
        last_len = len;
    }
    (void)snprintf(out, max, "%s", buf_cstr(&b));
    buf_done(&b);
}

static void command_join(const char *const *words, size_t n, char *out, size_t max)
{
    struct buf b;
    buf_init(&b, max - 1);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&b, "%s%.60s", i > 0 ? " " : "", words[i]);
    char *clean = str_printable(buf_cstr(&b), b.len, false);
    (void)snprintf(out, max, "%s", clean);
    free(clean);
    buf_done(&b);
}

/* The name among `match` that has the fewest edits to what was given, if it is at all like it. */
static const struct command *command_nearest(const struct command_match *match, const char *given)
{
    const struct command *best = NULL;
    unsigned best_distance = 0;
    bool is_meta = given[0] == '\\';
    for (size_t i = 0; i < match->n; i++) {
        if (command_is_meta(match->rows[i]) != is_meta)
            continue;
        unsigned distance = str_distance(given, match->rows[i]->name);
        if (best == NULL || distance < best_distance) {
            best = match->rows[i];
            best_distance = distance;
        }
    }
    bool is_like = best != NULL && best_distance <= 1 + strlen(given) / 3 &&
                   best_distance + is_meta < strlen(given);
    return is_like ? best : NULL;
}

static int command_unknown(const struct command_match *group, const char *const *words, size_t n,
                           struct error *e, char hint[static COMMAND_HINT_MAX])
{
    char given[160];
    command_join(words, n, given, sizeof given);
    const struct command *nearest = command_nearest(group, given);
    const char *sql = n == 1 ? statement_like_sql(words[0]) : NULL;
    if (nearest != NULL)
        (void)snprintf(hint, COMMAND_HINT_MAX, "did you mean \"%s\"?", nearest->name);
    else if (sql != NULL)
        (void)snprintf(hint, COMMAND_HINT_MAX, "did you mean SQL's \"%s\"?", sql);
    else if (n > 1)
        (void)snprintf(hint, COMMAND_HINT_MAX, "help %s lists its commands", words[0]);
    else
        (void)snprintf(hint, COMMAND_HINT_MAX, "help lists the commands");
    return error_set(e, ERR_NOT_FOUND, "unknown command: %s", given);
}

static int command_ambiguous(const struct command_match *match, const char *const *words, size_t n,
                             struct error *e)
{
    char given[160];
    char could[320];
    command_join(words, n, given, sizeof given);
    command_list(match, n - 1, true, could, sizeof could);
    return error_set(e, ERR_CONFLICT, "ambiguous command: %s, could be: %s", given, could);
}

/* The row whose name is the first `k` words of the group and nothing more, as "chat" beside "chat
 * send"; NULL when there is none. */
static const struct command *command_of_group(const struct command_match *group, size_t k)
{
    for (size_t i = 0; i < group->n; i++)
        if (command_name_words(group->rows[i]) == k)
            return group->rows[i];
    return NULL;
}

int command_find(const char *const *words, size_t n, const struct command **command,
                 size_t *n_words, struct error *e, char hint[static COMMAND_HINT_MAX])
{
    assert(n > 0);
    struct command_match match = {.n = 0};
    struct command_match group;
    hint[0] = '\0';
    for (; command_table[match.n] != NULL; match.n++) {
        assert(match.n < COMMAND_ROWS_MAX);
        match.rows[match.n] = command_table[match.n];
        if (match.rows[match.n]->also != NULL && strcmp(match.rows[match.n]->also, words[0]) == 0) {
            *command = match.rows[match.n];
            *n_words = 1;
            return 0;
        }
    }
    for (size_t k = 0;; k++) {
        group = match;
        *command = k > 0 && (k == n || words[k][0] == '-') ? command_of_group(&group, k) : NULL;
        *n_words = k;
        if (*command != NULL)
            return 0;
        if (k == n) {
            char could[320];
            command_list(&group, k, false, could, sizeof could);
            (void)snprintf(hint, COMMAND_HINT_MAX, "help %s tells them apart", words[0]);
            return error_set(e, ERR_INVALID, "%s needs a command: %s", words[0], could);
        }
        command_narrow(&match, k, words[k]);
        if (match.n == 0)
            return command_unknown(&group, words, k + 1, e, hint);
        if (!command_agree(&match, k))
            return command_ambiguous(&match, words, k + 1, e);
        if (match.n == 1 && command_name_words(match.rows[0]) == k + 1) {
            *command = match.rows[0];
            *n_words = k + 1;
            return 0;
        }
    }
}
