#include "shell/rollout_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/text.h"

/* What stands in front of a line, in UTF-8 and in ASCII, and its colour. */
enum tree_mark {
    TREE_MARK_DONE,
    TREE_MARK_NOW,
    TREE_MARK_HELD,
    TREE_MARK_COMING,
    TREE_MARK_BAD,
    TREE_MARK_UNSURE,
};

static const struct {
    const char *text;
    const char *ascii;
    const char *color;
} tree_marks[] = {
    [TREE_MARK_DONE] = {"\xe2\x9c\x94", "+", "32"}, [TREE_MARK_NOW] = {"\xe2\x97\x8f", ">", "36"},
    [TREE_MARK_HELD] = {"\xe2\x80\x96", "=", "33"}, [TREE_MARK_COMING] = {"\xe2\x97\x8b", ".", ""},
    [TREE_MARK_BAD] = {"\xe2\x9c\x96", "x", "31"},  [TREE_MARK_UNSURE] = {"?", "?", "33"},
};

enum tree_branch { TREE_BRANCH_NONE, TREE_BRANCH_FORK, TREE_BRANCH_LAST, TREE_BRANCH_TRUNK };

struct tree {
    const json_t *rollout;
    int64_t now_ms;
    size_t width;
    bool has_color;
    struct buf *out;
    size_t lines;
};

static const char *tree_branch(enum tree_branch branch)
{
    static const char *const texts[] = {"", "\xe2\x94\x9c\xe2\x94\x80 ",
                                        "\xe2\x94\x94\xe2\x94\x80 ", "\xe2\x94\x82  "};
    static const char *const ascii[] = {"", "|- ", "`- ", "|  "};
    return text_is_utf8() ? texts[branch] : ascii[branch];
}

/* One line: two branches, a mark, text, which may come from elsewhere. */
static void tree_line(struct tree *t, enum tree_branch outer, enum tree_branch inner,
                      enum tree_mark mark, const char *text)
{
    const char *sign = text_is_utf8() ? tree_marks[mark].text : tree_marks[mark].ascii;
    bool has_color = t->has_color && tree_marks[mark].color[0] != '\0';
    size_t head = text_width(tree_branch(outer)) + text_width(tree_branch(inner)) + 2;
    char *clean = text_clean(text, strlen(text), false);
    if (t->width > head)
        clean = text_cut(clean, t->width - head);
    (void)buf_printf(t->out, "%s%s%s%s%s%s%s %s\n", tree_branch(outer), tree_branch(inner),
                     has_color ? "\033[" : "", has_color ? tree_marks[mark].color : "",
                     has_color ? "m" : "", sign, has_color ? "\033[m" : "", clean);
    t->lines++;
    free(clean);
}

static const char *tree_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static int64_t tree_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool tree_is(const struct tree *t, const char *state)
{
    return strcmp(tree_text(t->rollout, "state"), state) == 0;
}

/* ---- what it is about ---- */

static char *tree_move(const json_t *target, bool is_rollback)
{
    const char *arrow = text_is_utf8() ? "\xe2\x86\x92" : "->";
    const char *stable = tree_text(target, "stable");
    char *back = is_rollback
                     ? mem_printf(" of version %lld", (long long)tree_int(target, "to_version"))
                     : mem_strdup("");
    char *text = mem_printf("%s  %s%s%s %s%s", tree_text(target, "service"), stable,
                            stable[0] != '\0' ? " " : "", arrow, tree_text(target, "canary"), back);
    free(back);
    return text;
}

static enum tree_mark tree_state_mark(const struct tree *t)
{
    static const struct {
        const char *state;
        enum tree_mark mark;
    } rows[] = {
        {"promoted", TREE_MARK_DONE}, {"rolled_back", TREE_MARK_DONE}, {"aborted", TREE_MARK_BAD},
        {"reverting", TREE_MARK_BAD}, {"waiting", TREE_MARK_HELD},     {"paused", TREE_MARK_HELD},
        {"frozen", TREE_MARK_HELD},   {"none", TREE_MARK_COMING},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (tree_is(t, rows[i].state))
            return rows[i].mark;
    }
    return TREE_MARK_NOW;
}

/* "watching, 25 % of the traffic: why"; the share once. */
static char *tree_state(const struct tree *t)
{
    const char *why = tree_text(t->rollout, "text");
    long long weight = (long long)tree_int(t->rollout, "weight");
    char *share = mem_printf("%lld %% of the traffic", weight);
    bool is_said = str_starts_with(why, share);
    char *text = tree_is(t, "none")
                     ? mem_strdup("what would be done")
                     : mem_printf("%s%s%s%s%s", tree_text(t->rollout, "state"), is_said ? "" : ", ",
                                  is_said ? "" : share, why[0] != '\0' ? ": " : "", why);
    free(share);
    return text;
}

static void tree_head(struct tree *t, bool is_rollback)
{
    const json_t *targets = json_object_get(t->rollout, "targets");
    char *move = tree_move(json_array_get(targets, 0), is_rollback);
    char *state = tree_state(t);
    char *text = mem_printf("%s  %s", move, state);
    free(state);
    tree_line(t, TREE_BRANCH_NONE, TREE_BRANCH_NONE, tree_state_mark(t), text);
    free(text);
    free(move);
    for (size_t i = 1; i < json_array_size(targets); i++) {
        move = tree_move(json_array_get(targets, i), is_rollback);
        text = mem_printf("%s  in the same transactions", move);
        tree_line(t, TREE_BRANCH_NONE, TREE_BRANCH_NONE, tree_state_mark(t), text);
        free(text);
        free(move);
    }
}

