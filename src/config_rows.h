/* The rows that configuration is made of, for the files that read and print it. */
#ifndef CONFIG_ROWS_H
#define CONFIG_ROWS_H

#include "config.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_SECRET,
    CONFIG_NAME,
    CONFIG_PATH,
    CONFIG_ADDRESS,
    CONFIG_CHOICE,
    CONFIG_LIST,
    CONFIG_ADDRESSES, /* a list */
    CONFIG_BOOL,
    CONFIG_NUMBER,
    CONFIG_OCTAL,
    CONFIG_DURATION,
    CONFIG_BYTES,
    CONFIG_RATIO, /* from 0 to 1; kept in millionths */
};

struct config_row {
    const char *section;
    const char *key;
    enum config_type type;
    size_t offset;
    const char *fallback;
    uint64_t min; /* of numbers, durations (ms) and sizes */
    uint64_t max;
    const char *choices; /* CONFIG_CHOICE, and items of a CONFIG_LIST: "a|b|c" */
    const char *help;
};

enum { CONFIG_ROWS_MAX = 128, CONFIG_RATIO_ONE = 1000000 };

extern const struct config_row config_rows[];
extern const unsigned config_rows_n;

const struct config_row *config_find(const char *section, const char *key);
bool config_has_section(const char *section);
/* Sets `e` to "unknown key ..., did you mean ...?" and returns its code. */
int config_unknown(const char *section, const char *key, struct error *e);

/* The field of a row: char *, struct config_list, bool or uint64_t by its type. */
void *config_field(const struct config *config, const struct config_row *row);
bool config_is_text(enum config_type type);
bool config_is_list(enum config_type type);
void config_list_clear(struct config_list *list);
int config_list_add(struct config_list *list, const struct config_row *row, const char *value,
                    struct error *e);
int config_set_row(struct config *config, const struct config_row *row, const char *value,
                   struct error *e);
/* malloc'ed: the row's form of a number. */
char *config_number_text(const struct config_row *row, uint64_t value);

/* "HOST:PORT", "duration", ... */
const char *config_type_text(enum config_type type);

/* malloc'ed: a value as people read it; secrets are hidden. */
char *config_value_text(const struct config *config, const struct config_row *row);

#endif
