/* Places where a test can have the process killed, as a crash would: failpoint("x") does nothing
 * unless the environment variable CLUSTERD_FAILPOINTS names a directory with a file x, which is
 * then removed, and the process kills itself. So of many processes that reach the place one dies.
 *
 * failpoint_pause("x") holds the thread while there is such a file, half a minute at most, so that
 * something happens elsewhere meanwhile; where it does, it says so with a file x.held. */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

void failpoint(const char *name);
void failpoint_pause(const char *name);

#endif
