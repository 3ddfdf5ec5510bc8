/* Happy path: the options in front of the command say where the cluster is; names of it are asked
 * for only where one may stand. A cluster that doesn't answer costs LIVE_WAIT_MS for each kind of
 * name; what hangs otherwise, as the look-up of a host's name, is ended by the alarm. */
#include "shell/complete_program.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/client_replay.h"
#include "shell/complete.h"
#include "shell/complete_live.h"
#include "shell/program.h"
#include "shell/shell.h"
#include "shell/text.h"

static void complete_program_over(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

struct complete_program {
    struct shell shell;
    const char *replay; /* a report to take names from; NULL: a cluster */
};

/* Connects when the first name is wanted. */
static void complete_program_names(void *arg, enum complete_names kind, struct complete *complete)
{
    struct complete_program *program = arg;
    struct shell *shell = &program->shell;
    struct error e;
    if (program->replay != NULL && shell->replay == NULL) {
        if (client_replay_open(program->replay, &shell->replay, &e) != 0)
            return;
        shell->connection.replay = shell->replay;
    }
    if (shell->client == NULL && client_open(&shell->connection, &shell->client, &e) != 0)
        shell->client = NULL;
    complete_live_names(shell, kind, complete);
}

static bool complete_program_is_plain(const char *text)
{
    char *clean = text_clean(text, strlen(text), false);
    bool is_plain = strcmp(clean, text) == 0;
    free(clean);
    return is_plain;
}

static void complete_program_print(const struct complete *complete, FILE *out)
{
    for (size_t i = 0; i < complete->n; i++) {
        const struct complete_item *item = &complete->items[i];
        const char *about = item->about != NULL ? item->about : "";
        if (!complete_program_is_plain(item->text))
            continue;
        char *clean = text_clean(about, strlen(about), false);
        (void)fprintf(out, "%s\t%s\n", item->text, clean);
        free(clean);
    }
    bool is_open = complete->is_open ||
                   (complete->n == 1 && strcmp(complete->items[0].text, complete->prefix) != 0 &&
                    complete->items[0].text[strlen(complete->items[0].text) - 1] == '=');
    (void)fprintf(out, ":%s%s\n", complete->wants_files ? "f" : "", is_open ? "n" : "");
}

void complete_program(const char *const *words, size_t n, FILE *out)
{
    struct command_call call;
    struct complete complete;
    struct complete_program program = {0};
    const char *const none[] = {""};
    (void)signal(SIGALRM, complete_program_over);
    (void)alarm(COMPLETE_PROGRAM_SECONDS_MAX);
    if (n == 0) {
        words = none;
        n = 1;
    }
    /* What does not parse to its end is good as far as it goes. */
    (void)command_parse(&program_row, words, n - 1, NULL, &call, NULL);
    struct client_options connection = {0};
    program_connection(&call, &connection);
    connection.retry_first = false;
    shell_init(&program.shell, &connection);
    program.replay = command_option_text(&call, "replay");
    complete_words(&complete, &program_row, words, n, complete_program_names, &program);
    complete_program_print(&complete, out);
    complete_done(&complete);
    shell_done(&program.shell);
    command_call_done(&call);
}
