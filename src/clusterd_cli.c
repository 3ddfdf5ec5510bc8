#include "clusterd_cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "config_rows.h"

const struct cli_option cli_options[] = {
    {'c', true, "config", CLI_FILE, "FILE", "the node's configuration"},
    {'o', true, "option", CLI_SETTING, "KEY=VALUE",
     "another value for a key of the configuration, such as node.name=n2; may be given several "
     "times"},
    {'a', false, "announce", CLI_FLAG, NULL,
     "print a line \"ready: ENDPOINT ...\" on standard output when it serves"},
    {'n', true, "nodes", CLI_COUNT, "N", "how many nodes, 1 to 50; default 1"},
    {'d', true, "data", CLI_FOLDER, "DIR", "where they keep their data; default ./clusterd-dev"},
    {'R', false, "no-restart", CLI_FLAG, NULL, "don't start nodes again that died"},
    {'s', false, "since", CLI_COUNT, "TIME",
     "from this time on, or for so long back: 2026-11-20T20:15:00Z, 1h; default: all that is kept"},
    {'S', false, "socket", CLI_FILE, "PATH",
     "Unix socket of a node; default $CLUSTERSH_ENDPOINT, then the usual place"},
    {'h', true, "help", CLI_FLAG, NULL, "print the help"},
    {.name = NULL},
};
_Static_assert(MEM_COUNT(cli_options) <= CLI_OPTIONS_MAX, "raise CLI_OPTIONS_MAX");

const struct cli_command cli_commands[] = {
    {"run", "--config FILE [-o KEY=VALUE]...", "run the node that FILE describes",
     "It stays in the foreground and ends on SIGTERM or SIGINT: it hands leads over, gives work "
     "that runs "
     "time to end, and leaves. Under systemd it says when it is ready. A node may also be killed: "
     "it "
     "starts again with what its disk has.",
     "caoh", NULL, CLI_FLAG, 0},
    {"dev", "[--nodes N] [--data DIR] [--no-restart] [-o KEY=VALUE]...",
     "run a cluster of N nodes on this machine",
     "For trying things: every node has every role, a folder of its own in DIR, a Unix socket and "
     "free "
     "ports on loopback. Prints \"ready: ENDPOINT ...\" when it serves. Nodes that die, or are "
     "killed, are "
     "started again.",
     "dnRoh", NULL, CLI_FLAG, 0},
    {"init", "DIR [-o KEY=VALUE]...", "write a configuration for a node with its data in DIR",
     "Writes DIR/clusterd.yaml with every key. Without cluster.join the node founds a new cluster; "
     "others "
     "join with cluster.join and the token in DIR/data/join.token.",
     "oh", NULL, CLI_FOLDER, 1},
    {"config", "check FILE | show FILE | reference", "check or print a configuration",
     "check says whether a file is good, and else in which line it is not. show prints it with "
     "every key, "
     "secrets hidden. reference prints all keys as Markdown.",
     "h", "check|show|reference", CLI_FILE, 2},
    {"metrics", "", "print a table of the metrics that nodes expose",
     "Markdown, a line for each: name, type, meaning. Nodes serve them at /metrics of the API.",
     "h", NULL, CLI_FLAG, 0},
    {"report", "[--since TIME] [--socket PATH] FILE",
     "write all that is known of the cluster to FILE",
     "One archive (.tar.zst) with the state of the cluster, now and before, its events, vitals, "
     "the "
     "last messages of the chat, logs, and the nodes' configurations without secrets. clustertop "
     "--replay FILE opens it without a cluster.",
     "sSh", NULL, CLI_FILE, 1},
    {"version", "", "print the version", NULL, "h", NULL, CLI_FLAG, 0},
    {"help", "", "print this", NULL, "h", NULL, CLI_FLAG, 0},
    {.name = NULL},
};

