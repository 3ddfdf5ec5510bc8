/* A rollout as a tree for people: its plan, how far it is, what its gates say.
 *
 *     ● web  m1 → m2  watching: 25 % of the traffic are on the canary
 *     ├─ ✔ 5 %    10m
 *     ├─ ● 25 %   10m, 7m57s left
 *     │  ├─ ✔ errors<=1%  0.2 % errors of m2
 *     │  └─ ? p95<=250ms  12 requests of m2 in the window, 20 are needed
 *     ├─ ○ 50 %   until promote
 *     └─ ○ 100 %
 *
 * In ASCII where the locale is no UTF-8. Nothing here writes anywhere. */
#ifndef SHELL_ROLLOUT_TREE_H
#define SHELL_ROLLOUT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"

/* Appends the tree of what GET /api/rollouts/{service} answered, lines cut to `width` columns (0:
 * no limit), times as of `now_ms`. Returns the number of lines. What does not fit `out` is left
 * out. */
size_t rollout_tree(const json_t *rollout, int64_t now_ms, size_t width, bool has_color,
                    struct buf *out);

#endif
