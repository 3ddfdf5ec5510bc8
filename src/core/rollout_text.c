/* Plans and gates as people write them. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/rollout.h"

/* ---- gates --------------------------------------------------------------------------------------
 */

static int rollout_gate_wrong(const char *text, struct error *e)
{
    return error_set(
        e, ERR_INVALID,
        "\"%.100s\" names no metric: a gate is errors<=1%%, p50, p90, p95, p99 or p999 "
        "(p95<=250ms), http:URL or command:TEXT",
        text);
}

/* "1%", "0.5%": permille; rounded to the nearest. */
static int rollout_percent(const char *text, uint64_t *permille)
{
    char *end;
    double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0 || !(percent >= 0) || percent > 100)
        return ERR_INVALID;
    *permille = (uint64_t)(percent * 10 + 0.5);
    return 0;
}

static int rollout_gate_limit(const char *text, const char *limit, struct rollout_gate *gate,
                              struct error *e)
{
    int64_t ms;
    size_t len = strlen(limit);
    if (gate->kind == ROLLOUT_GATE_ERRORS) {
        if (rollout_percent(limit, &gate->limit) < 0)
            return error_set(e, ERR_INVALID,
                             "\"%.100s\": errors are limited by a percentage, 0%% "
                             "to 100%%: errors<=1%%",
                             text);
        return 0;
    }
    /* A bare number would be seconds, where milliseconds are meant. */
    if (len == 0 || isdigit((unsigned char)limit[len - 1]) ||
        str_parse_duration_ms(limit, &ms) < 0 || ms < 1 || ms > 3600000)
        return error_set(
            e, ERR_INVALID,
            "\"%.100s\": a latency is limited by a time with its unit, 1ms to 1h: p95<=250ms",
            text);
    gate->limit = (uint64_t)ms * 1000;
    return 0;
}

static bool rollout_gate_metric(const char *name, size_t len, struct rollout_gate *gate)
{
    static const struct {
        const char *name;
        enum rollout_gate_kind kind;
        unsigned permille;
    } metrics[] = {
        {"errors", ROLLOUT_GATE_ERRORS, 0}, {"p50", ROLLOUT_GATE_LATENCY, 500},
        {"p90", ROLLOUT_GATE_LATENCY, 900}, {"p95", ROLLOUT_GATE_LATENCY, 950},
        {"p99", ROLLOUT_GATE_LATENCY, 990}, {"p999", ROLLOUT_GATE_LATENCY, 999},
    };
    for (size_t i = 0; i < MEM_COUNT(metrics); i++) {
        if (strlen(metrics[i].name) == len && strncmp(metrics[i].name, name, len) == 0) {
            gate->kind = metrics[i].kind;
            gate->permille = metrics[i].permille;
            return true;
        }
    }
    return false;
}

/* http://HOST... or https://HOST..., without what ends a line of a request. */
static bool rollout_gate_is_url(const char *text)
{
    size_t scheme = str_starts_with(text, "http://")    ? 7
                    : str_starts_with(text, "https://") ? 8
                                                        : 0;
    if (scheme == 0 || text[scheme] == '\0' || strchr("/?#:@", text[scheme]) != NULL)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return false;
    }
    return true;
}

int rollout_gate_parse(const char *text, struct rollout_gate *gate, struct error *e)
{
    struct rollout_gate parsed = {.value = NAN};
    const char *at = text;
    if (str_starts_with(at, "dry:")) {
        parsed.dry_run = true;
        at += 4;
    }
    const char *argument = NULL;
    if (str_starts_with(at, "http:") || str_starts_with(at, "https:")) {
        parsed.kind = ROLLOUT_GATE_HTTP;
        argument = str_starts_with(at, "http:http") ? at + 5 : at;
    } else if (str_starts_with(at, "command:")) {
        parsed.kind = ROLLOUT_GATE_COMMAND;
        argument = at + 8;
    }
    if (argument != NULL) {
        if (parsed.kind == ROLLOUT_GATE_HTTP && !rollout_gate_is_url(argument))
            return error_set(e, ERR_INVALID, "\"%s\": a gate asks a URL: http://HOST[:PORT]/PATH",
                             text);
        if (argument[0] == '\0' || strlen(argument) >= sizeof parsed.argument ||
            !str_is_utf8(argument, strlen(argument)))
            return error_set(e, ERR_INVALID, "a gate's URL or command has 1 to %d bytes of UTF-8",
                             ROLLOUT_ARGUMENT_MAX - 1);
        memcpy(parsed.argument, argument, strlen(argument) + 1);
        *gate = parsed;
        return 0;
    }
    const char *sign = strstr(at, "<=");
    if (sign == NULL || !rollout_gate_metric(at, (size_t)(sign - at), &parsed))
        return rollout_gate_wrong(text, e);
    int err = rollout_gate_limit(text, sign + 2, &parsed, e);
    if (err < 0)
        return err;
    *gate = parsed;
    return 0;
}

char *rollout_gate_format(const struct rollout_gate *gate)
{
    const char *dry = gate->dry_run ? "dry:" : "";
    switch (gate->kind) {
    case ROLLOUT_GATE_ERRORS:
        return mem_printf("%serrors<=%g%%", dry, (double)gate->limit / 10);
    case ROLLOUT_GATE_LATENCY:
        return mem_printf("%sp%u<=%llums", dry,
                          gate->permille % 10 == 0 ? gate->permille / 10 : gate->permille,
                          (unsigned long long)(gate->limit / 1000));
    case ROLLOUT_GATE_HTTP:
        return mem_printf("%s%s%s", dry,
                          str_starts_with(gate->argument, "http") ? "" : "http:", gate->argument);
    case ROLLOUT_GATE_COMMAND:
        break;
    }
    return mem_printf("%scommand:%s", dry, gate->argument);
}

