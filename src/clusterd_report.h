/* `clusterd report`: asks a node for the report of its cluster and writes it to a file. */
#ifndef CLUSTERD_REPORT_H
#define CLUSTERD_REPORT_H

/* `since` may be NULL (everything), `socket` NULL ($CLUSTERSH_ENDPOINT, or the usual place).
 * Returns an exit status after saying what went wrong. */
int clusterd_report_run(const char *path, const char *since, const char *socket);

#endif
