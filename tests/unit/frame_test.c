#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "wire/frame.h"

enum { BODY_MAX = 1 << 20 };

/* A stream of frames, each body filled from its number. */
struct stream {
    struct buf bytes;
    uint32_t lens[512];
    size_t n;
};

static uint8_t stream_byte(size_t frame, size_t at)
{
    return (uint8_t)(frame * 31 + at * 7 + (at >> 8));
}

static void stream_add(struct stream *s, uint32_t len)
{
    uint8_t *body = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = stream_byte(s->n, i);
    assert_int_equal(frame_append(&s->bytes, (uint16_t)(s->n + 1), body, len), 0);
    free(body);
    s->lens[s->n++] = len;
}

static void stream_init(struct stream *s)
{
    *s = (struct stream){.n = 0};
    buf_init(&s->bytes, 64 << 20);
}

/* Checks the frames that the decoder gives; returns how many there were since `seen`. */
static size_t stream_drain(const struct stream *s, struct frame_decoder *d, size_t seen,
                           size_t most)
{
    struct frame frame;
    int more = 1;
    while (most-- > 0 && (more = frame_decoder_next(d, &frame)) > 0) {
        assert_true(seen < s->n);
        assert_int_equal(frame.type, seen + 1);
        assert_int_equal(frame.len, s->lens[seen]);
        for (size_t i = 0; i<frame.len; i += frame.len> 4096 ? 997 : 1)
            assert_int_equal(frame.body[i], stream_byte(seen, i));
        seen++;
    }
    assert_true(more >= 0);
    return seen;
}

/* Pushes through memory that is overwritten behind each push, as a shared read buffer is. */
static void push_copy(struct frame_decoder *d, uint8_t *shared, const void *data, size_t len)
{
    memcpy(shared, data, len);
    frame_decoder_push(d, shared, len);
}

static void a_header_is_length_type_and_zero_in_little_endian(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header_write(header, 0x1234, 0x00a0b0c0);
    assert_memory_equal(header, "\xc0\xb0\xa0\x00\x34\x12\x00\x00", sizeof header);
}

static void frames_arrive_whole_however_the_stream_is_split_in_two(void **state)
{
    (void)state;
    struct stream s;
    stream_init(&s);
    stream_add(&s, 5);
    stream_add(&s, 0);
    stream_add(&s, 300);
    stream_add(&s, 1);
    uint8_t shared[512];
    for (size_t cut = 0; cut <= s.bytes.len; cut++) {
        struct frame_decoder d;
        frame_decoder_init(&d, BODY_MAX);
        push_copy(&d, shared, s.bytes.data, cut);
        size_t seen = stream_drain(&s, &d, 0, SIZE_MAX);
        memset(shared, 0xee, sizeof shared);
        push_copy(&d, shared, s.bytes.data + cut, s.bytes.len - cut);
        assert_int_equal(stream_drain(&s, &d, seen, SIZE_MAX), s.n);
        assert_false(frame_decoder_is_partial(&d));
        frame_decoder_done(&d);
    }
    buf_done(&s.bytes);
}

static void frames_arrive_whole_byte_by_byte(void **state)
{
    (void)state;
    struct stream s;
    stream_init(&s);
    for (uint32_t len = 0; len < 40; len++)
        stream_add(&s, len);
    struct frame_decoder d;
    frame_decoder_init(&d, BODY_MAX);
    size_t seen = 0;
    for (size_t i = 0; i < s.bytes.len; i++) {
        uint8_t byte = s.bytes.data[i];
        frame_decoder_push(&d, &byte, 1);
        seen = stream_drain(&s, &d, seen, SIZE_MAX);
        byte = 0xee;
    }
    assert_int_equal(seen, s.n);
    frame_decoder_done(&d);
    buf_done(&s.bytes);
}

/* Reads as a link does: into the space that the decoder offers, sometimes stopping early. */
static void read_randomly(const struct stream *s, uint64_t seed)
{
    static uint8_t scratch[4096];
    struct prng prng;
    struct frame_decoder d;
    size_t at = 0;
    size_t seen = 0;
    prng_init(&prng, seed);
    frame_decoder_init(&d, BODY_MAX);
    while (at < s->bytes.len) {
        void *space;
        size_t len;
        frame_decoder_space(&d, scratch, prng_between(&prng, 1, sizeof scratch), &space, &len);
        len = prng_between(&prng, 1, len);
        if (len > s->bytes.len - at)
            len = s->bytes.len - at;
        memcpy(space, s->bytes.data + at, len);
        at += len;
        frame_decoder_push(&d, space, len);
        seen = stream_drain(s, &d, seen, prng_below(&prng, 4));
        frame_decoder_keep(&d);
        memset(scratch, 0xee, sizeof scratch);
        if (prng_chance(&prng, 1, 2))
            seen = stream_drain(s, &d, seen, SIZE_MAX);
    }
    seen = stream_drain(s, &d, seen, SIZE_MAX);
    assert_int_equal(seen, s->n);
    assert_false(frame_decoder_is_partial(&d));
    frame_decoder_done(&d);
}

static void frames_arrive_whole_in_random_reads_and_pauses(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct stream s;
        struct prng prng;
        stream_init(&s);
        prng_init(&prng, seed);
        for (int i = 0; i < 60; i++)
            stream_add(&s, (uint32_t)prng_below(&prng, prng_chance(&prng, 1, 20) ? 300000 : 200));
        read_randomly(&s, seed);
        buf_done(&s.bytes);
    }
}

