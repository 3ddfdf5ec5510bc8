/* What people and programs say: messages of the chat, and the output of the task that is followed.
 * Both are lines in a list of their own. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tui/model_internal.h"

struct model_message {
    struct json_slice at, channel, from, text;
    char *owned[4];
    int64_t seq, gone_before;
};

static bool model_message_parse(struct json_scan *s, struct model_message *message)
{
    static const char *const names[] = {"at", "channel", "from", "text"};
    struct json_slice key, value;
    (void)json_scan_object(s);
    while (json_scan_key(s, &key)) {
        enum json_kind kind = json_scan_peek(s);
        if (kind == JSON_KIND_NUMBER && json_slice_is(&key, "seq")) {
            (void)json_scan_i64(s, &message->seq);
        } else if (kind == JSON_KIND_NUMBER && json_slice_is(&key, "gone_before")) {
            (void)json_scan_i64(s, &message->gone_before);
        } else if (kind == JSON_KIND_STRING) {
            if (!json_scan_string(s, &value))
                break;
            for (size_t i = 0; i < MEM_COUNT(names); i++) {
                if (!json_slice_is(&key, names[i]))
                    continue;
                free(message->owned[i]);
                message->owned[i] = json_slice_dup(&value);
                if (i == 3)
                    message->text.len = value.len;
            }
        } else {
            (void)json_scan_skip(s, NULL);
        }
    }
    return json_scan_end(s);
}

void model_read_message(struct model *model, const char *text, size_t len)
{
    struct model_message message = {.seq = -1, .gone_before = -1};
    struct json_scan s;
    json_scan_init(&s, text, len);
    bool ok = model_message_parse(&s, &message);
    json_scan_done(&s);
    const char *at = message.owned[0] != NULL ? message.owned[0] : "";
    struct model_line line = {
        .at_ms = clock_rfc3339_ms(at, strlen(at)),
        .number = message.seq > 0 ? (uint64_t)message.seq : 0,
        .level = MODEL_LEVEL_INFO,
        .source = message.owned[2] != NULL ? message.owned[2] : "",
        .kind = message.owned[1] != NULL ? message.owned[1] : "",
        .text = message.owned[3] != NULL ? message.owned[3] : "",
        .text_len = message.text.len,
        .table = -1,
    };
    line.when_ms = line.at_ms;
    if (ok && message.gone_before > 0) {
        line.text = "earlier messages are not kept any more";
        line.text_len = strlen(line.text);
        line.source = "clustertop";
        line.is_hole = true;
        (void)model_lines_add(model->messages, &line);
    } else if (!ok || message.seq < 0) {
        model_complain(model, "a message", text, len);
    } else if (line.number < model->message_next) {
        model->duplicates++;
    } else {
        model->message_next = line.number + 1;
        (void)model_lines_add(model->messages, &line);
    }
    for (size_t i = 0; i < MEM_COUNT(message.owned); i++)
        free(message.owned[i]);
    model->generation++;
}

void model_clear_output(struct model *model)
{
    model_lines_clear(model->output);
    model->generation++;
}

void model_add_output(struct model *model, const char *stream, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t n = newline != NULL ? (size_t)(newline - bytes) : len;
        size_t shown = n > 0 && bytes[n - 1] == '\r' ? n - 1 : n;
        (void)model_lines_add(
            model->output,
            &(struct model_line){
                .when_ms = model->live_ms,
                .at_ms = model->live_ms,
                .level = strcmp(stream, "stderr") == 0 ? MODEL_LEVEL_WARN : MODEL_LEVEL_INFO,
                .source = "",
                .kind = stream,
                .text = bytes,
                .text_len = shown,
                .table = -1,
            });
        n += newline != NULL;
        bytes += n;
        len -= n;
    }
    model->generation++;
}
