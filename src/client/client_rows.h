/* Rows as the API answers them: arrays of objects. */
#ifndef CLIENT_CLIENT_ROWS_H
#define CLIENT_CLIENT_ROWS_H

#include <jansson.h>

/* As qsort's, of two `json_t *const *`. */
typedef int (*client_rows_compare_fn)(const void *a, const void *b);

/* Puts the elements of an array into an order. */
void client_rows_sort(json_t *rows, client_rows_compare_fn compare);

#endif