const struct cli_command *cli_find(const char *name)
{
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* ---- help ------------------------------------------------------------------------------------ */

void cli_help(FILE *out)
{
    fprintf(out, "clusterd makes one cluster of a few machines.\n\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
        fprintf(out, "  clusterd %s%s%s\n      %s\n", c->name, c->synopsis[0] != '\0' ? " " : "",
                c->synopsis, c->summary);
    fprintf(out,
            "\nKEY is SECTION.KEY of the configuration: clusterd config reference.\n"
            "clusterd COMMAND --help tells more. clustersh is where you give the cluster work.\n");
}

void cli_help_one(const struct cli_command *command, FILE *out)
{
    fprintf(out, "usage: clusterd %s%s%s\n\n%s\n\n", command->name,
            command->synopsis[0] != '\0' ? " " : "", command->synopsis, command->summary);
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        if (strchr(command->options, o->letter) == NULL)
            continue;
        char *left =
            mem_printf("%s--%s%s%s",
                       o->is_short ? (const char[]){'-', (char)o->letter, ',', ' ', '\0'} : "    ",
                       o->name, o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        fprintf(out, "  %-24s  %s\n", left, o->help);
        free(left);
    }
}

/* ---- clusterd(8) ----------------------------------------------------------------------------- */

/* ".Nm clusterd Cm run Fl -config Ar FILE": the synopsis as a person wrote it. */
static void cli_man_synopsis(const struct cli_command *command, struct buf *b)
{
    mdoc_line(b, ".Nm");
    mdoc_macro(b, "Cm");
    mdoc_arg(b, command->name);
    mdoc_end(b);
    if (command->synopsis[0] != '\0')
        mdoc_text(b, command->synopsis);
}

static void cli_man_options(const struct cli_command *command, struct buf *b)
{
    bool is_first = true;
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        if (strchr(command->options, o->letter) == NULL || o->letter == 'h')
            continue;
        if (is_first)
            mdoc_line(b, ".Bl -tag -width Ds");
        is_first = false;
        char *dashed = mem_printf("-%s", o->name);
        mdoc_macro(b, "It");
        if (o->is_short) {
            mdoc_word(b, "Fl");
            mdoc_arg(b, (const char[]){(char)o->letter, '\0'});
            mdoc_word(b, ",");
        }
        mdoc_word(b, "Fl");
        mdoc_arg(b, dashed);
        if (o->value != NULL) {
            mdoc_word(b, "Ar");
            mdoc_arg(b, o->value);
        }
        mdoc_end(b);
        mdoc_sentence(b, o->help);
        free(dashed);
    }
    if (!is_first)
        mdoc_line(b, ".El");
}

static void cli_man_clusterd(struct buf *b)
{
    static const char *const notes[][2] = {
        {"DIR/clusterd.yaml", "the node's configuration, clusterd.yaml(5)"},
        {"DATA/clusterd.sock", "the Unix socket of the API; its file mode guards it"},
        {"DATA/api.token", "the token that requests over TCP need"},
        {"DATA/join.token", "the token that a joining node needs, on the founder"},
        {"DATA/raft", "the replicated state of the cluster and its log"},
        {"DATA/chat", "the ordered log, JSON lines"},
        {"DATA/routing", "votes and decisions of rollouts, JSON lines"},
    };
    mdoc_head(b, "clusterd", 8, "node of a cluster");
    mdoc_section(b, "SYNOPSIS");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
        cli_man_synopsis(c, b);
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(
        b,
        "clusterd makes one cluster of a few machines. A node is one clusterd with its own data "
        "directory; its roles say what it does: keep a replica of the cluster's state and lead, "
        "run "
        "tasks and queries, keep the ordered log, serve models. Any node answers any request; what "
        "needs the leader is forwarded to it.\n\n"
        "Nodes are given work with clustersh, or over HTTP.");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        mdoc_subsection(b, c->name);
        mdoc_sentence(b, c->summary);
        if (c->text != NULL) {
            mdoc_line(b, ".Pp");
            mdoc_text(b, c->text);
        }
        cli_man_options(c, b);
    }
    mdoc_section(b, "FILES");
    mdoc_line(b, "DATA is node.data_dir of the configuration.");
    mdoc_line(b, ".Bl -tag -width Ds");
    for (size_t i = 0; i < MEM_COUNT(notes); i++) {
        mdoc_macro(b, "It");
        mdoc_word(b, "Pa");
        mdoc_arg(b, notes[i][0]);
        mdoc_end(b);
        mdoc_sentence(b, notes[i][1]);
    }
    mdoc_line(b, ".El");
    mdoc_section(b, "EXIT STATUS");
    mdoc_line(b, ".Bl -tag -width Ds");
    mdoc_line(
        b, ".It 0\nIt ended as it was told to.\n.It 1\nIt could not run, or not go on; the reason "
           "is on standard error.\n.It 2\nWrong use.\n.El");
    mdoc_section(b, "EXAMPLES");
    mdoc_line(b, "Three nodes on this machine, to try things:");
    mdoc_literal(b, "clusterd dev --nodes 3 --data /tmp/mycluster");
    mdoc_line(b, ".Pp\nA cluster of two machines, the first of them:");
    mdoc_literal(b, "clusterd init /srv/clusterd -o node.name=n1\n"
                    "clusterd run --config /srv/clusterd/clusterd.yaml");
    mdoc_line(b, ".Pp\nThe second, with the token of the first:");
    mdoc_literal(b, "clusterd init /srv/clusterd -o node.name=n2 \\\n"
                    "    -o cluster.join=HOST1:7400 -o cluster.join_token=TOKEN\n"
                    "clusterd run --config /srv/clusterd/clusterd.yaml");
    mdoc_see_also(b, "clustersh(1) clustertop(1) clusterd.yaml(5)");
}

