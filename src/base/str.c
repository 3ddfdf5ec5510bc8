/* Happy path: a parser walks its text once and stores the value when the whole text was right. It
 * fails with ERR_INVALID and stores nothing: wrong form, or a value past what the type holds. */
#include "base/str.h"

#include <ctype.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

enum { STR_FRACTION_DIGITS_MAX = 9 };

struct str_unit {
    const char *name;
    uint64_t factor;
};

bool str_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix)
{
    size_t len = strlen(s);
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(s + len - suffix_len, suffix, suffix_len) == 0;
}

static bool str_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits at *s, at least one, and moves *s behind them. */
static bool str_read_digits(const char **s, uint64_t *value)
{
    const char *at = *s;
    uint64_t sum = 0;
    for (; str_is_digit(*at); at++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
            return false;
    }
    if (at == *s)
        return false;
    *s = at;
    *value = sum;
    return true;
}

int str_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value;
    if (!str_read_digits(&s, &value) || *s != '\0' || value < min || value > max)
        return ERR_INVALID;
    *out = value;
    return 0;
}

int str_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = *s == '-';
    uint64_t size;
    s += negative;
    if (!str_read_digits(&s, &size) || *s != '\0' || size > (uint64_t)INT64_MAX + negative)
        return ERR_INVALID;
    int64_t value = negative ? (int64_t)(0 - size) : (int64_t)size;
    if (value < min || value > max)
        return ERR_INVALID;
    *out = value;
    return 0;
}

/* A number as people write it, "1" or "1.25": whole + fraction / scale. */
struct str_decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

static bool str_read_decimal(const char **s, struct str_decimal *d)
{
    *d = (struct str_decimal){.scale = 1};
    if (!str_read_digits(s, &d->whole))
        return false;
    if (**s != '.')
        return true;
    const char *at = *s + 1;
    if (!str_is_digit(*at))
        return false;
    for (unsigned n = 0; str_is_digit(*at); at++, n++) {
        if (n == STR_FRACTION_DIGITS_MAX)
            return false;
        d->fraction = d->fraction * 10 + (uint64_t)(*at - '0');
        d->scale *= 10;
    }
    *s = at;
    return true;
}

/* d * factor, rounded down. */
static bool str_scale(const struct str_decimal *d, uint64_t factor, uint64_t *out)
{
    __extension__ typedef unsigned __int128 wide;
    wide value = (wide)d->whole * factor + (wide)d->fraction * factor / d->scale;
    *out = (uint64_t)value;
    return value <= UINT64_MAX;
}

int str_parse_duration_ms(const char *s, int64_t *ms)
{
    static const struct str_unit units[] = {
        {"d", 86400000}, {"h", 3600000}, {"ms", 1}, {"m", 60000}, {"s", 1000}};
    const char *at = s;
    uint64_t sum = 0;
    uint64_t factor_before = UINT64_MAX;
    do {
        struct str_decimal d;
        if (!str_read_decimal(&at, &d))
            return ERR_INVALID;
        uint64_t factor = at[0] == '\0' && factor_before == UINT64_MAX ? 1000 : 0;
        for (size_t i = 0; i < MEM_COUNT(units) && factor == 0; i++) {
            if (str_starts_with(at, units[i].name)) {
                factor = units[i].factor;
                at += strlen(units[i].name);
            }
        }
        uint64_t part;
        if (factor == 0 || factor >= factor_before || !str_scale(&d, factor, &part) ||
            __builtin_add_overflow(sum, part, &sum) || sum > INT64_MAX)
            return ERR_INVALID;
        factor_before = factor;
    } while (*at != '\0');
    *ms = (int64_t)sum;
    return 0;
}

int str_parse_bytes(const char *s, uint64_t *bytes)
{
    static const char letters[] = "KMGTPE";
    struct str_decimal d;
    if (!str_read_decimal(&s, &d))
        return ERR_INVALID;
    if (*s == ' ' && s[1] != '\0')
        s++;
    unsigned shift = 0;
    const char *letter = *s == '\0' ? NULL : strchr(letters, *s & ~0x20);
    if (letter != NULL && *letter != '\0') {
        shift = 10 * (unsigned)(letter - letters + 1);
        s++;
        if (strcasecmp(s, "iB") == 0)
            s++;
    }
    if (*s == 'B' || *s == 'b')
        s++;
    uint64_t value;
    if (*s != '\0' || (shift == 0 && d.scale > 1) || !str_scale(&d, UINT64_C(1) << shift, &value))
        return ERR_INVALID;
    *bytes = value;
    return 0;
}

