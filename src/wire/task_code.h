/* Why an attempt at a task ended as it did: the codes that workers report and the scheduler weighs.
 */
#ifndef WIRE_TASK_CODE_H
#define WIRE_TASK_CODE_H

/* X(symbol, number, name, text). Numbers and names are stable: they cross the wire and the API. */
#define TASK_CODE_LIST(X)                                                                          \
    X(TASK_CODE_OK, 0, "ok", "done")                                                               \
    X(TASK_CODE_EXIT_NONZERO, 1, "exit_nonzero", "a command ended with an exit code other than 0") \
    X(TASK_CODE_SIGNAL, 2, "signal", "a signal ended the command")                                 \
    X(TASK_CODE_TIME_LIMIT, 3, "time_limit", "ran longer than its time limit")                     \
    X(TASK_CODE_OUTPUT_LIMIT, 4, "output_limit", "wrote more output than its limit")               \
    X(TASK_CODE_MEMORY_LIMIT, 5, "memory_limit", "used more memory than its limit")                \
    X(TASK_CODE_DOWNLOAD_FAILED, 6, "download_failed", "a file could not be fetched")              \
    X(TASK_CODE_UNPACK_FAILED, 7, "unpack_failed", "an archive could not be unpacked")             \
    X(TASK_CODE_SPAWN_FAILED, 8, "spawn_failed", "a command could not be started")                 \
    X(TASK_CODE_NODE_LOST, 9, "node_lost", "the node that ran it was lost")                        \
    X(TASK_CODE_CANCELLED, 10, "cancelled", "cancelled")                                           \
    X(TASK_CODE_SUPERSEDED, 11, "superseded", "another attempt counts")                            \
    X(TASK_CODE_DISK_FULL, 12, "disk_full", "the disk of the node is full")

enum task_code {
#define TASK_CODE_ENUM(symbol, number, name, text) symbol = (number),
    TASK_CODE_LIST(TASK_CODE_ENUM)
#undef TASK_CODE_ENUM
};

/* Stable snake_case name and short sentence; for a number that this version doesn't know "unknown".
 * Static storage, never NULL. */
const char *task_code_name(unsigned code);
const char *task_code_text(unsigned code);

#endif
