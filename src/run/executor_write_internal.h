/* Between executor_write.c, which has files written, and executor_written.c, which reads what COPY
 * says of them. */
#ifndef RUN_EXECUTOR_WRITE_INTERNAL_H
#define RUN_EXECUTOR_WRITE_INTERNAL_H

#include "run/executor_sql.h"
#include "run/executor_task.h"

#define EXECUTOR_WRITE_PARTITION "__clusterd_partition"

struct executor_write {
    struct executor_task *task;
    const Wire__SqlOutput *output;
    const char *root;
    char *scratch;                    /* what COPY writes to: a file or a directory */
    const Wire__SqlOutputFile *split; /* a file that is being written anew as several */
    size_t published;                 /* files at their place */
    uint32_t partition;               /* of a shuffle, when COPY does not know it */
};

/* The rows of one statement as the output wants them, behind those of a shuffle their partition. */
void executor_write_select(const Wire__SqlOutput *output, struct executor_sql *sql,
                           const char *text);

/* Takes one row of COPY's answer, `arg` is the executor_write: [name, rows, bytes, bytes of footer,
 * statistics, partition values]. */
int executor_write_add(void *arg, const char *row, size_t len);
/* For csv and json COPY says the number of rows alone. */
int executor_write_add_counted(void *arg, const char *row, size_t len);

#endif
