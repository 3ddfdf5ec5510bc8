#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "wire/frame.h"
#include "wire/message.h"

static const struct {
    enum wire_type type;
    const char *name;
} rows[] = {
#define ROW(symbol, number, name) {symbol, #name},
    WIRE_MESSAGE_LIST(ROW)
#undef ROW
};

static ProtobufCMessage *empty_message(unsigned type)
{
    const ProtobufCMessageDescriptor *descriptor = wire_descriptor(type);
    ProtobufCMessage *message = mem_zalloc(descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

/* Decodes the one frame in `b`. */
static struct frame only_frame(struct buf *b, struct frame_decoder *d)
{
    struct frame frame;
    frame_decoder_init(d, FRAME_BODY_BYTES_MAX);
    frame_decoder_push(d, b->data, b->len);
    assert_int_equal(frame_decoder_next(d, &frame), 1);
    assert_int_equal(FRAME_HEADER_BYTES + frame.len, b->len);
    return frame;
}

static void every_type_has_a_descriptor_a_name_and_a_number_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        assert_true((unsigned)rows[i].type > 0 && (unsigned)rows[i].type < WIRE_TYPE_LIMIT);
        assert_non_null(wire_descriptor(rows[i].type));
        assert_string_equal(wire_type_name(rows[i].type), rows[i].name);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(rows[i].type, rows[j].type);
            assert_ptr_not_equal(wire_descriptor(rows[i].type), wire_descriptor(rows[j].type));
        }
    }
}

static void a_number_that_is_no_type_has_no_descriptor(void **state)
{
    (void)state;
    assert_null(wire_descriptor(0));
    assert_null(wire_descriptor(WIRE_TYPE_LIMIT));
    assert_null(wire_descriptor(65535));
    assert_string_equal(wire_type_name(0), "unknown");
    assert_string_equal(wire_type_name(65535), "unknown");
}

static void every_type_comes_back_as_the_frame_it_was_packed_into(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct buf b;
        struct frame_decoder d;
        ProtobufCMessage *out = NULL;
        ProtobufCMessage *message = empty_message(rows[i].type);
        buf_init(&b, 4096);
        assert_int_equal(wire_pack(&b, rows[i].type, message), 0);
        assert_int_equal(b.len, wire_packed_size(message));
        struct frame frame = only_frame(&b, &d);
        assert_int_equal(frame.type, rows[i].type);
        assert_int_equal(wire_unpack(frame.type, frame.body, frame.len, &out), 0);
        assert_ptr_equal(out->descriptor, wire_descriptor(rows[i].type));
        wire_free(out);
        frame_decoder_done(&d);
        buf_done(&b);
        free(message);
    }
}

/* A message with nested and repeated fields. */
static void pack_update(struct buf *b)
{
    uint8_t job[16] = {1, 2, 3};
    Wire__TaskKey key = WIRE__TASK_KEY__INIT;
    key.job = (ProtobufCBinaryData){.len = sizeof job, .data = job};
    key.index = 7;
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;
    report.key = &key;
    report.text = (char[]){"it ended"};
    report.exit_code = -1;
    Wire__TaskReport *reports[] = {&report, &report, &report};
    Wire__TaskUpdate update = WIRE__TASK_UPDATE__INIT;
    update.node_id = UINT64_MAX;
    update.n_reports = MEM_COUNT(reports);
    update.reports = reports;
    assert_int_equal(wire_pack(b, WIRE_TASK_UPDATE, &update.base), 0);
}

static void nested_fields_come_back_as_they_were(void **state)
{
    (void)state;
    struct buf b;
    ProtobufCMessage *out = NULL;
    buf_init(&b, 4096);
    pack_update(&b);
    assert_int_equal(wire_unpack(WIRE_TASK_UPDATE, b.data + FRAME_HEADER_BYTES,
                                 b.len - FRAME_HEADER_BYTES, &out),
                     0);
    const Wire__TaskUpdate *update = (const Wire__TaskUpdate *)out;
    assert_true(update->node_id == UINT64_MAX);
    assert_int_equal(update->n_reports, 3);
    assert_int_equal(update->reports[2]->key->index, 7);
    assert_int_equal(update->reports[2]->exit_code, -1);
    assert_string_equal(update->reports[2]->text, "it ended");
    wire_free(out);
    buf_done(&b);
}