/* ---- its gates ---- */

static void tree_gates(struct tree *t, enum tree_branch outer)
{
    const json_t *gates = json_object_get(t->rollout, "gates");
    size_t n = json_array_size(gates);
    for (size_t i = 0; i < n; i++) {
        const json_t *gate = json_array_get(gates, i);
        const char *verdict = tree_text(gate, "verdict");
        const char *what = tree_text(gate, "text");
        enum tree_mark mark = strcmp(verdict, "pass") == 0           ? TREE_MARK_DONE
                              : strcmp(verdict, "fail") == 0         ? TREE_MARK_BAD
                              : strcmp(verdict, "inconclusive") == 0 ? TREE_MARK_UNSURE
                                                                     : TREE_MARK_COMING;
        char *text = mem_printf("%s  %s", tree_text(gate, "gate"),
                                mark == TREE_MARK_COMING ? "not measured yet" : what);
        tree_line(t, outer, i + 1 < n ? TREE_BRANCH_FORK : TREE_BRANCH_LAST, mark, text);
        free(text);
    }
}

/* ---- its steps ---- */

/* "10m, 7m57s left": what the step waits for. `pause`: as the plan has it, "" or "wait" too. */
static char *tree_pause(const struct tree *t, const char *pause, bool is_now)
{
    char left[STR_SHORT_MAX];
    int64_t pause_ms;
    if (is_now && tree_is(t, "switching"))
        return mem_strdup("the nodes agree on it");
    if (strcmp(pause, "wait") == 0)
        return mem_strdup("until promote");
    if (!is_now || str_parse_duration_ms(pause, &pause_ms) < 0)
        return mem_strdup(pause);
    int64_t left_ms = tree_is(t, "watching")
                          ? tree_int(t->rollout, "since_ms") + pause_ms - t->now_ms
                          : tree_int(t->rollout, "pause_left_ms");
    if (tree_is(t, "watching") && left_ms <= 0)
        return mem_printf("%s are over, the gates must pass", pause);
    return mem_printf("%s, %s left", pause, str_format_duration(left_ms > 0 ? left_ms : 0, left));
}

static bool tree_is_over(const struct tree *t)
{
    return tree_is(t, "aborted") || tree_is(t, "reverting");
}

/* Of a step: `i` the number of it, `at` of that where the rollout is. */
static enum tree_mark tree_step_mark(const struct tree *t, size_t i, size_t at)
{
    if (tree_is(t, "promoted") || (i < at && !tree_is(t, "none")))
        return TREE_MARK_DONE;
    return i > at || tree_is(t, "none") ? TREE_MARK_COMING : tree_state_mark(t);
}

static void tree_step(struct tree *t, char *step, size_t i, bool is_last)
{
    size_t at = (size_t)tree_int(t->rollout, "step");
    enum tree_branch branch = is_last ? TREE_BRANCH_LAST : TREE_BRANCH_FORK;
    char *pause = strchr(step, ':');
    bool is_now = i == at && !tree_is(t, "none") && !tree_is(t, "promoted");
    if (pause != NULL)
        *pause++ = '\0';
    char *waits = is_now && tree_is_over(t) ? mem_strdup("taken back")
                                            : tree_pause(t, pause != NULL ? pause : "", is_now);
    char *text = mem_printf("%3s %%%s%s", step, waits[0] != '\0' ? "  " : "", waits);
    tree_line(t, TREE_BRANCH_NONE, branch, tree_step_mark(t, i, at), text);
    if (is_now || (i == 0 && tree_is(t, "none")))
        tree_gates(t, is_last ? TREE_BRANCH_NONE : TREE_BRANCH_TRUNK);
    free(waits);
    free(text);
}

/* A service that is new has all its traffic at once. */
static bool tree_has_steps(const struct tree *t)
{
    const json_t *targets = json_object_get(t->rollout, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        if (tree_text(json_array_get(targets, i), "stable")[0] != '\0')
            return true;
    }
    return false;
}

size_t rollout_tree(const json_t *rollout, int64_t now_ms, size_t width, bool has_color,
                    struct buf *out)
{
    struct tree t = {rollout, now_ms, width, has_color, out, 0};
    bool is_rollback = strcmp(tree_text(rollout, "kind"), "rollback") == 0;
    tree_head(&t, is_rollback);
    if (is_rollback)
        return t.lines;
    if (!tree_has_steps(&t)) {
        tree_line(&t, TREE_BRANCH_NONE, TREE_BRANCH_LAST, tree_state_mark(&t),
                  "100 %  at once: the service is new");
        return t.lines;
    }
    char *steps = mem_strdup(tree_text(rollout, "steps"));
    char *next = steps;
    size_t i = 0;
    for (char *step = steps; step != NULL && step[0] != '\0'; step = next) {
        next = strchr(step, ',');
        if (next != NULL)
            *next++ = '\0';
        tree_step(&t, step, i++, next == NULL);
    }
    free(steps);
    return t.lines;
}
