#include "shell/rollouts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "shell/request.h"
#include "shell/rollout_tree.h"

enum {
    ROLLOUTS_POLL_MS = 500,
    ROLLOUTS_ALSO_BYTES_MAX = 8192,
    ROLLOUTS_TREE_BYTES_MAX = 1 << 18,
};

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

/* Whether people look who want a picture rather than every field. */
static bool rollouts_wants_tree(const struct shell *shell)
{
    return shell->format == FORMAT_TABLE && shell->capture == NULL &&
           shell->settings.expanded != SHELL_EXPANDED_ON;
}

/* Malloc'ed. */
static char *rollouts_tree(struct shell *shell, const json_t *rollout, size_t *lines)
{
    struct buf b;
    output_measure(&shell->output);
    buf_init(&b, ROLLOUTS_TREE_BYTES_MAX);
    *lines = rollout_tree(rollout, shell_now_ms(shell), shell->output.width,
                          output_has_color(&shell->output), &b);
    return buf_steal(&b, NULL);
}

static void rollouts_print_gates(struct shell *shell, const json_t *gates)
{
    static const struct column columns[] = {
        COLUMN("gate", NULL, TEXT),
        COLUMN("verdict", NULL, STATE),
        COLUMN("value", NULL, FLOAT),
        COLUMN("failures", NULL, COUNT),
        COLUMN("inconclusive", NULL, COUNT),
        COLUMN("text", NULL, TEXT),
        COLUMN_END,
    };
    if (json_array_size(gates) > 0 && !format_is_json(shell->format)) {
        shell_say(shell, "\ngates:");
        shell_print_rows(shell, columns, gates);
    }
}

void rollouts_print(struct shell *shell, const json_t *rollout)
{
    if (rollouts_wants_tree(shell)) {
        size_t lines;
        char *tree = rollouts_tree(shell, rollout, &lines);
        output_write(&shell->output, tree, strlen(tree));
        free(tree);
        return;
    }
    shell_print_object(shell, rollouts_columns, rollout);
    rollouts_print_gates(shell, json_object_get(rollout, "gates"));
}

/* ---- following ---- */

/* "web: watching, 25 %: ..." */
static char *rollouts_line(const json_t *rollout)
{
    const char *text = json_string_value(json_object_get(rollout, "text"));
    return mem_printf("%s: %s, %lld %%%s%s", json_string_value(json_object_get(rollout, "service")),
                      json_string_value(json_object_get(rollout, "state")),
                      (long long)json_integer_value(json_object_get(rollout, "weight")),
                      text != NULL && text[0] != '\0' ? ": " : "", text != NULL ? text : "");
}

/* What was shown last. */
struct rollouts_seen {
    char *text;
    size_t lines; /* of a tree that is drawn over; 0: it is not */
};

/* A tree in the place of the last one where the terminal can, else a line for each change. */
static void rollouts_show(struct shell *shell, const json_t *rollout, struct rollouts_seen *seen)
{
    size_t lines = 0;
    char *text = NULL;
    if (rollouts_wants_tree(shell) && output_has_color(&shell->output)) {
        text = rollouts_tree(shell, rollout, &lines);
        if (lines + 1 >= shell->output.height) {
            free(text);
            text = NULL;
            lines = 0;
        }
    }
    if (text == NULL)
        text = rollouts_line(rollout);
    if (seen->text != NULL && strcmp(seen->text, text) == 0) {
        free(text);
        return;
    }
    if (lines > 0) {
        char *up = seen->lines > 0 ? mem_printf("\033[%zuA\033[J", seen->lines) : mem_strdup("");
        char *whole = mem_printf("%s%s", up, text);
        output_write(&shell->output, whole, strlen(whole));
        free(whole);
        free(up);
    } else {
        shell_say(shell, "%s", text);
    }
    free(seen->text);
    *seen = (struct rollouts_seen){.text = text, .lines = lines};
}

/* Until the next look; an exit status. */
static int rollouts_rest(struct shell *shell)
{
    int status = shell_refuse_replay(shell, "nothing goes on in it");
    int64_t next_ms = clock_mono_ms() + ROLLOUTS_POLL_MS;
    while (clock_mono_ms() < next_ms && status == SHELL_STATUS_OK) {
        shell_wait(shell, next_ms);
        if (shell_take_interrupt(shell))
            status = SHELL_STATUS_INTERRUPTED;
    }
    return status;
}

int rollouts_watch(struct shell *shell, const char *service)
{
    struct rollouts_seen seen = {0};
    int status = SHELL_STATUS_OK;
    bool ended = false;
    while (!ended && status == SHELL_STATUS_OK) {
        struct client_path path;
        json_t *rollout;
        (void)client_path(&path, "rollouts", service, NULL);
        status = request_get(shell, &path, &rollout);
        if (status != SHELL_STATUS_OK)
            break;
        rollouts_show(shell, rollout, &seen);
        const char *state = json_string_value(json_object_get(rollout, "state"));
        ended = json_is_string(json_object_get(rollout, "ended_at"));
        if (ended && state != NULL && strcmp(state, "aborted") == 0)
            status = SHELL_STATUS_FAILED;
        json_decref(rollout);
        if (!ended)
            status = rollouts_rest(shell);
    }
    free(seen.text);
    return status;
}
