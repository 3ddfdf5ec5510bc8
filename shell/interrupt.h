/* Signals as a readable descriptor and flags. One for the process. */
#ifndef SHELL_INTERRUPT_H
#define SHELL_INTERRUPT_H

#include <stdbool.h>

/* Takes over SIGINT (Ctrl-C). A third SIGINT that nobody took ends the process with status 130. */
void interrupt_init(void);
/* Also SIGWINCH, SIGTERM and SIGHUP, for whoever has the terminal in a mode of its own. */
void interrupt_catch_all(void);

/* While a child has the terminal Ctrl-C is its own: not counted here. */
void interrupt_mute(bool muted);
/* Catches Ctrl-Z and the continuation behind a stop, for whoever has the terminal in a mode of its
 * own; or leaves both as usual. */
void interrupt_catch_stop(bool caught);
bool interrupt_take_stop(void);     /* Ctrl-Z */
bool interrupt_take_continue(void); /* was stopped and goes on */
/* Stops the process until it is continued. */
void interrupt_stop(void);

/* Readable while something is pending; -1 before interrupt_init. */
int interrupt_fd(void);
/* Makes the descriptor quiet unless a Ctrl-C is pending. */
void interrupt_quiet(void);

bool interrupt_pending(void); /* a Ctrl-C, without taking it */
bool interrupt_take(void);    /* true when there was one; none is pending any more */
bool interrupt_take_resize(void);
bool interrupt_wants_end(void); /* SIGTERM or SIGHUP came; they also count as Ctrl-C */

#endif
