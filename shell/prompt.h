/* The prompt's text: which node answers, who leads. */
#ifndef SHELL_PROMPT_H
#define SHELL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "shell/statement.h"

enum { PROMPT_TEXT_MAX = 512 };

/* "clustersh n1 (leader n2)> " from an answer of GET /api/status, "(no leader)", and "(no
 * connection)" when `status` is NULL. Colours stand between \001 and \002 as readline wants it. */
void prompt_format(const json_t *status, bool has_color, char out[static PROMPT_TEXT_MAX]);

/* "...> ", and inside a quote "'> " or "\"> ", aligned with the program's name. */
void prompt_format_continued(enum statement_end end, char out[static PROMPT_TEXT_MAX]);

#endif