static void an_unknown_type_is_refused(void **state)
{
    (void)state;
    ProtobufCMessage *out = NULL;
    assert_int_equal(wire_unpack(9, "", 0, &out), ERR_PROTOCOL);
    assert_int_equal(wire_unpack(65535, "", 0, &out), ERR_PROTOCOL);
    assert_null(out);
}

static void a_truncated_body_is_refused_or_a_shorter_message(void **state)
{
    (void)state;
    struct buf b;
    unsigned refused = 0;
    buf_init(&b, 4096);
    pack_update(&b);
    size_t body_len = b.len - FRAME_HEADER_BYTES;
    for (size_t len = 0; len < body_len; len++) {
        ProtobufCMessage *out = NULL;
        int err = wire_unpack(WIRE_TASK_UPDATE, b.data + FRAME_HEADER_BYTES, len, &out);
        assert_true(err == 0 || err == ERR_PROTOCOL);
        if (err == 0)
            assert_true(((Wire__TaskUpdate *)out)->n_reports < 3); /* cut between two fields */
        refused += err != 0;
        wire_free(out);
    }
    assert_true(refused >= body_len - 4);
    buf_done(&b);
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct buf b;
    ProtobufCMessage *out = NULL;
    Wire__Ping ping = WIRE__PING__INIT;
    ping.sequence = 5;
    buf_init(&b, 4096);
    assert_int_equal(wire_pack(&b, WIRE_PING, &ping.base), 0);
    /* field 1000: a string; field 1001: a number */
    assert_int_equal(buf_append(&b, "\xc2\x3e\x03new\xc8\x3e\x2a", 9), 0);
    assert_int_equal(
        wire_unpack(WIRE_PING, b.data + FRAME_HEADER_BYTES, b.len - FRAME_HEADER_BYTES, &out), 0);
    assert_int_equal(((Wire__Ping *)out)->sequence, 5);
    wire_free(out);
    buf_done(&b);
}

static void a_body_that_would_blow_up_in_memory_is_refused(void **state)
{
    (void)state;
    enum { EMPTY_REPORTS = 200000 };
    struct buf b;
    ProtobufCMessage *out = NULL;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < EMPTY_REPORTS; i++)
        assert_int_equal(buf_append(&b, "\x12\x00", 2), 0); /* reports {} */
    assert_int_equal(wire_unpack(WIRE_TASK_UPDATE, b.data, b.len, &out), ERR_TOO_LARGE);
    assert_null(out);
    buf_done(&b);
}

static void a_message_over_the_frame_limit_is_not_packed(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 32 << 20);
    uint8_t *data = mem_zalloc(FRAME_BODY_BYTES_MAX);
    Wire__FileChunk chunk = WIRE__FILE_CHUNK__INIT;
    chunk.data = (ProtobufCBinaryData){.len = FRAME_BODY_BYTES_MAX, .data = data};
    assert_int_equal(wire_pack(&b, WIRE_FILE_CHUNK, &chunk.base), ERR_TOO_LARGE);
    chunk.data.len = FRAME_BODY_BYTES_MAX - 16;
    assert_int_equal(wire_pack(&b, WIRE_FILE_CHUNK, &chunk.base), 0);
    buf_done(&b);
    buf_init(&b, 1024);
    assert_int_equal(wire_pack(&b, WIRE_FILE_CHUNK, &chunk.base), ERR_TOO_LARGE);
    assert_int_equal(b.len, 0);
    buf_done(&b);
    free(data);
}

