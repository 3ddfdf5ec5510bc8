/* Events as lines of JSON, applied to the state that they tell of, and frames of it. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "wire/event_state.h"

static void print(struct event_state *state, struct buf *out)
{
    buf_clear(out);
    (void)buf_append_byte(out, '{');
    fuzz_check(event_state_print(state, NULL, NULL, out) == 0);
    (void)buf_append_byte(out, '}');
}

static int load(struct event_state *state, const struct buf *frame)
{
    json_t *json = json_loadb((const char *)frame->data, frame->len, 0, NULL);
    fuzz_check(json != NULL);
    int err = event_state_load(state, json);
    json_decref(json);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct event_state *state = event_state_new();
    const char *at = (const char *)data, *end = at + len;
    struct buf frame, again;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
        (void)event_state_apply(state, at, n);
        at += n + (newline != NULL);
    }
    buf_init(&frame, 16 << 20);
    buf_init(&again, 16 << 20);
    print(state, &frame);
    uint64_t refused = event_state_refused(state);
    fuzz_check(load(state, &frame) == 0 && event_state_refused(state) == refused);
    print(state, &again);
    fuzz_check(frame.len == again.len && memcmp(frame.data, again.data, again.len) == 0);
    buf_done(&frame);
    buf_done(&again);
    event_state_free(state);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(
        add, "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"name\":\"n1\",\"state\":\"online\"}}\n"
             "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"offline\",\"x\":null}}\n"
             "{\"table\":\"jobs\",\"key\":\"j\",\"row\":{\"id\":\"j\",\"a\":[1,{\"b\":2}]}}\n"
             "{\"table\":\"jobs\",\"key\":\"j\",\"gone\":true}\n");
}
