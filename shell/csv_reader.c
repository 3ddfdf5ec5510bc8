#include "shell/csv_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void csv_reader_init(struct csv_reader *reader, FILE *file)
{
    *reader = (struct csv_reader){.file = file, .delimiter = ',', .quote = '"', .null = ""};
    buf_init(&reader->bytes, CSV_READER_RECORD_BYTES_MAX);
}

void csv_reader_done(struct csv_reader *reader)
{
    buf_done(&reader->bytes);
    free(reader->starts);
    free(reader->quoted);
    *reader = (struct csv_reader){0};
}

static int csv_reader_fail(const struct csv_reader *reader, int code, const char *why,
                           struct error *e)
{
    return error_set(e, code, "line %llu: %s", (unsigned long long)reader->line, why);
}

static int csv_reader_begin_field(struct csv_reader *reader, struct error *e)
{
    if (reader->n == CSV_READER_FIELDS_MAX)
        return csv_reader_fail(reader, ERR_TOO_LARGE, "it has too many fields", e);
    MEM_GROW(reader->starts, reader->cap, reader->n + 1);
    MEM_GROW(reader->quoted, reader->quoted_cap, reader->n + 1);
    reader->starts[reader->n] = reader->bytes.len;
    reader->quoted[reader->n] = false;
    reader->n++;
    return 0;
}

static int csv_reader_get(struct csv_reader *reader)
{
    int c = getc_unlocked(reader->file);
    reader->ended += c == '\n';
    return c;
}

static bool csv_reader_put(struct csv_reader *reader, int c)
{
    return buf_append_byte(&reader->bytes, (uint8_t)c) == 0;
}

/* The byte that a backslash and `c` stand for; \N stays, for csv_reader_field. */
static int csv_reader_escaped(int c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return c;
    }
}

static int csv_reader_take_quoted(struct csv_reader *reader, struct error *e)
{
    for (;;) {
        int c = csv_reader_get(reader);
        if (c == EOF)
            return csv_reader_fail(reader, ERR_INVALID, "a quote is not closed", e);
        if (c == reader->quote) {
            c = getc_unlocked(reader->file);
            if (c != reader->quote) {
                if (c != EOF)
                    (void)ungetc(c, reader->file);
                return 0;
            }
        }
        if (c == '\0')
            return csv_reader_fail(reader, ERR_INVALID, "it holds a NUL character", e);
        if (!csv_reader_put(reader, c))
            return csv_reader_fail(reader, ERR_TOO_LARGE, "the record is too large", e);
    }
}

/* A field up to its delimiter, which is returned; '\n' or EOF at the record's end. */
static int csv_reader_take_field(struct csv_reader *reader, int *end, struct error *e)
{
    int rc = csv_reader_begin_field(reader, e);
    bool is_first = true;
    for (int c; rc == 0; is_first = false) {
        c = csv_reader_get(reader);
        if (c == '\r' && reader->quote != '\0') {
            c = csv_reader_get(reader);
            if (c != '\n' && c != EOF) {
                (void)ungetc(c, reader->file);
                c = '\r';
            }
        }
        if (c == EOF || c == '\n' || c == reader->delimiter) {
            *end = c;
            break;
        }
        if (c == reader->quote && reader->quote != '\0' && is_first) {
            reader->quoted[reader->n - 1] = true;
            rc = csv_reader_take_quoted(reader, e);
            continue;
        }
        if (c == '\\' && reader->quote == '\0') {
            c = csv_reader_get(reader);
            if (c == 'N' && !csv_reader_put(reader, '\\'))
                rc = ERR_TOO_LARGE;
            if (c == '\\') /* what looks like \N then is text */
                reader->quoted[reader->n - 1] = true;
            c = c == EOF ? '\\' : csv_reader_escaped(c);
        }
        if (c == '\0')
            rc = csv_reader_fail(reader, ERR_INVALID, "it holds a NUL character", e);
        else if (rc != 0 || !csv_reader_put(reader, c))
            rc = csv_reader_fail(reader, ERR_TOO_LARGE, "the record is too large", e);
    }
    if (rc == 0 && !csv_reader_put(reader, '\0'))
        rc = csv_reader_fail(reader, ERR_TOO_LARGE, "the record is too large", e);
    return rc;
}

int csv_reader_next(struct csv_reader *reader, struct error *e)
{
    int end = reader->delimiter;
    int rc = 0;
    do { /* empty lines are none */
        reader->line = reader->ended + 1;
        buf_clear(&reader->bytes);
        reader->n = 0;
        end = reader->delimiter;
        while (rc == 0 && end == reader->delimiter)
            rc = csv_reader_take_field(reader, &end, e);
    } while (rc == 0 && end == '\n' && reader->n == 1 && reader->bytes.len == 1 &&
             !reader->quoted[0]);
    if (rc != 0)
        return rc;
    if (ferror(reader->file))
        return csv_reader_fail(reader, -errno, strerror(errno), e);
    if (end == EOF && reader->n == 1 && reader->bytes.len == 1 && !reader->quoted[0])
        return 0;
    for (size_t i = 0; i < reader->n; i++) {
        const char *field = (const char *)reader->bytes.data + reader->starts[i];
        if (!str_is_utf8(field, strlen(field)))
            return csv_reader_fail(reader, ERR_INVALID, "it is not UTF-8 text", e);
    }
    return 1;
}

const char *csv_reader_field(const struct csv_reader *reader, size_t i)
{
    const char *field = (const char *)reader->bytes.data + reader->starts[i];
    bool is_null =
        !reader->quoted[i] &&
        strcmp(field, reader->quote == '\0' && reader->null[0] == '\0' ? "\\N" : reader->null) == 0;
    return is_null ? NULL : field;
}
