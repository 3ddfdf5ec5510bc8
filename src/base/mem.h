/* Memory that is there or the program is not: allocation failure aborts with a message.
 * Nothing here returns NULL. Release with free(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);                              /* zeroed */
void *mem_calloc(size_t count, size_t size);                /* zeroed, aborts on overflow */
void *mem_realloc(void *p, size_t size);                    /* size > 0 */
void *mem_reallocarray(void *p, size_t count, size_t size); /* aborts on overflow */
void *mem_dup(const void *p, size_t size);
char *mem_strdup(const char *s);            /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n); /* s may be NULL when n is 0 */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define MEM_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Grows `array` so that it can hold `want` elements, doubling `*cap` (an element count). */
#define MEM_GROW(array, cap, want)                                                                 \
    do {                                                                                           \
        if ((size_t)(want) > (size_t)(cap)) {                                                      \
            size_t mem_new_ = (cap) ? (size_t)(cap)*2 : 8;                                         \
            while (mem_new_ < (size_t)(want))                                                      \
                mem_new_ *= 2;                                                                     \
            (array) = mem_reallocarray((array), mem_new_, sizeof *(array));                        \
            (cap) = mem_new_;                                                                      \
        }                                                                                          \
    } while (0)

#endif
