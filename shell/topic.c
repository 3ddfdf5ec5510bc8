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
     "SQL, which begins with one of its own words (SELECT, CREATE, ...), ends at a semicolon and "
     "may "
     "take several lines.\n\n"
     "A command that begins with a backslash ends with its line, or where another backslash begins "
     "a "
     "word. Its words are read as psql reads them: in '...' \\n is a newline, `...` is what a "
     "command "
     "of "
     "this machine writes, :NAME is a variable. It may also stand behind a statement and says what "
     "becomes of it: any one in SQL, where it takes the place of the semicolon or looks at what is "
     "typed so far; \\g, \\gx, \\gset, \\gexec and \\watch behind a command of the cluster.\n\n"
     "Any unique beginning of each word of a command will do: no l is node list.",
     {{"job list; node list", "two statements on one line"},
      {"exec @all -- 'uptime; date'", "a line for the shell of each node, quoted"},
      {"SELECT * FROM t \\g |less", "a query through a program"}}},
    {"variables",
     "variables of the shell, and those that steer it",
     NULL,
     "\\set NAME VALUE sets one, so do -v NAME=VALUE, \\gset, \\prompt and \\getenv. :NAME in a "
     "statement is its value; in SQL :'NAME' is that as text and :\"NAME\" as a name, in a command "
     "it "
     "is one word, whatever it holds. :{?NAME} tells whether it is set. What is not set stays as "
     "it "
     "stands.\n\n"
     "ON_ERROR_STOP ends a script at its first error: on by default, off at the prompt. ECHO shows "
     "what runs: all (lines of scripts), queries (statements as they are sent), errors (those that "
     "failed). QUIET leaves out the greeting and remarks about settings. HISTCONTROL=ignorespace "
     "keeps "
     "lines that begin with a space out of the history. PROMPT1 and PROMPT2 are the prompts: help "
     "prompts.\n\n"
     "After each statement the shell sets ERROR (true or false) and ROW_COUNT; when one fails "
     "LAST_ERROR_MESSAGE and LAST_ERROR_CODE; after \\! and `...` SHELL_ERROR "
     "and SHELL_EXIT_CODE.",
     {{"\\set day '2026-11-28'", "then: SELECT * FROM t WHERE day = :'day';"},
      {"SELECT count(*) AS n FROM t \\gset", "then :n"}}},
    {"prompts",
     "what PROMPT1 and PROMPT2 may hold",
     "%n  node            %N  the same and a blank   %l  leader\n"
     "%S  who leads and what is wrong, in colour     %s  without colour\n"
     "%R  what is open: ... a statement, ' \" a quote, * a comment,\n"
     "    ( a bracket, @ skipped by \\if\n"
     "%x  ! behind a failure                         %w  blanks as wide as PROMPT1\n"
     "%E  endpoint        %i  id of the cluster      %t  term\n"
     "%v  version         %T  time                   %%  a percent sign\n"
     "%:NAME:  a variable      %`COMMAND`  what it writes\n"
     "%NNN  a character in octal, 0 first     %9R  at least nine columns\n"
     "%[ ... %]  does not move the cursor: colours",
     "PROMPT1 stands in front of a statement, PROMPT2 in front of its further lines. Nothing in "
     "them "
     "asks the cluster: they show what is known from the last two seconds. The state says (leader "
     "n1), "
     "(no leader) or (no connection), and how many nodes are down, and that the cluster is "
     "read-only "
     "because a disk is full.",
     {{"\\set PROMPT1 '%n %s%R%x> '", "without colours, with a mark behind failures"},
      {"\\set PROMPT1 '%[%033[1m%]%n%[%033[0m%]%R> '", "the node alone, bold"}}},
    {"nodes",
     "how sets of nodes are written",
     NULL,
     "n1,n3 are two nodes, n[1-8,12] nine of them; brackets keep leading zeros. @all is every "
     "node, "
     "@online those that are up, @ROLE and @label=KEY or @label=KEY=VALUE those that have it. a,b "
     "takes "
     "both, a&b what is in both, a&!b and a!b what is in a alone. Blanks may stand around & and ,.",
     {{"exec @worker & !n3 -- df -h /", "on all workers but n3"},
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
     "On a terminal what is longer or wider than the screen goes through a pager: "
     "$CLUSTERSH_PAGER, "
     "$PAGER or less. Control characters in what nodes, jobs and people wrote are shown as \\xNN "
     "and "
     "never reach the terminal; files and pipes get every byte as it is.",
     {{"clustersh -o json node list | jq -r '.[].name'", "names of the nodes, for a program"}}},
    {"keys",
     "keys of the prompt",
     NULL,
     "Tab completes commands, options and their values, whatever has a name in the cluster, SQL "
     "with its tables, columns and functions, variables and files, and shows what there "
     "is when it comes again. What is typed is coloured where the terminal can: \\pset highlight "
     "off. "
     "\\e opens an editor. Ctrl-R searches the history, which all shells of a user share. "
     "Ctrl-C ends "
     "the command that runs, never the shell; Ctrl-Z stops it; Ctrl-D leaves. Everything else is "
     "as in other "
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
