/* Between log_view.c (what is shown) and log_view_draw.c (how). */
#ifndef TUI_LOG_VIEW_INTERNAL_H
#define TUI_LOG_VIEW_INTERNAL_H

#include "tui/log_view.h"

/* Matches that are shown: those before `end`. */
size_t log_view_count(const struct log_view *view);
/* Index of a position among them, or of the match before it where it isn't shown. */
size_t log_view_index(const struct log_view *view, uint64_t pos, size_t n);
bool log_view_is_marked(const struct log_view *view, uint64_t pos);

#endif
