#include "shell/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/text.h"

void prompt_format(const json_t *status, bool has_color, char out[static PROMPT_TEXT_MAX])
{
    static const char *const colors[] = {"\001\033[32m\002", "\001\033[33m\002",
                                         "\001\033[31m\002"};
    const char *node = json_string_value(json_object_get(status, "node"));
    const char *leader = json_string_value(json_object_get(status, "leader"));
    const char *reset = has_color ? "\001\033[0m\002" : "";
    bool has_leader = leader != NULL && leader[0] != '\0';
    const char *color = !has_color       ? ""
                        : status == NULL ? colors[2]
                        : has_leader     ? colors[0]
                                         : colors[1];
    if (status == NULL) {
        (void)snprintf(out, PROMPT_TEXT_MAX, "clustersh %s(no connection)%s> ", color, reset);
        return;
    }
    char *clean_node =
        text_clean(node != NULL ? node : "?", node != NULL ? strlen(node) : 1, false);
    char *clean_leader =
        text_clean(has_leader ? leader : "", has_leader ? strlen(leader) : 0, false);
    (void)snprintf(out, PROMPT_TEXT_MAX, "clustersh %.80s %s(%s%.80s)%s> ", clean_node, color,
                   has_leader ? "leader " : "no leader", clean_leader, reset);
    free(clean_node);
    free(clean_leader);
}

void prompt_format_continued(enum statement_end end, char out[static PROMPT_TEXT_MAX])
{
    const char *mark = end == STATEMENT_END_QUOTE_SINGLE   ? "'"
                       : end == STATEMENT_END_QUOTE_DOUBLE ? "\""
                                                           : "...";
    (void)snprintf(out, PROMPT_TEXT_MAX, "%9s> ", mark);
}
