/* Logs of Delta tables that others wrote: entries, schemas, what a file holds. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "core/delta_commit.h"
#include "core/delta_log.h"
#include "core/delta_prune.h"
#include "core/delta_schema.h"

static void look(struct delta_log *log)
{
    struct delta_view *view;
    struct delta_file file;
    struct error e = {0};
    size_t at = 0, files = 0;
    uint64_t rows;
    if (delta_log_version(log) == DELTA_NO_VERSION ||
        delta_view_open(log, delta_log_version(log), &view, &e) < 0)
        return;
    while (delta_view_next(view, &at, &file))
        files++;
    fuzz_check(files == delta_view_files(view));
    (void)delta_view_rows(view, &rows);
    delta_view_close(view);
}

static void read_schema(const char *text, size_t len)
{
    struct delta_schema schema, again;
    struct error e = {0};
    struct buf b;
    if (delta_schema_parse(text, len, &schema, &e) < 0)
        return;
    buf_init(&b, 16 << 20);
    if (delta_schema_format(&schema, &b) == 0) {
        fuzz_check(delta_schema_parse((const char *)b.data, b.len, &again, &e) == 0);
        fuzz_check(delta_schema_equal(&schema, &again));
        delta_schema_done(&again);
    }
    buf_done(&b);
    delta_schema_done(&schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct delta_change change;
    struct error e = {0};
    const char *text = len > 0 ? (const char *)data : "";
    struct delta_log *log = delta_log_new();
    if (delta_log_apply(log, 0, text, len, &e) == 0) {
        look(log);
        if (delta_log_apply(log, 1, text, len, &e) == 0)
            look(log);
        delta_log_trim(log, 1);
    } else {
        fuzz_check(e.text[0] != '\0');
    }
    delta_log_free(log);
    if (delta_change_parse(text, len, &change, &e) == 0)
        delta_change_done(&change);
    read_schema(text, len);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(
        add,
        "{\"commitInfo\":{\"timestamp\":1587968586154,\"operation\":\"WRITE\"}}\n"
        "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
        "{\"metaData\":{\"id\":\"5fba94ed-9794-4965-ba6e-6ee3c0d22af9\",\"format\":{\"provider\":"
        "\"parquet\",\"options\":{}},\"schemaString\":\"{\\\"type\\\":\\\"struct\\\","
        "\\\"fields\\\":"
        "[{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,"
        "\\\"metadata\\\":{}},"
        "{\\\"name\\\":\\\"day\\\",\\\"type\\\":\\\"date\\\",\\\"nullable\\\":true,"
        "\\\"metadata\\\":{}}]}\","
        "\"partitionColumns\":[\"day\"],\"configuration\":{},\"createdTime\":1587968585495}}\n"
        "{\"add\":{\"path\":\"a.parquet\",\"partitionValues\":{\"day\":\"2024-01-01\"},\"size\":"
        "262,"
        "\"modificationTime\":1587968586000,\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":3,"
        "\\\"minValues\\\":{\\\"id\\\":1},\\\"maxValues\\\":{\\\"id\\\":9},\\\"nullCount\\\":"
        "{\\\"id\\\":0}}\"}}\n"
        "{\"remove\":{\"path\":\"a.parquet\",\"deletionTimestamp\":1,\"dataChange\":true}}\n"
        "{\"txn\":{\"appId\":\"x\",\"version\":7}}\n");
    fuzz_add_text(
        add, "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"decimal(38,3)\","
             "\"nullable\":false,"
             "\"metadata\":{}},{\"name\":\"b\",\"type\":{\"type\":\"array\",\"elementType\":{"
             "\"type\":\"map\","
             "\"keyType\":\"string\",\"valueType\":\"timestamp_ntz\",\"valueContainsNull\":true},"
             "\"containsNull\":true},\"nullable\":true,\"metadata\":{}}]}");
    fuzz_add_text(add, "{\"add\":{\"path\":\"b\",\"partitionValues\":{},\"size\":1,"
                       "\"modificationTime\":1,\"dataChange\":true}}\n");
    /* a type inside of another that is not read */
    fuzz_add_text(
        add, "{\"type\":\"struct\",\"fields\":[{\"name\":\"b\",\"type\":{\"type\":\"array\","
             "\"elementType\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":\"x\"}}}]}");
    fuzz_add_text(add,
                  "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,"
                  "\"readerFeatures\":[\"timestampNtz\"],\"writerFeatures\":[\"timestampNtz\"]}}");
}
