#include "shell/condition.h"

static bool condition_runs(enum condition_state state)
{
    return state == CONDITION_TRUE || state == CONDITION_ELSE_TRUE;
}

bool condition_is_active(const struct condition *c)
{
    return c->depth == 0 || condition_runs(c->stack[c->depth - 1]);
}

bool condition_wants_elif(const struct condition *c)
{
    return c->depth > 0 && c->stack[c->depth - 1] == CONDITION_WAITING;
}

int condition_if(struct condition *c, bool value, struct error *e)
{
    if (c->depth == CONDITION_DEPTH_MAX)
        return error_set(e, ERR_TOO_LARGE, "\\if is nested more than %d deep", CONDITION_DEPTH_MAX);
    enum condition_state state = !condition_is_active(c) ? CONDITION_OVER
                                 : value                 ? CONDITION_TRUE
                                                         : CONDITION_WAITING;
    c->stack[c->depth++] = state;
    return 0;
}

static int condition_check(const struct condition *c, const char *name, struct error *e)
{
    if (c->depth == 0)
        return error_set(e, ERR_INVALID, "\\%s without \\if", name);
    enum condition_state state = c->stack[c->depth - 1];
    if (state == CONDITION_ELSE_TRUE || state == CONDITION_ELSE_OVER)
        return error_set(e, ERR_INVALID, "\\%s behind \\else", name);
    return 0;
}

int condition_elif(struct condition *c, bool value, struct error *e)
{
    int rc = condition_check(c, "elif", e);
    if (rc != 0)
        return rc;
    enum condition_state *state = &c->stack[c->depth - 1];
    if (*state == CONDITION_TRUE)
        *state = CONDITION_OVER;
    else if (*state == CONDITION_WAITING && value)
        *state = CONDITION_TRUE;
    return 0;
}

int condition_else(struct condition *c, struct error *e)
{
    int rc = condition_check(c, "else", e);
    if (rc != 0)
        return rc;
    enum condition_state *state = &c->stack[c->depth - 1];
    *state = *state == CONDITION_WAITING ? CONDITION_ELSE_TRUE : CONDITION_ELSE_OVER;
    return 0;
}

int condition_endif(struct condition *c, struct error *e)
{
    if (c->depth == 0)
        return error_set(e, ERR_INVALID, "\\endif without \\if");
    c->depth--;
    return 0;
}