static void a_large_frame_is_read_in_place(void **state)
{
    (void)state;
    struct stream s;
    uint8_t scratch[1024];
    struct frame_decoder d;
    void *space;
    size_t len;
    stream_init(&s);
    stream_add(&s, BODY_MAX);
    frame_decoder_init(&d, BODY_MAX);
    frame_decoder_space(&d, scratch, sizeof scratch, &space, &len);
    assert_ptr_equal(space, scratch);
    memcpy(space, s.bytes.data, len);
    frame_decoder_push(&d, space, len);
    assert_int_equal(stream_drain(&s, &d, 0, SIZE_MAX), 0);
    size_t at = len;
    while (at < s.bytes.len) {
        frame_decoder_space(&d, scratch, sizeof scratch, &space, &len);
        assert_ptr_not_equal(space, s.bytes.len - at < sizeof scratch ? NULL : scratch);
        if (len > s.bytes.len - at)
            len = s.bytes.len - at;
        memcpy(space, s.bytes.data + at, len);
        at += len;
        frame_decoder_push(&d, space, len);
        if (at < s.bytes.len)
            assert_int_equal(stream_drain(&s, &d, 0, SIZE_MAX), 0);
    }
    assert_int_equal(stream_drain(&s, &d, 0, SIZE_MAX), 1);
    frame_decoder_done(&d);
    buf_done(&s.bytes);
}

static void an_announced_length_alone_takes_little_memory(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_BYTES];
    uint8_t scratch[1024];
    struct frame_decoder d;
    struct frame frame;
    void *space;
    size_t len;
    frame_header_write(header, 1, FRAME_BODY_BYTES_MAX);
    frame_decoder_init(&d, FRAME_BODY_BYTES_MAX);
    frame_decoder_push(&d, header, sizeof header);
    assert_int_equal(frame_decoder_next(&d, &frame), 0);
    frame_decoder_space(&d, scratch, sizeof scratch, &space, &len);
    assert_true(d.rest.cap <= 256 * 1024);
    frame_decoder_done(&d);
}

static void a_decoder_between_frames_holds_no_memory(void **state)
{
    (void)state;
    struct stream s;
    struct frame_decoder d;
    stream_init(&s);
    stream_add(&s, 1000);
    frame_decoder_init(&d, BODY_MAX);
    frame_decoder_push(&d, s.bytes.data, 500);
    assert_int_equal(stream_drain(&s, &d, 0, SIZE_MAX), 0);
    assert_true(frame_decoder_is_partial(&d));
    assert_non_null(d.rest.data);
    frame_decoder_push(&d, s.bytes.data + 500, s.bytes.len - 500);
    assert_int_equal(stream_drain(&s, &d, 0, SIZE_MAX), 1);
    assert_null(d.rest.data);
    frame_decoder_done(&d);
    buf_done(&s.bytes);
}

static void a_body_over_the_limit_is_refused_by_its_header(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= FRAME_HEADER_BYTES; cut++) {
        uint8_t header[FRAME_HEADER_BYTES];
        struct frame_decoder d;
        struct frame frame;
        frame_header_write(header, 1, BODY_MAX + 1);
        frame_decoder_init(&d, BODY_MAX);
        frame_decoder_push(&d, header, cut);
        int err = frame_decoder_next(&d, &frame);
        if (err == 0) {
            frame_decoder_push(&d, header + cut, sizeof header - cut);
            err = frame_decoder_next(&d, &frame);
        }
        assert_int_equal(err, ERR_TOO_LARGE);
        frame_decoder_done(&d);
    }
}

static void reserved_bytes_other_than_zero_are_refused(void **state)
{
    (void)state;
    for (int at = 6; at < 8; at++) {
        uint8_t header[FRAME_HEADER_BYTES] = {0};
        struct frame_decoder d;
        struct frame frame;
        header[at] = 1;
        frame_decoder_init(&d, BODY_MAX);
        frame_decoder_push(&d, header, sizeof header);
        assert_int_equal(frame_decoder_next(&d, &frame), ERR_PROTOCOL);
        frame_decoder_done(&d);
    }
}

static void a_frame_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 20);
    assert_int_equal(frame_append(&b, 1, "12345678", 8), 0);
    assert_int_equal(frame_append(&b, 1, "", 0), ERR_TOO_LARGE);
    assert_int_equal(b.len, 16);
    buf_done(&b);
}

static void random_bytes_end_in_an_error_or_a_wait_and_never_in_a_crash(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 20261120);
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[256];
        struct frame_decoder d;
        struct frame frame;
        size_t len = prng_below(&prng, sizeof bytes);
        int more = 1;
        prng_bytes(&prng, bytes, len);
        for (size_t i = 0; i + FRAME_HEADER_BYTES < len; i += prng_between(&prng, 1, 64))
            frame_header_write(bytes + i, 1, (uint32_t)prng_below(&prng, 80));
        frame_decoder_init(&d, 64);
        for (size_t at = 0; at < len && more >= 0;) {
            size_t part = prng_between(&prng, 1, len - at);
            frame_decoder_push(&d, bytes + at, part);
            at += part;
            while ((more = frame_decoder_next(&d, &frame)) > 0)
                assert_true(frame.len <= 64);
        }
        frame_decoder_done(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_length_type_and_zero_in_little_endian),
        cmocka_unit_test(frames_arrive_whole_however_the_stream_is_split_in_two),
        cmocka_unit_test(frames_arrive_whole_byte_by_byte),
        cmocka_unit_test(frames_arrive_whole_in_random_reads_and_pauses),
        cmocka_unit_test(a_large_frame_is_read_in_place),
        cmocka_unit_test(an_announced_length_alone_takes_little_memory),
        cmocka_unit_test(a_decoder_between_frames_holds_no_memory),
        cmocka_unit_test(a_body_over_the_limit_is_refused_by_its_header),
        cmocka_unit_test(reserved_bytes_other_than_zero_are_refused),
        cmocka_unit_test(a_frame_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(random_bytes_end_in_an_error_or_a_wait_and_never_in_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
