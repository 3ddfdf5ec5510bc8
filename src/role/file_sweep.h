/* Removes files from DATA/files that nobody knows of: copies whose upload failed or was broken off
 * after they were made. Only the leader can tell, so it is asked about each file that is old enough
 * not to belong to an upload that is still under way. */
#ifndef ROLE_FILE_SWEEP_H
#define ROLE_FILE_SWEEP_H

enum {
    FILE_SWEEP_FILES_MAX = 4096, /* looked at in one round, the rest in later ones */
    FILE_SWEEP_RATE = 2 << 20,   /* bytes a second, the slowest that an upload is stored */
};

struct node;
struct file_sweep;

/* Rounds follow each other by node_options.orphan_after_ms, the age that a file must have. */
struct file_sweep *file_sweep_new(struct node *node);
/* Ends what is under way, frees, and calls `closed`, not from inside. */
void file_sweep_close(struct file_sweep *sweep, void (*closed)(void *arg), void *arg);

#endif