void cli_man_list(struct buf *b)
{
    (void)buf_append_str(b, "clusterd.8\nclusterd.yaml.5\n");
}

int cli_man_page(const char *page, struct buf *b)
{
    if (strcmp(page, "clusterd.8") == 0)
        cli_man_clusterd(b);
    else if (strcmp(page, "clusterd.yaml.5") == 0)
        config_man(b);
    else
        return ERR_NOT_FOUND;
    return 0;
}

/* ---- completion ------------------------------------------------------------------------------ */

static void cli_complete_put(const char *text, const char *behind, const char *about,
                             const char *prefix, FILE *out)
{
    char *whole = mem_printf("%s%s", text, behind);
    if (strncmp(whole, prefix, strlen(prefix)) == 0)
        fprintf(out, "%s\t%s\n", whole, about);
    free(whole);
}

static void cli_complete_settings(const char *prefix, const char *attached, FILE *out)
{
    for (unsigned i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        char *key = mem_printf("%s%s.%s=", attached, row->section, row->key);
        size_t len = strlen(key);
        if (strncmp(prefix, key, len) != 0) {
            cli_complete_put(key, "", row->help, prefix, out);
        } else {
            const char *choices = row->type == CONFIG_BOOL ? "true|false" : row->choices;
            for (const char *c = choices; c != NULL && *c != '\0'; c += *c == '|') {
                char *choice = mem_strndup(c, strcspn(c, "|"));
                cli_complete_put(key, choice, "", prefix, out);
                c += strlen(choice);
                free(choice);
            }
        }
        free(key);
    }
    fprintf(out, ":%s\n", strchr(prefix + strlen(attached), '=') == NULL ? "n" : "");
}

static const struct cli_option *cli_complete_option(const struct cli_command *command,
                                                    const char *word)
{
    size_t len = strcspn(word, "=");
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        bool is_long =
            len > 2 && strlen(o->name) == len - 2 && strncmp(word + 2, o->name, len - 2) == 0;
        bool is_it = word[1] == '-' ? is_long : o->is_short && word[1] == o->letter;
        if (is_it && strchr(command->options, o->letter) != NULL)
            return o;
    }
    return NULL;
}

static void cli_complete_value(enum cli_type type, const char *prefix, FILE *out)
{
    if (type == CLI_SETTING)
        cli_complete_settings(prefix, "", out);
    else
        fprintf(out, ":%s\n", type == CLI_FILE ? "f" : type == CLI_FOLDER ? "d" : "");
}

static void cli_complete_in(const struct cli_command *command, const char *const *words, size_t n,
                            FILE *out)
{
    const char *prefix = words[n - 1];
    const struct cli_option *value_of = NULL;
    int args = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (value_of != NULL) {
            value_of = NULL;
        } else if (words[i][0] == '-' && words[i][1] != '\0') {
            value_of = cli_complete_option(command, words[i]);
            bool is_attached =
                words[i][1] == '-' ? strchr(words[i], '=') != NULL : words[i][2] != '\0';
            if (value_of != NULL && (value_of->type == CLI_FLAG || is_attached))
                value_of = NULL;
        } else {
            args++;
        }
    }
    if (value_of != NULL) {
        cli_complete_value(value_of->type, prefix, out);
    } else if (strncmp(prefix, "--option=", 9) == 0 && strchr(command->options, 'o') != NULL) {
        cli_complete_settings(prefix, "--option=", out);
    } else if (prefix[0] == '-') {
        for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
            char *dashed = mem_printf("--%s", o->name);
            if (strchr(command->options, o->letter) != NULL)
                cli_complete_put(dashed, "", o->help, prefix, out);
            free(dashed);
        }
        fprintf(out, ":\n");
    } else if (command->words != NULL && args == 0) {
        for (const char *c = command->words; *c != '\0'; c += *c == '|') {
            char *word = mem_strndup(c, strcspn(c, "|"));
            cli_complete_put(word, "", "", prefix, out);
            c += strlen(word);
            free(word);
        }
        fprintf(out, ":\n");
    } else {
        cli_complete_value(args < command->args_max ? command->argument : CLI_FLAG, prefix, out);
    }
}

void cli_complete(const char *const *words, size_t n, FILE *out)
{
    const struct cli_command *command = n > 1 ? cli_find(words[0]) : NULL;
    if (n == 0)
        return;
    if (command != NULL) {
        cli_complete_in(command, words + 1, n - 1, out);
        return;
    }
    for (const struct cli_command *c = cli_commands; n == 1 && c->name != NULL; c++)
        cli_complete_put(c->name, "", c->summary, words[0], out);
    fprintf(out, ":\n");
}
