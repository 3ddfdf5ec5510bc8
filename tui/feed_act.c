/* An action is one request; its verb's row says which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"
#include "tui/feed_internal.h"

enum { FEED_BODY_MAX = 64 * 1024 };

enum feed_body { FEED_BODY_NONE, FEED_BODY_REASON, FEED_BODY_TO, FEED_BODY_SAY };

struct feed_verb_row {
    const char *text;
    const char *method;
    const char *place; /* "jobs", KEY, `what` */
    const char *what;  /* NULL: none */
    enum feed_body body;
    bool has_key; /* in the path */
};

static const struct feed_verb_row feed_verbs[] = {
    [FEED_JOB_CANCEL] = {"cancel job", "POST", "jobs", "cancel", FEED_BODY_REASON, true},
    [FEED_JOB_RETRY] = {"retry job", "POST", "jobs", "retry", FEED_BODY_NONE, true},
    [FEED_NODE_DRAIN] = {"drain node", "POST", "nodes", "drain", FEED_BODY_REASON, true},
    [FEED_NODE_RESUME] = {"resume node", "POST", "nodes", "resume", FEED_BODY_NONE, true},
    [FEED_NODE_REMOVE] = {"remove node", "POST", "nodes", "remove", FEED_BODY_NONE, true},
    [FEED_RAFT_TRANSFER] = {"transfer the lead of the cluster", "POST", "raft", "transfer",
                            FEED_BODY_TO, false},
    [FEED_CHAT_TRANSFER] = {"transfer the lead of the chat", "POST", "chat", "transfer",
                            FEED_BODY_TO, false},
    [FEED_ROLLOUT_PROMOTE] = {"promote", "POST", "rollouts", "promote", FEED_BODY_REASON, true},
    [FEED_ROLLOUT_PAUSE] = {"pause", "POST", "rollouts", "pause", FEED_BODY_REASON, true},
    [FEED_ROLLOUT_FREEZE] = {"freeze", "POST", "rollouts", "freeze", FEED_BODY_REASON, true},
    [FEED_ROLLOUT_RESUME] = {"resume", "POST", "rollouts", "resume", FEED_BODY_REASON, true},
    [FEED_ROLLOUT_ABORT] = {"abort", "POST", "rollouts", "abort", FEED_BODY_REASON, true},
    [FEED_ROLLOUT_ROLLBACK] = {"roll back", "POST", "rollouts", "rollback", FEED_BODY_REASON, true},
    [FEED_QUERY_CANCEL] = {"cancel query", "DELETE", "sql", NULL, FEED_BODY_NONE, true},
    [FEED_CHAT_SAY] = {"say", "POST", "chat", "messages", FEED_BODY_SAY, false},
};

const char *feed_verb_text(enum feed_verb verb)
{
    return feed_verbs[verb].text;
}

static void feed_body_text(struct buf *body, const char *key, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    (void)buf_printf(body, "%s\"%s\":", body->len > 1 ? "," : "", key);
    (void)json_text_append(body, text, strlen(text));
}

static void feed_act_body(struct buf *body, const struct feed_action *action, const char *elements)
{
    (void)buf_append_str(body, "{");
    switch (feed_verbs[action->verb].body) {
    case FEED_BODY_REASON:
        feed_body_text(body, "elements", elements);
        feed_body_text(body, "reason", action->text);
        break;
    case FEED_BODY_TO:
        feed_body_text(body, "to", action->key);
        break;
    case FEED_BODY_SAY:
        feed_body_text(body, "channel", action->key);
        feed_body_text(body, "text", action->text);
        break;
    case FEED_BODY_NONE:
        break;
    }
    (void)buf_append_str(body, "}");
}

/* The node that coordinates a statement, where it is known: the others need not be asked. */
static void feed_act_add_node(const struct feed *feed, const char *query, struct client_path *path)
{
    const struct model_state *state = model_live_state(feed->model);
    const char *node = model_row_text(model_state_find(state, MODEL_QUERIES, query), "node");
    if (model_state_find(state, MODEL_NODES, node) != NULL)
        (void)client_path_param(path, "nodes", node);
}

static void feed_act_free(struct feed_act_call *act)
{
    TAILQ_REMOVE(&act->feed->acts, act, entry);
    act->feed->n_acts--;
    free(act->what);
    free(act);
}

void feed_acts_free(struct feed *feed)
{
    struct feed_act_call *act;
    while ((act = TAILQ_FIRST(&feed->acts)) != NULL) {
        client_cancel(act->call);
        feed_act_free(act);
    }
}

static void feed_on_act(void *arg, const struct client_reply *reply)
{
    struct feed_act_call *act = arg;
    const char *verb = feed_verbs[act->verb].text, *gap = act->what[0] != '\0' ? " " : "";
    char *text = reply->code == 0 ? mem_printf("%s%s%s: done", verb, gap, act->what)
                                  : mem_printf("%s%s%s: %s", verb, gap, act->what, reply->text);
    char *clean = str_printable(text, strlen(text), false);
    char *hint = str_printable(reply->hint, strlen(reply->hint), false);
    struct feed_result result = {.code = reply->code, .text = clean, .hint = hint};
    feed_done_fn done = act->done;
    void *done_arg = act->arg;
    feed_act_free(act);
    done(done_arg, &result);
    free(text);
    free(clean);
    free(hint);
}

int feed_act(struct feed *feed, const struct feed_action *action, feed_done_fn done, void *arg,
             struct error *e)
{
    static const struct client_handler handler = {.done = feed_on_act};
    const struct feed_verb_row *row = &feed_verbs[action->verb];
    if (feed->replay != NULL)
        return error_set(e, ERR_FORBIDDEN, "this is a report: nothing can be changed in it");
    if (feed->read_only)
        return error_set(e, ERR_FORBIDDEN, "clustertop was started with --readonly");
    if (feed->n_acts == FEED_ACTIONS_MAX)
        return error_set(e, ERR_BUSY, "%d actions are under way already", FEED_ACTIONS_MAX);

    struct client_path path;
    struct buf body;
    char *key = mem_strdup(action->key != NULL ? action->key : "");
    char *elements = action->verb == FEED_JOB_CANCEL ? strrchr(key, '_') : NULL;
    if (elements != NULL)
        *elements++ = '\0';
    if (row->has_key)
        (void)client_path(&path, row->place, key, row->what, NULL);
    else
        (void)client_path(&path, row->place, row->what, NULL);
    if (action->verb == FEED_QUERY_CANCEL)
        feed_act_add_node(feed, key, &path);
    buf_init(&body, FEED_BODY_MAX);
    feed_act_body(&body, action, elements);
    struct feed_act_call *act = mem_zalloc(sizeof *act);
    act->feed = feed;
    act->verb = action->verb;
    act->done = done;
    act->arg = arg;
    act->what = action->key != NULL ? str_printable(action->key, strlen(action->key), false)
                                    : mem_strdup("");
    TAILQ_INSERT_TAIL(&feed->acts, act, entry);
    feed->n_acts++;
    bool has_body = strcmp(row->method, "POST") == 0;
    act->call = client_start(feed->client,
                             &CLIENT_REQUEST(.method = row->method, .path = path.text,
                                             .data = has_body ? buf_cstr(&body) : NULL,
                                             .data_len = has_body ? body.len : 0,
                                             .timeout_ms = FEED_TIMEOUT_MS),
                             &handler, act, e);
    int rc = 0;
    if (act->call == NULL) {
        feed_act_free(act);
        rc = ERR_BUSY;
    }
    buf_done(&body);
    free(key);
    return rc;
}