const char *str_format_duration(int64_t ms, char out[static STR_SHORT_MAX])
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    unsigned long long s = left / 1000;
    if (left < 1000)
        (void)snprintf(out, STR_SHORT_MAX, "%s%llums", sign, (unsigned long long)left);
    else if (s < 60)
        (void)snprintf(out, STR_SHORT_MAX, "%s%llu.%llus", sign, s,
                       (unsigned long long)left % 1000 / 100);
    else if (s < 3600)
        (void)snprintf(out, STR_SHORT_MAX, "%s%llum%02llus", sign, s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, STR_SHORT_MAX, "%s%lluh%02llum", sign, s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, STR_SHORT_MAX, "%s%llud%02lluh", sign, s / 86400, s / 3600 % 24);
    return out;
}

const char *str_format_age(int64_t ms, char out[static STR_SHORT_MAX])
{
    if (ms >= 60 * 1000)
        return str_format_duration(ms, out);
    (void)snprintf(out, STR_SHORT_MAX, "%ds", ms > 0 ? (int)(ms / 1000) : 0);
    return out;
}

const char *str_format_bytes(uint64_t bytes, char out[static STR_SHORT_MAX])
{
    static const char letters[] = "KMGTPE";
    if (bytes < 1024) {
        (void)snprintf(out, STR_SHORT_MAX, "%u B", (unsigned)bytes);
        return out;
    }
    unsigned shift = 0;
    uint64_t tenths;
    do {
        shift += 10;
        uint64_t unit = UINT64_C(1) << shift;
        tenths = (bytes >> shift) * 10 + ((bytes & (unit - 1)) * 10 + unit / 2) / unit;
    } while (tenths >= 10240 && shift < 60);
    (void)snprintf(out, STR_SHORT_MAX, "%llu.%llu %ciB", (unsigned long long)tenths / 10,
                   (unsigned long long)tenths % 10, letters[shift / 10 - 1]);
    return out;
}