/* ---- steps
 * --------------------------------------------------------------------------------------- */

static int rollout_step_parse(const char *item, size_t len, struct rollout_step *step,
                              struct error *e)
{
    char text[48];
    if (len >= sizeof text)
        return error_set(e, ERR_INVALID, "a step is WEIGHT:PAUSE, say 5:1m, or 50:wait");
    memcpy(text, item, len);
    text[len] = '\0';
    char *colon = strchr(text, ':');
    if (colon != NULL)
        *colon = '\0';
    uint64_t weight;
    *step = (struct rollout_step){0};
    if (str_parse_u64(text, 1, 100, &weight) < 0)
        return error_set(e, ERR_INVALID, "\"%s\": a step's weight is 1 to 100 percent", text);
    step->weight = (int)weight;
    if (colon == NULL)
        return 0;
    if (strcmp(colon + 1, "wait") == 0)
        step->wait = true;
    else if (str_parse_duration_ms(colon + 1, &step->pause_ms) < 0 ||
             step->pause_ms > INT64_C(31) * 86400000)
        return error_set(e, ERR_INVALID,
                         "\"%s\": a pause is a time of at most 31 days, say 10m, or wait",
                         colon + 1);
    return 0;
}

int rollout_steps_parse(const char *text, struct rollout *rollout, struct error *e)
{
    struct rollout_step steps[ROLLOUT_STEPS_MAX];
    size_t n = 0;
    for (const char *at = text; at != NULL; n++) {
        const char *comma = strchr(at, ',');
        if (n == ROLLOUT_STEPS_MAX)
            return error_set(e, ERR_INVALID, "a rollout has at most %d steps", ROLLOUT_STEPS_MAX);
        int err =
            rollout_step_parse(at, comma != NULL ? (size_t)(comma - at) : strlen(at), &steps[n], e);
        if (err < 0)
            return err;
        at = comma != NULL ? comma + 1 : NULL;
    }
    memcpy(rollout->steps, steps, n * sizeof *steps);
    rollout->steps_n = n;
    return 0;
}

/* In the largest unit that it is a whole number of. */
static int rollout_pause_format(int64_t ms, struct buf *out)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    return buf_printf(out, ":%lld%s", (long long)(ms / units[i].ms), units[i].name);
}

char *rollout_steps_format(const struct rollout *rollout)
{
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < rollout->steps_n; i++) {
        const struct rollout_step *step = &rollout->steps[i];
        (void)buf_printf(&out, "%s%d", i > 0 ? "," : "", step->weight);
        if (step->wait)
            (void)buf_append_str(&out, ":wait");
        else if (step->pause_ms > 0)
            (void)rollout_pause_format(step->pause_ms, &out);
    }
    return buf_steal(&out, NULL);
}

/* ---- checks
 * --------------------------------------------------------------------------------------- */

static int rollout_check_steps(const struct rollout *rollout, struct error *e)
{
    if (rollout->steps_n == 0 || rollout->steps_n > ROLLOUT_STEPS_MAX)
        return error_set(e, ERR_INVALID, "a rollout has 1 to %d steps", ROLLOUT_STEPS_MAX);
    for (size_t i = 0; i < rollout->steps_n; i++) {
        if (i > 0 && rollout->steps[i].weight <= rollout->steps[i - 1].weight)
            return error_set(e, ERR_INVALID, "steps grow; %d %% comes after %d %%",
                             rollout->steps[i].weight, rollout->steps[i - 1].weight);
    }
    if (rollout->steps[rollout->steps_n - 1].weight != 100)
        return error_set(e, ERR_INVALID, "the last step is 100 %%, not %d %%",
                         rollout->steps[rollout->steps_n - 1].weight);
    return 0;
}

static int rollout_check_targets(const struct rollout *rollout, struct error *e)
{
    if (rollout->targets_n == 0 || rollout->targets_n > ROLLOUT_TARGETS_MAX)
        return error_set(e, ERR_INVALID, "a rollout changes 1 to %d services", ROLLOUT_TARGETS_MAX);
    for (size_t i = 0; i < rollout->targets_n; i++) {
        const struct rollout_target *target = &rollout->targets[i];
        if (!str_is_name(target->service, ROUTING_NAME_MAX) ||
            !str_is_name(target->canary, ROUTING_NAME_MAX))
            return error_set(e, ERR_INVALID,
                             "services and models are named by 1 to %d letters, digits, '-', '_' "
                             "or '.'",
                             ROUTING_NAME_MAX);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(rollout->targets[k].service, target->service) == 0)
                return error_set(e, ERR_INVALID, "service %s is named twice", target->service);
        }
        if (rollout->kind == ROLLOUT_KIND_CANARY && strcmp(target->stable, target->canary) == 0)
            return error_set(e, ERR_INVALID, "model %s has all traffic of %s already",
                             target->canary, target->service);
    }
    return 0;
}

int rollout_check(const struct rollout *rollout, struct error *e)
{
    int err = rollout_check_targets(rollout, e);
    if (err == 0 && rollout->kind == ROLLOUT_KIND_CANARY)
        err = rollout_check_steps(rollout, e);
    if (err < 0)
        return err;
    if (rollout->window_ms < 1000 || rollout->window_ms > 600000)
        return error_set(e, ERR_INVALID, "the window of the gates is 1s to 10m");
    if (rollout->interval_ms < 500 || rollout->interval_ms > 600000)
        return error_set(e, ERR_INVALID, "gates are measured every 500ms to 10m");
    if (rollout->deadline_ms < 1000)
        return error_set(e, ERR_INVALID, "the progress deadline is at least 1s");
    return 0;
}
