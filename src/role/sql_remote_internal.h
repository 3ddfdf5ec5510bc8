/* Between the files of sql_remote: sql_remote.c has the life of a task, sql_remote_read.c brings
 * Parquet files by parts, sql_remote_footer.c decides which (on threads), sql_remote_copy.c brings
 * files whole, sql_remote_put.c puts what was written. */
#ifndef ROLE_SQL_REMOTE_INTERNAL_H
#define ROLE_SQL_REMOTE_INTERNAL_H

#include "core/delta_prune.h"
#include "role/sql_remote.h"
#include "run/object_cache.h"
#include "run/object_store.h"

enum {
    SQL_REMOTE_BATCH = 64,                /* footers at a time */
    SQL_REMOTE_PUTS = 2,                  /* files at a time */
    SQL_REMOTE_TAIL_BYTES_MIN = 16 << 10, /* that are taken for the footer at first */
    SQL_REMOTE_TAIL_BYTES_MAX = 128 << 10,
    SQL_REMOTE_TAIL_PART = 256, /* of the file */
};

/* What an input wants of its files. Read by threads while the loop waits for them. */
struct sql_remote_input {
    bool is_parts, is_copy; /* neither: it is local */
    const Wire__SqlInput *input;
    struct delta_type *types; /* of the columns that have conditions */
    size_t types_n;
    uint32_t *columns;         /* their places in the input, ascending */
    struct delta_prune *prune; /* NULL: no conditions */
};

struct sql_remote_file {
    size_t input, index; /* in the task, in the input */
    char *place, *key;
    uint64_t size;
    bool is_whole;
    char *etag;
    uint64_t tail_bytes; /* that are taken for the footer */
    bool is_short;       /* they were too few */
    struct error error;  /* of reading the footer */
};

/* A local file: of a run of row groups, or all of a file. */
struct sql_remote_segment {
    size_t file;   /* in files */
    size_t number; /* in the file */
    struct object_range *ranges;
    size_t ranges_n;
    uint8_t *tail;
    size_t tail_len;
    uint64_t tail_at;
    uint64_t rows, bytes;
};

/* A file that was brought whole. */
struct sql_remote_copy {
    size_t input, index; /* in the task, in the input: whose name it matches */
    char *place, *key;
    char *path; /* local */
};

struct sql_remote {
    struct sql_remote_options options;
    char *scratch; /* of this task; "": none yet */
    Wire__SqlRunTask *task;
    sql_remote_fn fn;
    void *arg;
    struct loop_hook hook; /* ends that must not come from inside */
    int end_code;
    struct error end_error;
    bool end_elsewhere;
    bool is_freed;
    unsigned works; /* threads that have something of it */

    struct sql_remote_input *inputs;
    size_t inputs_n;

    struct sql_remote_file *files;
    size_t files_n, files_cap;
    struct sql_remote_segment *segments;
    size_t segments_n, segments_cap;
    size_t batch[SQL_REMOTE_BATCH]; /* files whose footers are read now */
    size_t batch_n, files_at;
    struct object_fetch *footers, *parts;

    struct sql_remote_copy *copies;
    size_t copies_n, copies_cap, copies_at;
    size_t copy_input, copy_file; /* whose names are looked for */
    char *list_after;
    uint64_t copy_bytes;
    struct object_call *call;

    char *out_root, *out_dir; /* the bucket's place, and what stands for it; NULL: local */
    bool keeps_names;         /* a file may be there from before: is not taken back */
    char **put_keys;
    size_t puts_n, puts_at, puts_done;
    struct object_call *puts[SQL_REMOTE_PUTS];
};

/* ---- sql_remote.c ---------------------------------------------------------------------------- */

/* Ends what goes on: `fn` comes at the end of the turn. */
void sql_remote_end(struct sql_remote *remote, int code, const char *text, bool elsewhere);
/* After each thread's work: false when the remote is gone now. */
bool sql_remote_check(struct sql_remote *remote);
/* The directory of this task below the scratch directory; NULL after sql_remote_end(). */
const char *sql_remote_dir(struct sql_remote *remote);
/* Whether another node may fare better. */
bool sql_remote_is_elsewhere(int code);
/* Splits the URL of a file: malloc'ed place and key. */
void sql_remote_locate(const char *root, const char *path, char **place, char **key);
bool sql_remote_is_url(const char *text);

/* ---- the steps: each calls the next one -------------------------------------------------------
 */

void sql_remote_copy(struct sql_remote *remote); /* then sql_remote_read() */
void sql_remote_copies_done(struct sql_remote *remote);
/* A file of an input with the values of the partitions of another. */
Wire__SqlFile *sql_remote_new_file(const Wire__SqlFile *like, const char *path);
void sql_remote_replace_files(Wire__SqlInput *input, const char *dir, Wire__SqlFile **files,
                              size_t n);         /* takes `files` */
void sql_remote_read(struct sql_remote *remote); /* then sql_remote_end() */
void sql_remote_read_done(struct sql_remote *remote);
void sql_remote_put_done(struct sql_remote *remote);

/* ---- sql_remote_footer.c: on threads --------------------------------------------------------- */

/* Reads the footer of a file from `path` and adds the segments that are to be brought. */
void sql_remote_footer(struct sql_remote *remote, size_t file, const char *path);
void sql_remote_add_whole(struct sql_remote *remote, size_t file);
void sql_remote_input_init(struct sql_remote_input *input, const Wire__SqlInput *from);
void sql_remote_input_done(struct sql_remote_input *input);

#endif
