/* clustersh --complete WORD...: what bash, zsh and fish ask. */
#ifndef SHELL_COMPLETE_PROGRAM_H
#define SHELL_COMPLETE_PROGRAM_H

#include <stddef.h>
#include <stdio.h>

enum { COMPLETE_PROGRAM_SECONDS_MAX = 2 };

/* Prints what the last of the words, those behind the program's name, may become: "TEXT\tABOUT" a
 * line, and last ":" with letters: 'f' files may stand here, 'n' no space belongs behind. Asks the
 * cluster that the words in front name; prints nothing else whatever happens, and ends the process
 * after COMPLETE_PROGRAM_SECONDS_MAX. */
void complete_program(const char *const *words, size_t n, FILE *out);

#endif
