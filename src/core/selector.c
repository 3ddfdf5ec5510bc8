/* Happy path: split at commas, each piece becomes a term, terms are sorted and freed of duplicates
 * so that equal selectors have equal text. A piece that isn't a term fails the whole. */
#include "core/selector.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { SELECTOR_KEY_MAX = 64 };

static void selector_term_done(struct selector_term *term)
{
    free(term->key);
    free(term->value);
}

void selector_done(struct selector *selector)
{
    for (size_t i = 0; i < selector->n; i++)
        selector_term_done(&selector->terms[i]);
    free(selector->terms);
    *selector = (struct selector){0};
}

static bool selector_is_value(const char *s)
{
    for (; *s != '\0'; s++) {
        if (!isalnum((unsigned char)*s) && strchr("-_.*?/:@+", *s) == NULL)
            return false;
    }
    return true;
}

/* `text` is one term without spaces around it; it is cut up in place. */
static int selector_parse_term(char *text, struct selector_term *term, struct error *e)
{
    char whole[SELECTOR_KEY_MAX];
    snprintf(whole, sizeof whole, "%s", text);
    char *key = text;
    char *value = strchr(text, '=');
    enum selector_op op = value != NULL ? SELECTOR_OP_EQUAL : SELECTOR_OP_HAS;
    if (value != NULL) {
        if (value > text && value[-1] == '!') {
            op = SELECTOR_OP_NOT_EQUAL;
            value[-1] = '\0';
        }
        *value++ = '\0';
    } else if (*key == '!') {
        op = SELECTOR_OP_HAS_NOT;
        key++;
    }
    if (!str_is_name(key, SELECTOR_KEY_MAX) || (value != NULL && !selector_is_value(value)))
        return error_set(e, ERR_INVALID,
                         "\"%s\" in the node selector is none of KEY, !KEY, KEY=VALUE, KEY!=VALUE",
                         whole);
    *term = (struct selector_term){op, mem_strdup(key), mem_strdup(value)};
    return 0;
}

static int selector_term_compare(const void *a, const void *b)
{
    const struct selector_term *left = a;
    const struct selector_term *right = b;
    int order = strcmp(left->key, right->key);
    if (order == 0)
        order = (left->op > right->op) - (left->op < right->op);
    if (order == 0 && left->value != NULL)
        order = strcmp(left->value, right->value);
    return order;
}

static void selector_normalise(struct selector *selector)
{
    if (selector->n == 0)
        return;
    qsort(selector->terms, selector->n, sizeof *selector->terms, selector_term_compare);
    size_t kept = 0;
    for (size_t i = 1; i < selector->n; i++) {
        if (selector_term_compare(&selector->terms[kept], &selector->terms[i]) == 0)
            selector_term_done(&selector->terms[i]);
        else
            selector->terms[++kept] = selector->terms[i];
    }
    selector->n = kept + 1;
}

static char *selector_trim(char *s)
{
    while (*s == ' ')
        s++;
    size_t len = strlen(s);
    while (len > 0 && s[len - 1] == ' ')
        s[--len] = '\0';
    return s;
}

int selector_parse(struct selector *selector, const char *text, struct error *e)
{
    struct selector made = {0};
    char *copy = NULL;
    int err = 0;
    if (text != NULL && strlen(text) > SELECTOR_TEXT_MAX) {
        err = error_set(e, ERR_TOO_LARGE, "the node selector has more than %d bytes",
                        SELECTOR_TEXT_MAX);
        goto out;
    }
    copy = mem_strdup(text != NULL ? text : "");
    char *rest = selector_trim(copy);
    if (*rest == '\0')
        goto out;
    made.terms = mem_calloc(SELECTOR_TERMS_MAX, sizeof *made.terms);
    for (char *piece; (piece = strsep(&rest, ",")) != NULL; made.n++) {
        if (made.n == SELECTOR_TERMS_MAX)
            err = error_set(e, ERR_TOO_LARGE, "the node selector has more than %d terms",
                            SELECTOR_TERMS_MAX);
        else
            err = selector_parse_term(selector_trim(piece), &made.terms[made.n], e);
        if (err < 0)
            goto out;
    }
    selector_normalise(&made);
out:
    free(copy);
    if (err < 0)
        selector_done(&made);
    else
        *selector = made;
    return err;
}

char *selector_format(const struct selector *selector)
{
    struct buf out;
    buf_init(&out, 2 * SELECTOR_TEXT_MAX);
    int err = 0;
    for (size_t i = 0; i < selector->n && err == 0; i++) {
        const struct selector_term *term = &selector->terms[i];
        const char *comma = i > 0 ? "," : "";
        if (term->value == NULL)
            err = buf_printf(&out, "%s%s%s", comma, term->op == SELECTOR_OP_HAS ? "" : "!",
                             term->key);
        else
            err = buf_printf(&out, "%s%s%s%s", comma, term->key,
                             term->op == SELECTOR_OP_EQUAL ? "=" : "!=", term->value);
    }
    assert(err == 0);
    return buf_steal(&out, NULL);
}

/* Whether `label` is `key` with a value that fits `pattern`; NULL takes any label of that key. */
static bool selector_label_matches(const char *label, const char *key, const char *pattern)
{
    size_t len = strlen(key);
    if (strncmp(label, key, len) != 0)
        return false;
    if (label[len] != '\0' && label[len] != '=')
        return false;
    if (pattern == NULL)
        return true;
    return str_glob(pattern, label[len] == '=' ? label + len + 1 : "");
}

static bool selector_node_has(const struct selector_node *node, const char *key,
                              const char *pattern)
{
    if (strcmp(key, "name") == 0)
        return pattern == NULL || str_glob(pattern, node->name);
    if (strcmp(key, "kind") == 0)
        return pattern == NULL || str_glob(pattern, node->poll ? "agent" : "node");
    for (size_t i = 0; i < node->labels_n; i++) {
        if (selector_label_matches(node->labels[i], key, pattern))
            return true;
    }
    return false;
}

bool selector_matches(const struct selector *selector, const struct selector_node *node)
{
    for (size_t i = 0; i < selector->n; i++) {
        const struct selector_term *term = &selector->terms[i];
        bool has = selector_node_has(node, term->key, term->value);
        bool wanted = term->op == SELECTOR_OP_HAS || term->op == SELECTOR_OP_EQUAL;
        if (has != wanted)
            return false;
    }
    return true;
}
