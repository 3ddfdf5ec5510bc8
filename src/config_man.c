/* clusterd.yaml(5), from the rows. */
#include <stdlib.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "clusterd_cli.h"
#include "config_rows.h"

static void config_man_choices(const char *choices, bool is_list, struct buf *b)
{
    (void)buf_append_str(b, is_list ? "Any of" : "One of");
    for (const char *c = choices; *c != '\0';) {
        size_t len = strcspn(c, "|");
        (void)buf_printf(b, "%s %.*s", c == choices ? "" : ",", (int)len, c);
        c += len + (c[len] == '|');
    }
    (void)buf_append_str(b, ". ");
}

/* "Default 1h; 1s to 3650d." */
static void config_man_range(const struct config_row *row, struct buf *b)
{
    struct buf text;
    buf_init(&text, MDOC_BYTES_MAX);
    if (row->choices != NULL)
        config_man_choices(row->choices, config_is_list(row->type), &text);
    if (row->fallback[0] != '\0')
        (void)buf_printf(&text, "The default is %s%s", row->fallback, row->max == 0 ? ". " : "");
    if (row->max > 0 && row->choices == NULL && !config_is_text(row->type)) {
        char *min = config_number_text(row, row->min);
        char *max = config_number_text(row, row->max);
        (void)buf_printf(&text, "%s%s to %s. ",
                         row->fallback[0] != '\0' ? ", the range " : "Range ", min, max);
        free(min);
        free(max);
    }
    mdoc_text(b, buf_cstr(&text));
    buf_done(&text);
}

static void config_man_keys(struct buf *b)
{
    const char *section = "";
    for (unsigned i = 0; i < config_rows_n; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(section, row->section) != 0) {
            if (i > 0)
                mdoc_line(b, ".El");
            mdoc_subsection(b, row->section);
            mdoc_line(b, ".Bl -tag -width Ds");
        }
        section = row->section;
        mdoc_macro(b, "It");
        mdoc_word(b, "Cm");
        mdoc_arg(b, row->key);
        mdoc_word(b, "Ar");
        mdoc_arg(b, config_type_text(row->type));
        mdoc_end(b);
        mdoc_text(b, row->help);
        config_man_range(row, b);
    }
    mdoc_line(b, ".El");
}

void config_man(struct buf *b)
{
    mdoc_head(b, "clusterd.yaml", 5, "configuration of a node of a cluster");
    mdoc_section(b, "DESCRIPTION");
    mdoc_text(b, "The configuration of clusterd is a file of YAML with one mapping of sections, "
                 "each a mapping of "
                 "keys. Every key has a default and may be left out; an unknown key is an error "
                 "that names its "
                 "line. clusterd init writes a file, clusterd config check looks at one, and -o "
                 "SECTION.KEY=VALUE "
                 "of clusterd run and clusterd dev overrides a key.\n\n"
                 "A duration is a number with ms, s, m, h or d, several of them in a row; a bare "
                 "number counts "
                 "seconds. A size is a number with K, M, G or T, powers of 1024. A list is [a, b] "
                 "or a, b. HOST:PORT "
                 "takes [IPV6]:PORT, and port 0 for a free one. DATA_DIR is node.data_dir.");
    mdoc_section(b, "KEYS");
    config_man_keys(b);
    mdoc_section(b, "FILES");
    mdoc_line(b, ".Bl -tag -width Ds");
    mdoc_line(b, ".It Pa DIR/clusterd.yaml");
    mdoc_text(b, "What clusterd init DIR writes. It may hold secrets: only its owner can read it.");
    mdoc_line(b, ".El");
    mdoc_section(b, "EXAMPLES");
    mdoc_line(b, "A worker that keeps no replica of the cluster's state:");
    mdoc_literal(b, "node:\n"
                    "  name: w1\n"
                    "  data_dir: /srv/clusterd/data\n"
                    "  roles: [worker]\n"
                    "  labels: [gpu=1, rack=b]\n"
                    "cluster:\n"
                    "  join: [\"10.0.0.1:7400\", \"10.0.0.2:7400\"]\n"
                    "  join_token: \"...\"\n"
                    "peer:\n"
                    "  listen: 0.0.0.0:7400\n"
                    "  advertise: 10.0.0.7:7400\n"
                    "  tls_ca: /etc/clusterd/ca.pem\n"
                    "  tls_cert: /etc/clusterd/w1.pem\n"
                    "  tls_key: /etc/clusterd/w1.key");
    mdoc_see_also(b, "clustersh(1) clusterd(8)");
}
