#include "shell/rollouts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "shell/request.h"

enum { ROLLOUTS_POLL_MS = 500, ROLLOUTS_ALSO_BYTES_MAX = 8192 };

static char *rollouts_weight(const json_t *row)
{
    return mem_printf("%lld %%", (long long)json_integer_value(json_object_get(row, "weight")));
}

static char *rollouts_step(const json_t *row)
{
    json_int_t steps = json_integer_value(json_object_get(row, "steps_n"));
    json_int_t step = json_integer_value(json_object_get(row, "step")) + 1;
    return steps > 0
               ? mem_printf("%lld/%lld", (long long)(step < steps ? step : steps), (long long)steps)
               : NULL;
}

/* What changes together with the first service: "api=m2 batch=m7". */
static char *rollouts_also(const json_t *row)
{
    const json_t *targets = json_object_get(row, "targets");
    struct buf text;
    buf_init(&text, ROLLOUTS_ALSO_BYTES_MAX);
    for (size_t i = 1; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        const char *service = json_string_value(json_object_get(target, "service"));
        const char *model = json_string_value(json_object_get(target, "canary"));
        if (service == NULL || model == NULL ||
            buf_printf(&text, "%s%s=%s", text.len > 0 ? " " : "", service, model) < 0)
            break;
    }
    return buf_steal(&text, NULL);
}

const struct column rollouts_columns[] = {
    COLUMN("service", NULL, TEXT),
    COLUMN("model", NULL, TEXT),
    COLUMN("kind", NULL, TEXT),
    COLUMN("state", NULL, STATE),
    COLUMN_AS("step", NULL, TEXT, rollouts_step),
    COLUMN_AS("weight", NULL, TEXT, rollouts_weight),
    COLUMN("since", NULL, AGE),
    COLUMN("text", "why", TEXT),
    COLUMN("by", NULL, TEXT),
    COLUMN_AS("targets", "also", TEXT, rollouts_also),
    COLUMN_DETAIL("reason", NULL, TEXT),
    COLUMN_DETAIL("steps", NULL, TEXT),
    COLUMN_DETAIL("decide_by", "decided by", TEXT),
    COLUMN_DETAIL("window_ms", "window", DURATION),
    COLUMN_DETAIL("samples_min", "samples", COUNT),
    COLUMN_DETAIL("began_at", "began", TIME),
    COLUMN_DETAIL("ended_at", "ended", TIME),
    COLUMN_DETAIL("txid", "transaction", ID),
    COLUMN_DETAIL("id", NULL, ID),
    COLUMN_END,
};

void rollouts_print(struct shell *shell, const json_t *rollout)
{
    static const struct column gates[] = {
        COLUMN("gate", NULL, TEXT),
        COLUMN("verdict", NULL, STATE),
        COLUMN("value", NULL, FLOAT),
        COLUMN("failures", NULL, COUNT),
        COLUMN("inconclusive", NULL, COUNT),
        COLUMN("text", NULL, TEXT),
        COLUMN_END,
    };
    shell_print_object(shell, rollouts_columns, rollout);
    const json_t *rows = json_object_get(rollout, "gates");
    if (json_array_size(rows) > 0 && !format_is_json(shell->format)) {
        shell_say(shell, "\ngates:");
        shell_print_rows(shell, gates, rows);
    }
}

/* "web: watching, 25 %: ..." */
static char *rollouts_line(const json_t *rollout)
{
    const char *text = json_string_value(json_object_get(rollout, "text"));
    return mem_printf("%s: %s, %lld %%%s%s", json_string_value(json_object_get(rollout, "service")),
                      json_string_value(json_object_get(rollout, "state")),
                      (long long)json_integer_value(json_object_get(rollout, "weight")),
                      text != NULL && text[0] != '\0' ? ": " : "", text != NULL ? text : "");
}

int rollouts_watch(struct shell *shell, const char *service)
{
    char *last = NULL;
    int status = SHELL_STATUS_OK;
    bool ended = false;
    while (!ended && status == SHELL_STATUS_OK) {
        struct client_path path;
        json_t *rollout;
        (void)client_path(&path, "rollouts", service, NULL);
        status = request_get(shell, &path, &rollout);
        if (status != SHELL_STATUS_OK)
            break;
        char *line = rollouts_line(rollout);
        const char *state = json_string_value(json_object_get(rollout, "state"));
        bool is_aborted = state != NULL && strcmp(state, "aborted") == 0;
        ended = json_is_string(json_object_get(rollout, "ended_at"));
        if (last == NULL || strcmp(last, line) != 0)
            shell_say(shell, "%s", line);
        free(last);
        last = line;
        json_decref(rollout);
        if (ended && is_aborted)
            status = SHELL_STATUS_FAILED;
        else if (!ended)
            status = shell_refuse_replay(shell, "nothing goes on in it");
        int64_t next_ms = clock_mono_ms() + ROLLOUTS_POLL_MS;
        while (!ended && clock_mono_ms() < next_ms && status == SHELL_STATUS_OK) {
            shell_wait(shell, next_ms);
            if (shell_take_interrupt(shell))
                status = SHELL_STATUS_INTERRUPTED;
        }
    }
    free(last);
    return status;
}
