/* A conversation: lines that are typed become messages, what others say appears above the prompt.
 */
#ifndef SHELL_CHAT_TALK_H
#define SHELL_CHAT_TALK_H

#include "shell/shell.h"

/* Until /quit, Ctrl-D or a cluster that cannot be reached. `from` as chat_stream's. Standard input
 * that is no terminal is sent line by line, and the conversation ends with it. */
int chat_talk(struct shell *shell, const char *channel, const char *from);

#endif
