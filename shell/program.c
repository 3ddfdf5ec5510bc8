#include "shell/program.h"

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
            "Exit status: 0 done; 1 an error of its own, such as a wrong option; 2 no connection, "
            "or it "
            "was lost; 3 a statement failed; 130 interrupted. exec and job run end with the exit "
            "status "
            "of what they ran. Of several statements the first that fails gives the status and "
            "ends the "
            "run.",
    .options =
        {
            {"server", 's', COMMAND_TYPE_TEXT, "ENDPOINT", NULL, false,
             "unix:PATH, http://HOST:PORT or https://HOST:PORT; several apart by commas"},
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
            {"no-rc", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
             "leave out ~/.config/clustersh/rc, which the prompt runs first"},
            {"dump-commands", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
             "print the table of commands as JSON"},
            {"dump-markdown", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
             "print the table of commands as Markdown"},
            {"version", 'V', COMMAND_TYPE_FLAG, NULL, NULL, false, "print the version"},
            {"help", 'h', COMMAND_TYPE_FLAG, NULL, NULL, false, "show this help"},
        },
    .is_bare = true,
    .arguments = {{"COMMAND", COMMAND_TYPE_COMMAND, COMMAND_COUNT_ARGV_OPTIONAL, NULL,
                   "a command and its arguments, as on the prompt"}},
    .examples = {{"clustersh job list", "one command"},
                 {"clustersh -o json node list | jq '.[].name'", "for programs"},
                 {"clustersh -f nightly.csh -k", "a script, to its end"}},
};
