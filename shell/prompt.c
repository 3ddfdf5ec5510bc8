#include "shell/prompt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/moment.h"
#include "shell/text.h"

/* Appends text of others, cleaned of what a terminal would obey. */
static void prompt_append(struct buf *b, const char *text)
{
    char *clean = text_clean(text, strlen(text), false);
    char *cut = text_cut(clean, 80);
    (void)buf_append_str(b, cut);
    free(cut);
    free(clean);
}

static void prompt_append_key(struct buf *b, const struct prompt_facts *facts, const char *key)
{
    const json_t *value = json_object_get(facts->status, key);
    if (json_is_integer(value))
        (void)buf_printf(b, "%lld", (long long)json_integer_value(value));
    else if (json_is_string(value))
        prompt_append(b, json_string_value(value));
}

static size_t prompt_count_away(const json_t *nodes)
{
    size_t n = 0;
    size_t i;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *state = json_string_value(json_object_get(node, "state"));
        n += state != NULL && (strcmp(state, "offline") == 0 || strcmp(state, "suspect") == 0);
    }
    return n;
}

/* "(leader n1)", "(no leader)", "(no connection)", "(replay of 11-28 20:15:04.250, leader n1)", and
 * what else is wrong. */
static void prompt_state(struct buf *b, const struct prompt_facts *facts, bool has_color)
{
    const char *leader = json_string_value(json_object_get(facts->status, "leader"));
    bool has_leader = leader != NULL && leader[0] != '\0';
    char at[MOMENT_TEXT_MAX];
    size_t away = facts->status != NULL ? prompt_count_away(facts->nodes) : 0;
    bool is_well = has_leader && away == 0 && !facts->is_read_only;
    if (has_color)
        (void)buf_printf(b, "\001\033[%um\002",
                         facts->status == NULL   ? 31U
                         : facts->replay_ms != 0 ? 36U
                         : is_well               ? 32U
                                                 : 33U);
    if (facts->replay_ms != 0) {
        (void)buf_printf(b, "(replay of %s", moment_format(facts->replay_ms, at));
        if (has_leader)
            (void)buf_append_str(b, ", leader ");
        prompt_append(b, has_leader ? leader : ", no leader");
    } else if (facts->status == NULL) {
        (void)buf_append_str(b, "(no connection");
    } else if (has_leader) {
        (void)buf_append_str(b, "(leader ");
        prompt_append(b, leader);
    } else {
        (void)buf_append_str(b, "(no leader");
    }
    if (away > 0)
        (void)buf_printf(b, ", %zu of %zu down", away, json_array_size(facts->nodes));
    if (facts->is_read_only && facts->status != NULL)
        (void)buf_append_str(b, ", read-only");
    (void)buf_printf(b, ")%s", has_color ? "\001\033[0m\002" : "");
}

static const char *prompt_mark(const struct prompt_facts *facts)
{
    switch (facts->end) {
    case STATEMENT_END_QUOTE_SINGLE:
        return "'";
    case STATEMENT_END_QUOTE_DOUBLE:
        return "\"";
    case STATEMENT_END_COMMENT:
        return "*";
    case STATEMENT_END_BRACKET:
        return "(";
    default:
        return facts->is_skipped ? "@" : facts->is_further ? "..." : "";
    }
}

static void prompt_time(struct buf *b)
{
    char at[16] = "";
    struct tm tm;
    time_t now = time(NULL);
    if (localtime_r(&now, &tm) != NULL)
        (void)strftime(at, sizeof at, "%H:%M:%S", &tm);
    (void)buf_append_str(b, at);
}

static void prompt_command(struct buf *b, const char *line)
{
    char first[256];
    FILE *from = popen(line, "re");
    if (from == NULL)
        return;
    if (fgets(first, sizeof first, from) != NULL) {
        first[strcspn(first, "\n")] = '\0';
        prompt_append(b, first);
    }
    (void)pclose(from);
}

/* What stands between `text` and the next `end`; *skip is behind that. NULL when it is not there.
 */
static char *prompt_enclosed(const char *text, char end, size_t *skip)
{
    const char *stop = strchr(text, end);
    if (stop == NULL)
        return NULL;
    *skip = (size_t)(stop - text) + 1;
    return mem_strndup(text, (size_t)(stop - text));
}

