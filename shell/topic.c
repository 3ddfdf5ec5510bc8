#include "shell/topic.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "shell/command_help.h"
#include "shell/text.h"

const struct topic topic_shell[] = {
    {"statements",
     "how statements are written",
     NULL,
     "A statement ends at the end of its line or at a semicolon; a backslash at the end of a line "
     "joins "
     "the next one. '...' is literal, \"...\" knows \\\" and \\\\, a backslash takes the next "
     "character as "
     "it is. # begins a comment at the beginning of a word, -- at the beginning of a statement.\n\n"
     "SQL, which begins with one of its own words (SELECT, CREATE, ...), ends at a semicolon only "
     "and may "
     "take several lines. Meta-commands begin with a backslash and end with the line.\n\n"
     "Any unique beginning of each word of a command will do: no l is node list.",
     {{"job list; node list", "two statements on one line"},
      {"exec @all -- 'uptime; date'", "a line for the shell of each node, quoted"}}},
    {"nodes",
     "how sets of nodes are written",
     NULL,
     "n1,n3 are two nodes, n[1-8,12] nine of them; brackets keep leading zeros. @all is every "
     "node, "
     "@online those that are up, @ROLE and @label=KEY or @label=KEY=VALUE those that have it. a,b "
     "takes "
     "both, a&b what is in both, a!b or a,!b takes away.",
     {{"exec @worker!n3 -- df -h /", "on all workers but n3"},
      {"node drain n[2-4]", "three nodes"}}},
    {"output",
     "formats of output",
     NULL,
     "-o FORMAT, of the program or of one command: table (aligned, cut to the terminal), vertical "
     "(each "
     "row a list), csv, tsv, json (one array), jsonl (an object a line) and markdown. json and "
     "jsonl have "
     "every key that the API knows, times as RFC 3339 in UTC, and keys that don't change between "
     "releases.\n\n"
     "On a terminal what is longer than the screen goes through a pager. Control characters in "
     "what nodes "
     "and people wrote are shown as \\xNN and never reach the terminal, except in the output of "
     "jobs that "
     "is written to a file or pipe.",
     {{"clustersh -o json node list | jq -r '.[].name'", "names of the nodes, for a program"}}},
    {"keys",
     "keys of the prompt",
     NULL,
     "Tab completes commands, options, nodes, jobs, keys, tables, columns and files, and shows "
     "what there "
     "is when it comes again. Ctrl-R searches the history, which all shells of a user share. "
     "Ctrl-C ends "
     "the command that runs, never the shell; Ctrl-D leaves. Everything else is as in other "
     "programs with "
     "GNU Readline, ~/.inputrc included.",
     {{.line = NULL}}},
    {.name = NULL},
};

static char *topic_join(const char *const *words, size_t n)
{
    struct buf b;
    buf_init(&b, 4096);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&b, "%s%s", i > 0 ? " " : "", words[i]);
    char *text = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    return text;
}

const struct topic *topic_find(const char *const *words, size_t n)
{
    const struct topic *const tables[] = {topic_shell, topic_sql};
    const struct topic *found = NULL;
    size_t n_found = 0;
    char *given = topic_join(words, n);
    for (size_t t = 0; t < MEM_COUNT(tables); t++) {
        for (const struct topic *topic = tables[t]; topic->name != NULL; topic++) {
            if (strncasecmp(topic->name, given, strlen(given)) != 0)
                continue;
            if (strcasecmp(topic->name, given) == 0) {
                free(given);
                return topic;
            }
            found = topic;
            n_found++;
        }
    }
    free(given);
    return n_found == 1 ? found : NULL;
}

void topic_help(const struct topic *topic, size_t width, struct buf *b)
{
    (void)buf_printf(b, "%s: %s\n", topic->name, topic->summary);
    if (topic->synopsis != NULL)
        (void)buf_append_byte(b, '\n');
    for (const char *line = topic->synopsis; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        (void)buf_printf(b, "  %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    (void)buf_append_byte(b, '\n');
    text_append_wrapped(b, topic->text, 0, width);
    if (topic->examples[0].line != NULL)
        (void)buf_append_str(b, "\nexamples:\n");
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && topic->examples[i].line != NULL; i++) {
        (void)buf_printf(b, "  %s\n", topic->examples[i].line);
        text_append_wrapped(b, topic->examples[i].what, 6, width);
    }
}

void topic_list(const struct topic *table, size_t width, struct buf *b)
{
    for (; table->name != NULL; table++)
        command_help_row(table->name, table->summary, 18, width, b);
}
