/* libcurl wants and gives bytes on the loop, the disk is asked by libuv's pool. So both directions
 * can be told to pause: until a block of the sent file is read, until the received file's sink has
 * room.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/http_call.h"

static bool http_call_is_success(const struct http_call *call)
{
    long status = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static void http_call_set_error(struct http_call *call, int code, const char *text)
{
    call->code = code;
    (void)snprintf(call->why, sizeof call->why, "%s", text);
}

static void http_call_too_large(struct http_call *call)
{
    char max[STR_SHORT_MAX];
    call->code = ERR_TOO_LARGE;
    (void)snprintf(call->why, sizeof call->why, "the answer is larger than %s",
                   str_format_bytes(call->body_max, max));
}

static size_t http_call_store(struct http_call *call, const char *data, size_t len)
{
    struct http_call_target *target = &call->target;
    if (target->sink == NULL) {
        target->sink = file_sink_new(call->client->loop, target->fd);
        file_sink_on_ready(target->sink, http_call_on_room, call);
    }
    size_t taken = file_sink_write(target->sink, data, len);
    int rc = file_sink_error(target->sink);
    if (rc != 0) {
        http_call_set_error(call, rc, err_text(rc));
        return 0;
    }
    if (taken < len) {
        free(target->left);
        target->left = mem_dup(data + taken, len - taken);
        target->left_len = len - taken;
        target->left_used = 0;
        (void)curl_easy_pause(call->easy, CURLPAUSE_RECV);
    }
    return len;
}

size_t http_call_on_write(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t len = size * count;
    if (call->target.left_used < call->target.left_len)
        return CURL_WRITEFUNC_PAUSE; /* woken for the other direction */
    call->received += len;
    if (call->received > call->body_max) {
        http_call_too_large(call);
        return 0;
    }
    bool success = http_call_is_success(call);
    if (success && call->target.fd >= 0)
        return http_call_store(call, data, len);
    size_t room = success ? len : HTTP_CLIENT_ERROR_BYTES_MAX - call->body.len;
    (void)buf_append(&call->body, data, len < room ? len : room);
    return len;
}

/* The sink takes what it had refused; then libcurl goes on. */
void http_call_on_room(void *arg)
{
    struct http_call *call = arg;
    struct http_call_target *target = &call->target;
    target->left_used += file_sink_write(target->sink, target->left + target->left_used,
                                         target->left_len - target->left_used);
    if (target->left_used < target->left_len)
        return;
    if (call->state == HTTP_CALL_DONE)
        http_call_finish(call, CURLE_OK);
    else
        (void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

static void http_call_on_block(uv_fs_t *fs)
{
    struct http_call *call = fs->data;
    struct http_call_source *source = &call->source;
    ssize_t n = fs->result;
    uv_fs_req_cleanup(fs);
    source->reading = false;
    if (call->state == HTTP_CALL_ENDED) {
        http_call_release(call);
        return;
    }
    source->block_used = 0;
    source->block_len = n > 0 ? (size_t)n : 0;
    if (n <= 0)
        source->error = n < 0 ? (int)n : ERR_CLOSED;
    source->paused = false;
    (void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

static void http_call_read_block(struct http_call *call)
{
    struct http_call_source *source = &call->source;
    uint64_t want = source->len - source->offset;
    if (source->block == NULL)
        source->block = mem_alloc(HTTP_CALL_BLOCK_SIZE);
    uv_buf_t buf = uv_buf_init((char *)source->block,
                               want < HTTP_CALL_BLOCK_SIZE ? (unsigned)want : HTTP_CALL_BLOCK_SIZE);
    source->reading = true;
    source->fs.data = call;
    int rc = uv_fs_read(call->client->loop, &source->fs, source->fd, &buf, 1,
                        (int64_t)source->offset, http_call_on_block);
    assert(rc == 0);
    (void)rc;
}

size_t http_call_on_read(char *out, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    struct http_call_source *source = &call->source;
    if (source->error != 0) {
        http_call_set_error(call, source->error,
                            source->error == ERR_CLOSED ? "the file that is sent became shorter"
                                                        : err_text(source->error));
        return CURL_READFUNC_ABORT;
    }
    size_t room = size * count;
    size_t left = source->block_len - source->block_used;
    if (left == 0 && source->offset < source->len) {
        if (!source->reading)
            http_call_read_block(call);
        source->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    size_t n = left < room ? left : room;
    if (n > 0)
        memcpy(out, source->block + source->block_used, n);
    source->block_used += n;
    source->offset += n;
    return n;
}

/* Only back to the start, for a redirect that wants the body again. */
int http_call_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_call *call = arg;
    struct http_call_source *source = &call->source;
    if (offset != 0 || origin != SEEK_SET || source->reading)
        return CURL_SEEKFUNC_FAIL;
    source->offset = 0;
    source->block_len = 0;
    source->block_used = 0;
    return CURL_SEEKFUNC_OK;
}
