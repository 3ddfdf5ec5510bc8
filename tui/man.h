/* clustertop(1), from the tables of options, views and keys. */
#ifndef TUI_MAN_H
#define TUI_MAN_H

#include "base/buf.h"

/* `page` is "clustertop.1", or "list", which names the pages. ERR_NOT_FOUND for any other. */
int man_print(const char *page, struct buf *b);

#endif
