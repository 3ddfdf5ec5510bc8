/* Keys that change the cluster: for the marked rows, or the selected one. Each asks once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"
#include "tui/act.h"
#include "tui/app.h"
#include "tui/view_rows.h"

/* Whether something may be changed now; says why not. */
static bool act_may(struct app *app)
{
    if (app->is_readonly)
        app_notice(app, true, "not with --readonly");
    else if (model_mode(app->model) == MODEL_MODE_PAST)
        app_notice(app, true, "the past can't be changed; End goes back to now");
    else if (!app->link.is_connected)
        app_notice(app, true, "there is no connection to the cluster");
    else
        return app_ask_begin(app);
    return false;
}

enum { ACT_NAMES = 6 };

/* "n1, n2 and 3 more", into `out` */
static const char *act_names(const void *const *rows, size_t n, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && i < ACT_NAMES && used < size; i++) {
        char label[VIEW_SHORT_MAX];
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 view_short_id(model_row_key(rows[i]), label));
    }
    if (n > ACT_NAMES && used < size)
        (void)snprintf(out + used, size - used, " and %zu more", n - ACT_NAMES);
    return out;
}

/* Asks whether to do `verb` with the targets of the list. */
static void act_on_rows(struct app *app, enum feed_verb verb, const char *text, const char *means)
{
    const void **rows = NULL;
    char names[ACT_NAMES * (VIEW_SHORT_MAX + 2) + 32];
    struct list *list = place_list(app_place(app));
    if (list == NULL || !act_may(app))
        return;
    size_t n = list_targets(list, &rows);
    for (size_t i = 0; i < n; i++)
        app_ask_add(app, verb, model_row_key(rows[i]), text);
    app_ask(app, "%s %s? %s", feed_verb_text(verb), act_names(rows, n, names, sizeof names), means);
    free(rows);
}

/* Nodes */

void act_node_logs(struct app *app, const char *argument)
{
    const void **rows = NULL;
    struct nodeset set;
    (void)argument;
    struct list *list = place_list(app_place(app));
    size_t n = list != NULL ? list_targets(list, &rows) : 0;
    nodeset_init(&set);
    for (size_t i = 0; i < n; i++) {
        if (str_is_name(model_row_key(rows[i]), NODESET_NAME_MAX))
            nodeset_add(&set, model_row_key(rows[i]));
    }
    if (set.n > 0) {
        char *folded = nodeset_fold(&set);
        struct place *place = app_enter(app, &view_logs, "", folded);
        (void)log_view_set_sources(&place->log, folded, NULL);
        free(folded);
    }
    nodeset_done(&set);
    free(rows);
}

void act_node_drain(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_NODE_DRAIN, argument, "It gets no new work; what runs there goes on.");
}

void act_node_resume(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_NODE_RESUME, argument, "It gets work again.");
}

static void act_hand_lead(struct app *app, const char *group, const char *to)
{
    bool is_chat = strcmp(group, "chat") == 0;
    const char *node = to != NULL && to[0] != '\0' ? to : NULL;
    app_ask_add(app, is_chat ? FEED_CHAT_TRANSFER : FEED_RAFT_TRANSFER, node, NULL);
    app_ask(app, "Hand the lead of the %s to %s?", group, node != NULL ? node : "whoever fits");
}

static const struct model_row *act_selected(struct app *app)
{
    struct list *list = place_list(app_place(app));
    return list != NULL ? list_selected(list) : NULL;
}

void act_node_lead(struct app *app, const char *argument)
{
    (void)argument;
    if (act_selected(app) != NULL && act_may(app))
        act_hand_lead(app, "cluster", model_row_key(act_selected(app)));
}

void act_transfer(struct app *app, const char *argument)
{
    if (act_selected(app) != NULL && act_may(app))
        act_hand_lead(app, model_row_key(act_selected(app)), argument);
}

/* Jobs, tasks, queries */

void act_job_cancel(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_JOB_CANCEL, argument, "What runs of it is killed.");
}

void act_job_retry(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_JOB_RETRY, argument, "Its failed and cancelled elements run again.");
}

void act_task_cancel(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_JOB_CANCEL, argument, "The other elements of its job go on.");
}

void act_query_cancel(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_QUERY_CANCEL, argument, "Its client gets an error.");
}

/* Rollouts */

void act_rollout_promote(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_ROLLOUT_PROMOTE, argument,
                "It takes its next step now, on every node at once.");
}

void act_rollout_pause(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_ROLLOUT_PAUSE, argument, "It stays at this step until it is resumed.");
}

void act_rollout_freeze(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_ROLLOUT_FREEZE, argument, "It stays as it is, whatever its gates say.");
}

void act_rollout_resume(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_ROLLOUT_RESUME, argument, "It goes on.");
}

void act_rollout_abort(struct app *app, const char *argument)
{
    act_on_rows(app, FEED_ROLLOUT_ABORT, argument, "All traffic goes back to what was stable.");
}

/* Chat: what is typed is the question already */

void act_chat_send(struct app *app, const char *argument)
{
    if (!act_may(app))
        return;
    if (argument == NULL || argument[0] == '\0') {
        app_edit_begin(app, APP_EDIT_SEND, "");
        return;
    }
    const char *channel = app_place(app)->subject;
    app_ask_add(app, FEED_CHAT_SAY, channel[0] != '\0' ? channel : NULL, argument);
    app_ask_answer(app, true);
}

void act_chat_channel(struct app *app, const char *argument)
{
    struct error e = {0};
    struct place *place = app_place(app);
    if (argument == NULL)
        return;
    if (log_view_set_kinds(&place->log, argument, &e) != 0)
        app_notice(app, true, "%s", e.text);
    else
        (void)snprintf(place->subject, sizeof place->subject, "%s", argument);
}
