/* Places where a test can have the process killed, as a crash would: failpoint("x") does nothing
 * unless the environment variable CLUSTERD_FAILPOINTS names a directory with a file x, which is
 * then removed, and the process kills itself. So of many processes that reach the place one dies.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

void failpoint(const char *name);

#endif
