/* The configuration and its reference, printed from the rows. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config_rows.h"

static void config_print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void config_print_value(const struct config *config, const struct config_row *row, FILE *out,
                               bool secrets)
{
    const void *field = config_field(config, row);
    if (config_is_list(row->type)) {
        const struct config_list *list = field;
        fputc('[', out);
        for (unsigned i = 0; i < list->n; i++) {
            fputs(i > 0 ? ", " : "", out);
            config_print_text(out, list->items[i]);
        }
        fputc(']', out);
    } else if (row->type == CONFIG_BOOL) {
        fputs(*(const bool *)field ? "true" : "false", out);
    } else if (config_is_text(row->type)) {
        const char *text = *(char *const *)field;
        bool hidden = row->type == CONFIG_SECRET && !secrets && *text != '\0';
        config_print_text(out, hidden ? "(hidden)" : text);
    } else {
        char *text = config_number_text(row, *(const uint64_t *)field);
        fputs(text, out);
        free(text);
    }
}

void config_print(const struct config *config, FILE *out, bool secrets)
{
    const char *section = "";
    for (unsigned i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(section, row->section) != 0)
            fprintf(out, "%s:\n", row->section);
        section = row->section;
        fprintf(out, "  %s: ", row->key);
        config_print_value(config, row, out, secrets);
        fputc('\n', out);
    }
}

char *config_value_text(const struct config *config, const struct config_row *row)
{
    const void *field = config_field(config, row);
    if (config_is_text(row->type)) {
        const char *value = *(char *const *)field;
        return mem_strdup(row->type == CONFIG_SECRET && *value != '\0' ? "(hidden)" : value);
    }
    if (!config_is_list(row->type))
        return row->type == CONFIG_BOOL ? mem_strdup(*(const bool *)field ? "true" : "false")
                                        : config_number_text(row, *(const uint64_t *)field);
    const struct config_list *list = field;
    struct buf text;
    buf_init(&text, (size_t)1 << 20);
    for (unsigned i = 0; i < list->n; i++)
        (void)buf_printf(&text, "%s%s", i > 0 ? ", " : "", list->items[i]);
    char *out = buf_steal(&text, NULL);
    buf_done(&text);
    return out;
}

const char *config_type_text(enum config_type type)
{
    static const char *const names[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_SECRET] = "secret",
        [CONFIG_NAME] = "name",
        [CONFIG_PATH] = "path",
        [CONFIG_ADDRESS] = "HOST:PORT",
        [CONFIG_CHOICE] = "choice",
        [CONFIG_ADDRESSES] = "list of HOST:PORT",
        [CONFIG_LIST] = "list",
        [CONFIG_BOOL] = "true, false",
        [CONFIG_NUMBER] = "number",
        [CONFIG_OCTAL] = "file mode",
        [CONFIG_DURATION] = "duration",
        [CONFIG_BYTES] = "size",
        [CONFIG_RATIO] = "share",
    };
    return names[type];
}

void config_print_reference(FILE *out)
{
    fputs("# Configuration\n\nYAML, one section a heading. `clusterd config check FILE` checks a "
          "file, `clusterd config reference`\nprints this page.\n",
          out);
    const char *section = "";
    for (unsigned i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(section, row->section) != 0)
            fprintf(
                out,
                "\n## %s\n\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n",
                row->section);
        section = row->section;
        fprintf(out, "| `%s` | %s | %s%s%s | ", row->key, config_type_text(row->type),
                *row->fallback ? "`" : "", row->fallback, *row->fallback ? "`" : "");
        if (row->choices != NULL) {
            for (const char *c = row->choices; *c != '\0'; c++)
                fputs(*c == '|' ? ", " : (char[]){*c, '\0'}, out);
        } else if (row->max > 0) {
            char *min = config_number_text(row, row->min);
            char *max = config_number_text(row, row->max);
            fprintf(out, "%s to %s", min, max);
            free(min);
            free(max);
        }
        fprintf(out, " | %s |\n", row->help);
    }
}
