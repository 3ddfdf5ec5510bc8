/* Files that a task wants in its working directory, on the disk's side: a place before they are
 * fetched, checked and unpacked afterwards. All functions block: call them off the loop. */
#ifndef RUN_TASK_FILE_H
#define RUN_TASK_FILE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"

/* Names are relative paths without "..". ERR_INVALID with a text otherwise. */
int task_file_check_name(const char *name, struct error *e);

/* malloc'ed path of a file in the attempt's directory. */
char *task_file_path(const char *dir, const Wire__TaskFile *file);

/* Makes the directories that the file lies in. */
int task_file_make_place(const char *dir, const Wire__TaskFile *file, struct error *e);

/* Checks size and checksum, if they are given (ERR_CORRUPT), and makes it executable if it is to
 * be. */
int task_file_accept(const char *dir, const Wire__TaskFile *file, struct error *e);

/* Unpacks it where it lies; see unpack.h for the errors. */
int task_file_unpack(const char *dir, const Wire__TaskFile *file, const atomic_bool *cancel,
                     struct error *e);

#endif
