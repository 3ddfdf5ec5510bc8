#include "tui/model_text.h"

#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MODEL_NUMBER_MAX = 64, MODEL_NUMBER_DIGITS_EXACT = 15 };

static bool model_text_is_plain(const char *text, size_t len)
{
    unsigned odd = 0;
    for (size_t i = 0; i < len; i++)
        odd |= (unsigned char)(text[i] - 0x20) >= 0x5f;
    return odd == 0;
}

/* The longest beginning of at most `max` bytes that ends with a whole character. */
static size_t model_text_fit(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

size_t model_text_append(struct buf *b, const char *text, size_t len, size_t max)
{
    size_t before = b->len;
    bool is_cut = len > max;
    len = model_text_fit(text, len, is_cut ? max - 3 : max);
    if (model_text_is_plain(text, len)) {
        (void)buf_append(b, text, len);
    } else {
        char *clean = str_printable(text, len, false);
        size_t n = model_text_fit(clean, strlen(clean), max);
        (void)buf_append(b, clean, n);
        free(clean);
    }
    if (is_cut && b->len > before)
        (void)buf_append(b, "...", 3);
    return b->len - before;
}

double model_text_number(const struct json_slice *number)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = number->text, *end = number->text + number->len;
    bool minus = at < end && *at == '-';
    int64_t digits = 0;
    size_t n = 0, n_fraction = 0;
    bool is_fraction = false;
    at += minus;
    for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !is_fraction)); at++) {
        if (*at == '.') {
            is_fraction = true;
            continue;
        }
        if (++n > MODEL_NUMBER_DIGITS_EXACT)
            break;
        digits = digits * 10 + (*at - '0');
        n_fraction += is_fraction;
    }
    if (at == end)
        return (double)(minus ? -digits : digits) / powers[n_fraction];

    static locale_t c_locale;
    char text[MODEL_NUMBER_MAX];
    size_t len = number->len < sizeof text - 1 ? number->len : sizeof text - 1;
    memcpy(text, number->text, len);
    text[len] = '\0';
    if (c_locale == NULL)
        c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    return strtod_l(text, NULL, c_locale);
}