/* One escape, whose letter is `text[0]`; returns the bytes it takes. */
static size_t prompt_escape(struct buf *b, const char *text, const struct prompt_facts *facts,
                            const struct vars *vars)
{
    size_t skip = 0;
    char *inner;
    switch (text[0]) {
    case 'n':
    case 'N':
        prompt_append_key(b, facts, "node");
        (void)buf_append_str(b, text[0] == 'N' && facts->status != NULL ? " " : "");
        break;
    case 'l':
        prompt_append_key(b, facts, "leader");
        break;
    case 'S':
    case 's':
        prompt_state(b, facts, text[0] == 'S' && facts->has_color);
        break;
    case 'R':
        (void)buf_append_str(b, prompt_mark(facts));
        break;
    case 'x':
        (void)buf_append_str(b, facts->has_failed ? "!" : "");
        break;
    case 'E':
        prompt_append(b, facts->endpoint != NULL ? facts->endpoint : "");
        break;
    case 'i':
        prompt_append_key(b, facts, "cluster_id");
        break;
    case 't':
        prompt_append_key(b, facts, "term");
        break;
    case 'v':
        prompt_append_key(b, facts, "version");
        break;
    case 'T':
        prompt_time(b);
        break;
    case 'w':
        for (size_t i = 0; i < facts->width; i++)
            (void)buf_append_byte(b, ' ');
        break;
    case '[':
        (void)buf_append_byte(b, '\001');
        break;
    case ']':
        (void)buf_append_byte(b, '\002');
        break;
    case ':':
        inner = prompt_enclosed(text + 1, ':', &skip);
        if (inner != NULL && vars_get(vars, inner) != NULL)
            prompt_append(b, vars_get(vars, inner));
        free(inner);
        break;
    case '`':
        inner = prompt_enclosed(text + 1, '`', &skip);
        if (inner != NULL)
            prompt_command(b, inner);
        free(inner);
        break;
    default:
        (void)buf_append_byte(b, (uint8_t)text[0]);
    }
    return 1 + skip;
}

/* "%033": a character, but none that would end the text. */
static size_t prompt_octal(struct buf *b, const char *text)
{
    unsigned value = 0;
    size_t n = 0;
    for (; n < 3 && text[n] >= '0' && text[n] <= '7'; n++)
        value = value * 8 + (unsigned)(text[n] - '0');
    if (value != 0)
        (void)buf_append_byte(b, (uint8_t)value);
    return n;
}

void prompt_format(const char *format, const struct prompt_facts *facts, const struct vars *vars,
                   char out[static PROMPT_TEXT_MAX])
{
    struct buf b;
    struct buf one;
    buf_init(&b, PROMPT_TEXT_MAX - 1);
    buf_init(&one, PROMPT_TEXT_MAX - 1);
    for (size_t at = 0; format[at] != '\0';) {
        size_t width = 0;
        if (format[at] != '%' || format[at + 1] == '\0') {
            (void)buf_append_byte(&b, (uint8_t)format[at++]);
            continue;
        }
        at++;
        if (format[at] == '0') {
            at += prompt_octal(&b, format + at);
            continue;
        }
        while (isdigit((unsigned char)format[at]) && width < 100)
            width = width * 10 + (size_t)(format[at++] - '0');
        if (format[at] == '\0')
            break;
        buf_clear(&one);
        at += prompt_escape(&one, format + at, facts, vars);
        for (size_t have = prompt_width(buf_cstr(&one)); have < width; have++)
            (void)buf_append_byte(&b, ' ');
        (void)buf_append(&b, one.data, one.len);
    }
    (void)snprintf(out, PROMPT_TEXT_MAX, "%s", buf_cstr(&b));
    buf_done(&one);
    buf_done(&b);
}

size_t prompt_width(const char *prompt)
{
    char *plain = mem_alloc(strlen(prompt) + 1);
    size_t n = 0;
    bool is_hidden = false;
    for (; *prompt != '\0'; prompt++) {
        if (*prompt == '\001' || *prompt == '\002')
            is_hidden = *prompt == '\001';
        else if (*prompt == '\n')
            n = 0;
        else if (!is_hidden)
            plain[n++] = *prompt;
    }
    plain[n] = '\0';
    size_t width = text_width(plain);
    free(plain);
    return width;
}
