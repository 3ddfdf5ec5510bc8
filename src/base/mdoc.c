#include "base/mdoc.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { MDOC_WIDTH = 76 };

/* The date of a page: of the release, so that pages are the same whenever they are made. */
static const char mdoc_date[] = "November 28, 2026";

static unsigned mdoc_code_point(const char *s, size_t len)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned code = (unsigned char)s[0] & masks[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)s[i] & 0x3f);
    return code;
}

/* One character; in code the quotes and dashes are those of a keyboard. Returns its bytes. */
static size_t mdoc_char(struct buf *b, const char *s, bool is_code)
{
    size_t len = str_utf8_len(s, strlen(s));
    if (len > 1) {
        (void)buf_printf(b, "\\[u%04X]", mdoc_code_point(s, len));
        return len;
    }
    switch (*s) {
    case '\\':
        (void)buf_append_str(b, "\\e");
        break;
    case '~':
        (void)buf_append_str(b, "\\(ti");
        break;
    case '^':
        (void)buf_append_str(b, "\\(ha");
        break;
    case '`':
        (void)buf_append_str(b, "\\(ga");
        break;
    case '\'':
        (void)buf_append_str(b, is_code ? "\\(aq" : "'");
        break;
    case '-':
        (void)buf_append_str(b, is_code ? "\\-" : "-");
        break;
    default:
        (void)buf_append_byte(b, (uint8_t)*s);
        break;
    }
    return 1;
}

void mdoc_line(struct buf *b, const char *line)
{
    (void)buf_append_str(b, line);
    mdoc_end(b);
}

void mdoc_end(struct buf *b)
{
    (void)buf_append_byte(b, '\n');
}

void mdoc_macro(struct buf *b, const char *name)
{
    (void)buf_printf(b, ".%s", name);
}

void mdoc_word(struct buf *b, const char *word)
{
    (void)buf_printf(b, " %s", word);
}

/* Whether mdoc would take the word for a macro or for punctuation. */
static bool mdoc_means_something(const char *word)
{
    size_t len = strlen(word);
    bool is_macro = (len == 2 || len == 3) && isupper((unsigned char)word[0]);
    return is_macro || word[0] == '%' || (len == 1 && ispunct((unsigned char)word[0]));
}

void mdoc_arg(struct buf *b, const char *text)
{
    bool quotes = *text == '\0' || strchr(text, ' ') != NULL;
    (void)buf_append_str(b, quotes ? " \"" : " ");
    if (mdoc_means_something(text))
        (void)buf_append_str(b, "\\&");
    while (*text != '\0') {
        if (*text == '"') {
            (void)buf_append_str(b, "\\(dq");
            text++;
        } else {
            text += mdoc_char(b, text, true);
        }
    }
    if (quotes)
        (void)buf_append_byte(b, '"');
}

static void mdoc_one(struct buf *b, const char *macro, const char *text)
{
    mdoc_macro(b, macro);
    mdoc_arg(b, text);
    mdoc_end(b);
}

void mdoc_section(struct buf *b, const char *title)
{
    mdoc_one(b, "Sh", title);
}

void mdoc_subsection(struct buf *b, const char *title)
{
    mdoc_one(b, "Ss", title);
}