static bool str_is_alnum(char c)
{
    return str_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool str_is_name(const char *s, size_t max)
{
    if (!str_is_alnum(*s))
        return false;
    size_t len = 1;
    while (str_is_alnum(s[len]) || s[len] == '-' || s[len] == '_' || s[len] == '.')
        len++;
    return s[len] == '\0' && len <= max;
}

/* Table 3-7 of the Unicode Standard: what may follow which first byte. */
size_t str_utf8_len(const char *s, size_t len)
{
    const uint8_t *b = (const uint8_t *)s;
    if (len == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    size_t want = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || len < want)
        return 0;
    uint8_t low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    return want;
}

enum { WORD_BYTES = 8 };

/* Each byte of a word. */
#define EACH(byte) ((byte)*UINT64_C(0x0101010101010101))

/* Not 0 when a byte of `word` is 0; what lies above the lowest such byte may show as well. */
static uint64_t str_zeros(uint64_t word)
{
    return (word - EACH(0x01)) & ~word & EACH(0x80);
}

size_t str_plain_len(const char *s, size_t len)
{
    size_t at = 0;
    for (; at + WORD_BYTES <= len; at += WORD_BYTES) {
        uint64_t word;
        memcpy(&word, s + at, sizeof word);
        uint64_t other = word | str_zeros(word ^ EACH(0x7f)) | str_zeros(word ^ EACH('"')) |
                         str_zeros(word ^ EACH('\\')) | (word - EACH(0x20));
        if ((other & EACH(0x80)) != 0)
            break;
    }
    while (at < len && s[at] >= 0x20 && s[at] < 0x7f && s[at] != '"' && s[at] != '\\')
        at++;
    return at;
}

bool str_is_utf8(const char *s, size_t len)
{
    for (size_t at = str_plain_len(s, len); at < len; at += str_plain_len(s + at, len - at)) {
        size_t n = str_utf8_len(s + at, len - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

/* Does the valid UTF-8 sequence at `s` make a terminal do something else than show it? */
static bool str_is_control(const char *s, size_t len)
{
    const uint8_t *b = (const uint8_t *)s;
    if (len == 1)
        return b[0] < 0x20 || b[0] == 0x7f;
    if (len == 2)
        return b[0] == 0xc2 && b[1] < 0xa0;
    bool is_bidi = len == 3 && b[0] == 0xe2 &&
                   ((b[1] == 0x80 && b[2] >= 0xa8 && b[2] <= 0xae) || /* U+2028..U+202E */
                    (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9));  /* U+2066..U+2069 */
    return is_bidi;
}

static int str_append_escaped(struct buf *b, const char *s, size_t n)
{
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++) {
        char name = s[i] == '\n' ? 'n' : s[i] == '\t' ? 't' : s[i] == '\r' ? 'r' : '\0';
        err = name != '\0' ? buf_printf(b, "\\%c", name)
                           : buf_printf(b, "\\x%02x", (unsigned)(uint8_t)s[i]);
    }
    return err;
}

char *str_printable(const char *s, size_t len, bool keep_lines)
{
    struct buf b;
    buf_init(&b, len * 4);
    int err = 0;
    for (size_t at = 0; at < len && err == 0;) {
        size_t n = str_utf8_len(s + at, len - at);
        bool keep = n > 0 && (!str_is_control(s + at, n) ||
                              (keep_lines && (s[at] == '\n' || s[at] == '\t')));
        n += n == 0;
        err = keep ? buf_append(&b, s + at, n) : str_append_escaped(&b, s + at, n);
        at += n;
    }
    assert(err == 0);
    return buf_steal(&b, NULL);
}

static size_t str_char_len(const char *s)
{
    size_t n = str_utf8_len(s, strnlen(s, 4));
    return n > 0 ? n : 1;
}

bool str_glob(const char *pattern, const char *s)
{
    const char *star = NULL; /* behind the last '*' passed */
    const char *star_s = s;  /* where what that '*' takes ends */
    while (*s != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            star_s = s;
        } else if (*pattern == '?') {
            pattern++;
            s += str_char_len(s);
        } else if (*pattern == *s) {
            pattern++;
            s++;
        } else if (star != NULL) {
            star_s += str_char_len(star_s);
            pattern = star;
            s = star_s;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

unsigned str_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > STR_DISTANCE_BYTES_MAX || b_len > STR_DISTANCE_BYTES_MAX)
        return (unsigned)(a_len > b_len ? a_len : b_len);
    unsigned row[STR_DISTANCE_BYTES_MAX + 1]; /* from a's first i bytes to b's first j */
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

bool str_equal_secret(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    if (strlen(b) != a_len)
        return false;
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a_len; i++)
        difference = (uint8_t)(difference | (uint8_t)(a[i] ^ b[i]));
    return difference == 0;
}

/* The id behind "node " at `s`, as far as *end; false when there is none. */
static bool str_id_at(const char *text, const char *s, uint64_t *id, const char **end)
{
    char digits[24];
    size_t n = strspn(s, "0123456789");
    bool is_word = s - text == 5 || !isalnum((unsigned char)s[-6]);
    if (!is_word || n == 0 || n >= sizeof digits || isalnum((unsigned char)s[n]))
        return false;
    memcpy(digits, s, n);
    digits[n] = '\0';
    *end = s + n;
    return str_parse_u64(digits, 0, UINT64_MAX, id) == 0;
}

void str_name_ids(char *text, size_t size, str_name_fn name_of, const void *arg)
{
    uint64_t id;
    const char *end;
    for (char *at = text; (at = strstr(at, "node ")) != NULL;) {
        at += strlen("node ");
        const char *name = str_id_at(text, at, &id, &end) ? name_of(arg, id) : NULL;
        if (name == NULL)
            continue;
        size_t name_len = strlen(name);
        size_t rest = strlen(end) + 1;
        if ((size_t)(at - text) + name_len + rest > size)
            continue;
        memmove(at + name_len, end, rest);
        memcpy(at, name, name_len);
        at += name_len;
    }
}
