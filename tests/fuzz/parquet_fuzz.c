/* Footers of Parquet files: whatever one says, what is believed of it lies in the file. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "core/parquet_footer.h"

enum { DATA_END = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct parquet_footer *footer = NULL;
    struct error e = {0};
    uint64_t footer_len;
    struct buf out;
    if (len >= PARQUET_FOOTER_END)
        (void)parquet_footer_length(data + len - PARQUET_FOOTER_END, len, &footer_len, &e);
    if (parquet_footer_parse(data, len, DATA_END, &footer, &e) < 0) {
        fuzz_check(e.text[0] != '\0');
        return 0;
    }
    for (size_t g = 0; g < footer->groups_n; g++)
        for (size_t l = 0; l < footer->leaves_n; l++) {
            fuzz_check(footer->groups[g].chunks[l].offset <= DATA_END);
            fuzz_check(footer->groups[g].chunks[l].len <=
                       DATA_END - footer->groups[g].chunks[l].offset);
        }
    buf_init(&out, 1 << 20);
    (void)parquet_footer_write(footer, 0, footer->groups_n, &out);
    buf_done(&out);
    parquet_footer_free(footer);
    return 0;
}

/* A table of one BIGINT, one row group, as the thrift compact protocol has it. */
void fuzz_seeds(fuzz_add_fn add)
{
    static const uint8_t footer[] = {
        0x15, 0x02, /* version 1 */
        0x19, 0x2c, /* schema: two elements */
        0x48, 6,    's',  'c',  'h',  'e',  'm',  'a',  0x15, 0x02, 0x00,
        0x15, 0x04, 0x25, 0x02, 0x18, 2,    'i',  'd',  0x00, /* INT64, optional */
        0x16, 0x14,                                           /* rows: 10 */
        0x19, 0x1c,                                           /* row groups: one */
        0x19, 0x1c,                                           /* its chunks: one */
        0x26, 0x08,                                           /* file offset */
        0x1c, 0x15, 0x04, 0x19, 0x15, 0x00, 0x19, 0x18, 2,    'i',  'd',
        0x15, 0x00, 0x16, 0x14, 0x16, 0x80, 0x01, 0x16, 0x80, 0x01, 0x26,
        0x08, 0x00, 0x00, 0x16, 0x80, 0x01, 0x16, 0x14, 0x00, /* bytes, rows */
        0x00,
    };
    add(footer, sizeof footer);
    add("\4\0\0\0PAR1", 8);
}
