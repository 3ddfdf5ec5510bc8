/* Inputs of fragments as views. */
#ifndef RUN_EXECUTOR_INPUT_H
#define RUN_EXECUTOR_INPUT_H

#include "run/executor_task.h"

/* The view over the files. */
int executor_input_create(struct executor_task *task, const Wire__SqlInput *input);

/* An empty view with the same columns, unless the files alone know them (any_columns). */
int executor_input_describe(struct executor_task *task, const Wire__SqlInput *input);

/* Reads one csv file of an input without guessing anything, for the error that it gives: comma,
 * header, unless the options say otherwise. */
void executor_input_try(struct executor_task *task, const Wire__SqlInput *input, const char *path);

/* The local directory of a "file:" URL or absolute path that tasks may use, borrowed; NULL with the
 * task failed. */
const char *executor_input_root(struct executor_task *task, const char *url);

/* Whether the first line of a csv input names the columns. */
bool executor_input_has_header(const Wire__SqlInput *input);

#endif