static void flipped_and_random_bodies_never_crash_the_decoder(void **state)
{
    (void)state;
    struct prng prng;
    struct buf b;
    prng_init(&prng, 42);
    buf_init(&b, 4096);
    pack_update(&b);
    for (int round = 0; round < 20000; round++) {
        uint8_t body[512];
        size_t len = b.len - FRAME_HEADER_BYTES;
        ProtobufCMessage *out = NULL;
        memcpy(body, b.data + FRAME_HEADER_BYTES, len);
        if (round % 2 == 0) {
            len = prng_below(&prng, sizeof body);
            prng_bytes(&prng, body, len);
        } else {
            body[prng_below(&prng, len)] ^= (uint8_t)(1 << prng_below(&prng, 8));
        }
        unsigned type = round % 2 == 0 ? (unsigned)prng_below(&prng, WIRE_TYPE_LIMIT)
                                       : (unsigned)WIRE_TASK_UPDATE;
        if (wire_unpack(type, body, len, &out) == 0)
            wire_free(out);
    }
    buf_done(&b);
}

static void the_documentation_names_every_message(void **state)
{
    (void)state;
    const char *top = getenv("TOP_SRCDIR");
    char *path = mem_printf("%s/docs/protocol.md", top != NULL ? top : "..");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    char line[1024];
    size_t n = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned number;
        char name[64];
        if (sscanf(line, "| %u | %63s |", &number, name) != 2)
            continue;
        if (n == MEM_COUNT(rows) || number != rows[n].type || strcmp(name, rows[n].name) != 0)
            fail_msg("%s: %s is not the message that stands here in wire/message.h", path, name);
        n++;
    }
    (void)fclose(file);
    assert_int_equal(n, MEM_COUNT(rows));
    free(path);
}

/* The parts are the frame that wire_pack() makes, but a long text stays where it is. */
static void a_frame_in_parts_copies_no_long_text(void **state)
{
    (void)state;
    enum { LONG = 10 * 1000 * 1000 };
    char *text = mem_alloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    char *sql[] = {text, (char *)(uintptr_t) "select 1"};
    for (size_t n = 1; n <= 2; n++) {
        Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
        Wire__SqlParse parse = WIRE__SQL_PARSE__INIT;
        struct wire_parts parts;
        struct buf frame, together;
        parse.sql = n == 1 ? sql : sql + 1;
        parse.n_sql = 1;
        task.call = 7;
        task.session = (char *)(uintptr_t) "s";
        task.user = (char *)(uintptr_t) "somebody";
        task.parse = &parse;
        buf_init(&frame, FRAME_HEADER_BYTES + FRAME_BODY_BYTES_MAX);
        buf_init(&together, FRAME_HEADER_BYTES + FRAME_BODY_BYTES_MAX);
        assert_int_equal(wire_pack(&frame, WIRE_SQL_RUN_TASK, &task.base), 0);
        assert_int_equal(wire_pack_parts(&parts, WIRE_SQL_RUN_TASK, &task.base), 0);
        assert_true(parts.copied.len < 100);
        size_t borrowed = 0;
        for (size_t i = 0; i < parts.n; i++) {
            borrowed += parts.parts[i].data == (const uint8_t *)text;
            assert_int_equal(buf_append(&together, parts.parts[i].data, parts.parts[i].len), 0);
        }
        assert_int_equal(borrowed, n == 1);
        assert_int_equal(parts.bytes, frame.len);
        assert_int_equal(together.len, frame.len);
        assert_memory_equal(together.data, frame.data, frame.len);
        wire_parts_done(&parts);
        buf_done(&together);
        buf_done(&frame);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documentation_names_every_message),
        cmocka_unit_test(every_type_has_a_descriptor_a_name_and_a_number_of_its_own),
        cmocka_unit_test(a_number_that_is_no_type_has_no_descriptor),
        cmocka_unit_test(every_type_comes_back_as_the_frame_it_was_packed_into),
        cmocka_unit_test(nested_fields_come_back_as_they_were),
        cmocka_unit_test(an_unknown_type_is_refused),
        cmocka_unit_test(a_truncated_body_is_refused_or_a_shorter_message),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(a_body_that_would_blow_up_in_memory_is_refused),
        cmocka_unit_test(a_message_over_the_frame_limit_is_not_packed),
        cmocka_unit_test(a_frame_in_parts_copies_no_long_text),
        cmocka_unit_test(flipped_and_random_bodies_never_crash_the_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