void mdoc_head(struct buf *b, const char *name, unsigned section, const char *summary)
{
    (void)buf_append_str(b, ".\\\" Generated from the rows of the program: make man\n");
    (void)buf_printf(b, ".Dd %s\n.Dt ", mdoc_date);
    for (const char *c = name; *c != '\0'; c++)
        (void)buf_append_byte(b, (uint8_t)toupper((unsigned char)*c));
    (void)buf_printf(b, " %u\n.Os\n", section);
    mdoc_section(b, "NAME");
    mdoc_macro(b, "Nm");
    mdoc_arg(b, name);
    mdoc_end(b);
    mdoc_one(b, "Nd", summary);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A word of prose; options and their like keep their dashes. */
static void mdoc_prose_word(struct buf *b, const char *word, size_t len, bool at_start)
{
    size_t bare = 0;
    while (bare < len && strchr("(\"", word[bare]) != NULL)
        bare++;
    bool is_code = bare + 1 < len && word[bare] == '-';
    if (at_start && (word[0] == '.' || word[0] == '\''))
        (void)buf_append_str(b, "\\&");
    for (size_t i = 0; i < len;)
        i += mdoc_char(b, word + i, is_code);
}

static bool mdoc_ends_sentence(const char *word, size_t len, const char *next)
{
    while (len > 0 && strchr(")\"'", word[len - 1]) != NULL)
        len--;
    return len > 1 && strchr(".!?", word[len - 1]) != NULL && word[len - 2] != '.' &&
           *next != '\0' && !islower((unsigned char)*next);
}

/* One paragraph, filled. */
static void mdoc_paragraph(struct buf *b, const char *text, size_t len)
{
    const char *end = text + len;
    size_t column = 0;
    while (text < end) {
        size_t n = strcspn(text, " \n");
        if (n > (size_t)(end - text))
            n = (size_t)(end - text);
        if (n > 0) {
            if (column > 0 && column + 1 + n > MDOC_WIDTH) {
                mdoc_end(b);
                column = 0;
            } else if (column > 0) {
                (void)buf_append_byte(b, ' ');
                column++;
            }
            mdoc_prose_word(b, text, n, column == 0);
            column += n;
        }
        const char *next = text + n;
        while (next < end && (*next == ' ' || *next == '\n'))
            next++;
        if (n > 0 && next < end && mdoc_ends_sentence(text, n, next)) {
            mdoc_end(b);
            column = 0;
        }
        text = next;
    }
    if (column > 0)
        mdoc_end(b);
}

static void mdoc_code(struct buf *b, const char *text, size_t len)
{
    bool at_start = true;
    for (size_t i = 0; i < len;) {
        if (at_start && (text[i] == '.' || text[i] == '\''))
            (void)buf_append_str(b, "\\&");
        at_start = text[i] == '\n';
        i += mdoc_char(b, text + i, true);
    }
    if (len > 0 && text[len - 1] != '\n')
        mdoc_end(b);
}

void mdoc_literal(struct buf *b, const char *text)
{
    mdoc_line(b, ".Bd -literal -offset indent");
    mdoc_code(b, text, strlen(text));
    mdoc_line(b, ".Ed");
}

/* Bytes up to the next empty line, or to where lines that stay as they are begin or end. */
static size_t mdoc_block(const char *text, bool as_it_stands)
{
    size_t at = 0;
    while (text[at] != '\0') {
        if (text[at] == '\n' || (text[at] == ' ') != as_it_stands)
            break;
        at += strcspn(text + at, "\n");
        at += text[at] == '\n';
    }
    return at;
}

void mdoc_text(struct buf *b, const char *text)
{
    bool is_first = true;
    while (*text != '\0') {
        if (*text == '\n') {
            text++;
            continue;
        }
        bool as_it_stands = *text == ' ';
        size_t len = mdoc_block(text, as_it_stands);
        if (as_it_stands) {
            mdoc_line(b, ".Bd -literal");
            mdoc_code(b, text, len);
            mdoc_line(b, ".Ed");
        } else {
            if (!is_first)
                mdoc_line(b, ".Pp");
            mdoc_paragraph(b, text, len);
        }
        is_first = false;
        text += len;
    }
}

void mdoc_sentence(struct buf *b, const char *text)
{
    struct buf whole;
    buf_init(&whole, MDOC_BYTES_MAX);
    size_t word = strcspn(text, " ,;:");
    bool is_plain = word > 0 && (text[word] == '\0' || text[word] == ';' ||
                                 (text[word] == ' ' && text[word + 1] != '('));
    for (size_t i = 0; i < word; i++)
        is_plain = is_plain && (islower((unsigned char)text[i]) || text[i] == '\'');
    (void)buf_append_byte(&whole, (uint8_t)(is_plain ? toupper((unsigned char)*text) : *text));
    (void)buf_append_str(&whole, *text != '\0' ? text + 1 : "");
    if (whole.len > 1 && strchr(".!?:", whole.data[whole.len - 1]) == NULL)
        (void)buf_append_byte(&whole, '.');
    mdoc_text(b, buf_cstr(&whole));
    buf_done(&whole);
}

void mdoc_see_also(struct buf *b, const char *pages)
{
    mdoc_section(b, "SEE ALSO");
    while (*pages != '\0') {
        size_t len = strcspn(pages, " ");
        size_t name = strcspn(pages, "(");
        bool is_last = pages[len] == '\0';
        (void)buf_printf(b, ".Xr %.*s %c%s\n", (int)name, pages, pages[name + 1],
                         is_last ? "" : " ,");
        pages += len + !is_last;
    }
}
