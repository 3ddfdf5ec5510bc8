/* Objects are listed, one page of ListObjectsV2 that begins behind a key; and deleted, one by one,
 * those below a prefix page by page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/s3_op.h"

/* Undoes the encoding that encoding-type=url asked for. */
static char *s3_url_decode(const char *text)
{
    char *out = mem_alloc(strlen(text) + 1);
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned byte;
        int used = 0;
        if (*p == '%' && sscanf(p, "%%%2x%n", &byte, &used) == 1 && used == 3) {
            out[n++] = (char)byte;
            p += 2;
        } else {
            out[n++] = *p == '+' ? ' ' : *p;
        }
    }
    out[n] = '\0';
    return out;
}

static void s3_list_entry(struct s3_op *op, const char *contents)
{
    const char *at = contents;
    char *encoded = s3_xml(&at, "Key");
    at = contents;
    char *size = s3_xml(&at, "Size");
    at = contents;
    char *modified = s3_xml(&at, "LastModified");
    char *key = encoded != NULL ? s3_url_decode(encoded) : mem_strdup("");
    int64_t modified_ms = 0;
    if (modified != NULL)
        (void)clock_parse_rfc3339(modified, &modified_ms);
    bool listing = op->call->request.verb == OBJECT_LIST;
    if (strlen(key) > op->call->place_len && !(listing && str_ends_with(key, "/"))) {
        if (listing) {
            object_call_add_entry(op->call, key + op->call->place_len, s3_op_number(size),
                                  modified_ms);
        } else {
            MEM_GROW(op->doomed, op->doomed_cap, op->doomed_n + 1);
            op->doomed[op->doomed_n++] = mem_strdup(key);
        }
    }
    free(encoded);
    free(size);
    free(modified);
    free(key);
}

static void s3_on_listed(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code < 0) {
        s3_op_fail(op, answer->code, answer->text);
        return;
    }
    const char *at = answer->http->body;
    char *truncated = s3_xml(&at, "IsTruncated");
    op->more = truncated != NULL && strcmp(truncated, "true") == 0;
    free(truncated);
    at = answer->http->body;
    for (;;) {
        const char *begin = strstr(at, "<Contents>");
        const char *end = begin != NULL ? strstr(begin, "</Contents>") : NULL;
        if (end == NULL)
            break;
        char *contents = mem_strndup(begin, (size_t)(end - begin));
        s3_list_entry(op, contents);
        free(contents);
        at = end;
    }
    op->call->result.more = op->more;
    if (op->call->request.verb == OBJECT_LIST)
        s3_op_end(op);
    else
        s3_op_next(op);
}

void s3_list(struct s3_op *op)
{
    const struct object_request *request = &op->call->request;
    char limit[16];
    const char *path = op->call->path;
    char *prefix = mem_printf("%s%s", path, path[0] != '\0' ? "/" : "");
    char *after =
        request->after != NULL
            ? mem_printf("%.*s%s%s", (int)op->call->place_len, path,
                         op->call->place_len > 0 && path[op->call->place_len - 1] != '/' ? "/" : "",
                         request->after)
            : NULL;
    (void)snprintf(limit, sizeof limit, "%u", request->limit);
    struct s3_request list = {.method = "GET",
                              .key = "",
                              .query = {{"list-type", "2"},
                                        {"prefix", prefix},
                                        {"max-keys", limit},
                                        {"encoding-type", "url"}},
                              .query_n = 4};
    if (after != NULL)
        list.query[list.query_n++] = (struct sigv4_pair){"start-after", after};
    s3_op_send(op, &list, s3_on_listed);
    free(prefix);
    free(after);
}

/* ---- delete ---- */

static void s3_on_deleted(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code < 0 && answer->code != ERR_NOT_FOUND)
        s3_op_fail(op, answer->code, answer->text);
    else if (op->call->request.verb == OBJECT_DELETE)
        s3_op_end(op);
    else
        s3_op_next(op);
}

void s3_delete(struct s3_op *op, const char *key)
{
    struct s3_request request = {.method = "DELETE", .key = key};
    s3_op_send(op, &request, s3_on_deleted);
}

/* Deletes what the last page gave, one after another, then asks for the next page. */
void s3_delete_prefix(struct s3_op *op)
{
    if (op->doomed_n > 0) {
        char *key = op->doomed[--op->doomed_n];
        op->at++;
        s3_delete(op, key);
        free(key);
    } else if (op->at == 0 || op->more) {
        op->at = 1;
        s3_list(op);
    } else {
        s3_op_end(op);
    }
}
