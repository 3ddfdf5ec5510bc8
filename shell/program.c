#include "shell/program.h"

static const struct command_note program_statuses[] = {
    {"0", "done"},
    {"1", "an error of its own, such as a wrong option"},
    {"2", "no connection, or it was lost"},
    {"3", "a statement failed; of several the first that fails gives the status and ends the run"},
    {"130", "interrupted by Ctrl-C"},
    {"other", "of what it ran: exec and job run end with that"},
    {.name = NULL},
};

static const struct command_note program_environment[] = {
    {"CLUSTERSH_ENDPOINT", "where the cluster is, unless -s says it"},
    {"CLUSTERSH_TOKEN", "the token for TCP"},
    {"CLUSTERSH_TOKEN_FILE", "a file with the token for TCP"},
    {"CLUSTERSH_HISTORY", "the file of the prompt's history; empty: none"},
    {"CLUSTERSH_PAGER", "what shows long output, before PAGER; empty: nothing. Default less -FRSX"},
    {"NO_COLOR", "no colours, unless --color=always is given"},
    {"XDG_CONFIG_HOME", "where clustersh/rc is, instead of ~/.config"},
    {"XDG_STATE_HOME", "where clustersh/history is, instead of ~/.local/state"},
    {.name = NULL},
};

static const struct command_note program_files[] = {
    {"~/.config/clustersh/rc", "statements that the prompt runs first"},
    {"~/.local/state/clustersh/history", "what was typed at the prompt, by all shells of the user"},
    {"/run/clusterd/clusterd.sock", "the socket of the node of this machine"},
    {.name = NULL},
};

const struct command program_row = {
    .name = "clustersh",
    .summary = "The console of a cluster: one command, a script, or a prompt",
    .text = "With a command it runs that and ends. With -c or -f it runs statements in the order "
            "given. "
            "Without either it reads statements from standard input, behind a prompt if that is a "
            "terminal.\n\n"
            "Without -s it talks to $CLUSTERSH_ENDPOINT, else to the first socket there is of "
            "$XDG_RUNTIME_DIR/clusterd/clusterd.sock, /run/clusterd/clusterd.sock and your own "
            "below ./.quickstart or ./clusterd-dev.\n\n"
            "With --replay there is no cluster: nodes, jobs, elections, rollouts, the chat and "
            "events are as the report tells, at its end or at another time (--at, \\at), and SQL "
            "reads them as cluster.nodes, .jobs, .tasks, .events, .log, .messages, .elections, "
            ".rollouts and .vitals, if clusterd stands beside clustersh. What would change "
            "something and what a report does not hold fail with status 3.",
    .options =
        {
            {"server", 's', COMMAND_TYPE_TEXT, "ENDPOINT", NULL, false,
             "unix:PATH, http://HOST:PORT or https://HOST:PORT; several apart by commas"},
            {"replay", 0, COMMAND_TYPE_FILE, "FILE", NULL, false,
             "look into a report, which clusterd report wrote, instead of a cluster"},
            {"at", 0, COMMAND_TYPE_TEXT, "TIME", NULL, false,
             "of the replay: 20:15:04, 11-28 20:15:04, 2026-11-20T20:15:04Z, or 10m before its "
             "end; default: its end"},
            {"command", 'c', COMMAND_TYPE_TEXT, "STATEMENT", NULL, true, "run this and end"},
            {"file", 'f', COMMAND_TYPE_FILE, "FILE", NULL, true,
             "run the statements of a file and end; - is standard input"},
            {"output", 'o', COMMAND_TYPE_FORMAT, "FORMAT", NULL, false,
             "table, vertical, csv, tsv, json, jsonl or markdown"},
            {"tuples-only", 't', COMMAND_TYPE_FLAG, NULL, NULL, false, "no header, no footer"},
            {"expanded", 'x', COMMAND_TYPE_FLAG, NULL, NULL, false, "each row as a list"},
            {"keep-going", 'k', COMMAND_TYPE_FLAG, NULL, NULL, false,
             "go on with the next statement after one that failed"},
            {"timing", 0, COMMAND_TYPE_FLAG, NULL, NULL, false, "show how long each command took"},
            {"consistency", 0, COMMAND_TYPE_CHOICE, "LEVEL", "linearizable|weak|stale", false,
             "of reads: linearizable (default), weak or stale"},
            {"retry", 0, COMMAND_TYPE_DURATION, "TIME", NULL, false,
             "keep trying for so long while nobody answers or leads; default 10s once connected"},
            {"token-file", 0, COMMAND_TYPE_FILE, "FILE", NULL, false,
             "the token for TCP; default $CLUSTERSH_TOKEN, or api.token beside the socket"},
            {"ca", 0, COMMAND_TYPE_FILE, "FILE", NULL, false, "authority that https is checked by"},
            {"cert", 0, COMMAND_TYPE_FILE, "FILE", NULL, false, "client certificate for https"},
            {"key", 0, COMMAND_TYPE_FILE, "FILE", NULL, false, "its key"},
            {"color", 0, COMMAND_TYPE_CHOICE, "WHEN", "auto|always|never", false,
             "auto (default: on terminals, unless NO_COLOR is set), always or never"},
            {"variable", 'v', COMMAND_TYPE_TEXT, "NAME=VALUE", NULL, true,
             "set a variable, as \\set does"},
            {"quiet", 'q', COMMAND_TYPE_FLAG, NULL, NULL, false, "no greeting, no remarks"},
            {"no-rc", 'X', COMMAND_TYPE_FLAG, NULL, NULL, false,
             "leave out what the prompt runs first: $CLUSTERSHRC, ~/.clustershrc or "
             "~/.config/clustersh/rc"},
            {"dump-commands", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
             "print the table of commands as JSON"},
            {"dump-markdown", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
             "print the table of commands as Markdown"},
            {"dump-man", 0, COMMAND_TYPE_TEXT, "PAGE", NULL, false,
             "print a manual page as mdoc; list names the pages"},
            {"version", 'V', COMMAND_TYPE_FLAG, NULL, NULL, false, "print the version"},
            {"help", 'h', COMMAND_TYPE_FLAG, NULL, NULL, false, "show this help"},
        },
    .is_bare = true,
    .arguments = {{"COMMAND", COMMAND_TYPE_COMMAND, COMMAND_COUNT_ARGV_OPTIONAL, NULL,
                   "a command and its arguments, as on the prompt"}},
    .statuses = program_statuses,
    .environment = program_environment,
    .files = program_files,
    .examples = {{"clustersh job list", "one command"},
                 {"clustersh -o json node list | jq '.[].name'", "for programs"},
                 {"clustersh -f nightly.csh -k", "a script, to its end"},
                 {"clustersh --replay trouble.tar.zst --at 20:15 node list",
                  "the nodes as they were at a quarter past eight"}},
};

void program_connection(const struct command_call *call, struct client_options *options)
{
    const struct command_value *retry = command_option(call, "retry");
    options->endpoints = command_option_text(call, "server");
    options->token_file = command_option_text(call, "token-file");
    options->ca_file = command_option_text(call, "ca");
    options->cert_file = command_option_text(call, "cert");
    options->key_file = command_option_text(call, "key");
    if (retry != NULL) {
        options->retry_ms = retry->number < UINT32_MAX ? (unsigned)retry->number : UINT32_MAX;
        options->retry_ms += options->retry_ms == 0;
        options->retry_first = true;
    }
}
