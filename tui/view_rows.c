#include "tui/view_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

const char *view_short_id(const char *id, char out[static VIEW_SHORT_MAX])
{
    size_t len = strlen(id);
    bool is_uuid = len >= 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-';
    if (is_uuid)
        (void)snprintf(out, VIEW_SHORT_MAX, "%.8s%.50s", id, id + 36);
    else
        (void)snprintf(out, VIEW_SHORT_MAX, "%.*s", VIEW_SHORT_MAX - 1, id);
    return out;
}

double view_member(const struct model_row *row, const char *field, const char *member)
{
    char storage[64];
    struct model_value out;
    struct model_value value = model_row_get(row, field);
    if (value.type != MODEL_TYPE_JSON ||
        !model_value_member(&value, member, &out, storage, sizeof storage) ||
        (out.type != MODEL_TYPE_INT && out.type != MODEL_TYPE_REAL))
        return NAN;
    return out.real;
}

double view_job_done(const struct model_row *job)
{
    double elements = model_row_real(job, "elements", 0);
    if (elements <= 0)
        return NAN;
    double done = model_row_real(job, "completed", 0) + model_row_real(job, "failed", 0) +
                  model_row_real(job, "cancelled", 0);
    return done / elements;
}

/* The texts of a JSON array with `between` them; false when there are none. */
static bool view_join(const struct model_value *value, const char *between, char *out, size_t size)
{
    struct json_scan s;
    struct json_slice text;
    size_t used = 0;
    if (value->type != MODEL_TYPE_JSON)
        return false;
    json_scan_init(&s, value->text, strlen(value->text));
    (void)json_scan_array(&s);
    while (used < size && json_scan_element(&s)) {
        if (json_scan_peek(&s) != JSON_KIND_STRING || !json_scan_string(&s, &text))
            break;
        int len = text.len < size ? (int)text.len : (int)size;
        used += (size_t)snprintf(out + used, size - used, "%s%.*s", used > 0 ? between : "", len,
                                 text.text);
    }
    json_scan_done(&s);
    return used > 0;
}

const char *view_job_command(const struct model_row *job, char *out, size_t size)
{
    struct model_value commands = model_row_get(job, "commands");
    struct model_value argv = model_row_get(job, "argv");
    out[0] = '\0';
    if (!view_join(&commands, "; ", out, size))
        (void)view_join(&argv, " ", out, size);
    return out;
}

int view_state_rank(const char *state)
{
    static const char *const order[] = {"offline", "suspect",  "failed",  "lost",    "draining",
                                        "running", "assigned", "pending", "drained", "online"};
    for (size_t i = 0; i < MEM_COUNT(order); i++) {
        if (strcmp(order[i], state) == 0)
            return (int)i;
    }
    return (int)MEM_COUNT(order);
}

void view_cell_took(struct list_cell *cell, const struct place *place, const struct model_row *row,
                    int64_t began_ms)
{
    const char *state = model_row_text(row, "state");
    bool runs = strcmp(state, "running") == 0 || strcmp(state, "assigned") == 0;
    if (runs && began_ms != 0)
        cell_age(cell, began_ms, place_at_ms(place));
    else
        cell_duration(cell, model_row_real(row, "wall_ms", -1));
}

const char *view_age(int64_t since_ms, int64_t now_ms, char *out, size_t size)
{
    char text[STR_SHORT_MAX];
    out[0] = '\0';
    if (since_ms == 0 || size == 0)
        return out;
    (void)snprintf(out, size, "%s", str_format_age(now_ms - since_ms, text));
    return out;
}
