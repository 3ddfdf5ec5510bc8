/* uthash on our allocator. Include this, never <uthash.h>. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdlib.h>

#include "base/mem.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

#endif
