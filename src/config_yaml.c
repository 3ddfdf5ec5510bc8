/* Happy path: a YAML document of two levels (section, key) is walked, each value goes through its
 * row. Every error names the file and the line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "config_rows.h"

/* A YAML document being walked. */
struct config_document {
    struct config *config;
    yaml_document_t yaml;
    const char *name;
    bool seen[CONFIG_ROWS_MAX];
};

static const char *config_scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL; /* no NUL inside */
}

static int config_at_line(const struct config_document *doc, const yaml_node_t *node,
                          struct error *e)
{
    return error_prefix(e, "%s, line %zu", doc->name, node->start_mark.line + 1);
}

static int config_load_list(struct config_document *doc, const struct config_row *row,
                            const yaml_node_t *node, struct error *e)
{
    struct config_list *list = config_field(doc->config, row);
    config_list_clear(list);
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        yaml_node_t *element = yaml_document_get_node(&doc->yaml, *item);
        const char *text = config_scalar(element);
        int err = text != NULL ? config_list_add(list, row, text, e)
                               : error_set(e, ERR_INVALID, "%s.%s must be a list of plain values",
                                           row->section, row->key);
        if (err < 0)
            return config_at_line(doc, element, e);
    }
    return 0;
}

static int config_load_value(struct config_document *doc, const struct config_row *row,
                             const yaml_node_t *node, struct error *e)
{
    if (config_is_list(row->type) && node->type == YAML_SEQUENCE_NODE)
        return config_load_list(doc, row, node, e);
    const char *text = config_scalar(node);
    int err = text != NULL ? config_set_row(doc->config, row, text, e)
                           : error_set(e, ERR_INVALID, "%s.%s must be a plain value", row->section,
                                       row->key);
    return err < 0 ? config_at_line(doc, node, e) : 0;
}

static int config_load_section(struct config_document *doc, const char *section,
                               const yaml_node_t *node, struct error *e)
{
    if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
        return 0; /* "section:" with nothing in it */
    if (node->type != YAML_MAPPING_NODE) {
        (void)error_set(e, ERR_INVALID, "section \"%s\" must hold keys and values", section);
        return config_at_line(doc, node, e);
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key_node = yaml_document_get_node(&doc->yaml, pair->key);
        const char *key = config_scalar(key_node);
        const struct config_row *row = key != NULL ? config_find(section, key) : NULL;
        if (row == NULL) {
            (void)config_unknown(section, key != NULL ? key : "?", e);
            return config_at_line(doc, key_node, e);
        }
        if (doc->seen[row - config_rows]) {
            (void)error_set(e, ERR_INVALID, "%s.%s stands twice", section, key);
            return config_at_line(doc, key_node, e);
        }
        doc->seen[row - config_rows] = true;
        int err = config_load_value(doc, row, yaml_document_get_node(&doc->yaml, pair->value), e);
        if (err < 0)
            return err;
    }
    return 0;
}

static int config_load_root(struct config_document *doc, struct error *e)
{
    yaml_node_t *root = yaml_document_get_root_node(&doc->yaml);
    if (root == NULL || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
        return 0; /* nothing in it: all defaults */
    if (root->type != YAML_MAPPING_NODE) {
        (void)error_set(e, ERR_INVALID, "must hold sections as \"node:\"");
        return config_at_line(doc, root, e);
    }
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        yaml_node_t *key_node = yaml_document_get_node(&doc->yaml, pair->key);
        const char *section = config_scalar(key_node);
        if (section == NULL || !config_has_section(section)) {
            (void)config_unknown(section != NULL ? section : "?", "", e);
            return config_at_line(doc, key_node, e);
        }
        int err =
            config_load_section(doc, section, yaml_document_get_node(&doc->yaml, pair->value), e);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Whatever a second document says would be silently without effect. */
static int config_check_end(yaml_parser_t *parser, const char *name, struct error *e)
{
    yaml_document_t more;
    size_t line = parser->mark.line + 1;
    if (yaml_parser_load(parser, &more) == 0)
        return error_set(e, ERR_INVALID, "%s, line %zu: not YAML: %s", name,
                         parser->problem_mark.line + 1,
                         parser->problem != NULL ? parser->problem : "unreadable");
    bool is_end = yaml_document_get_root_node(&more) == NULL;
    yaml_document_delete(&more);
    return is_end ? 0
                  : error_set(e, ERR_INVALID, "%s, line %zu: a second document begins, must be one",
                              name, line);
}

int config_parse(struct config *config, const char *text, size_t len, const char *name,
                 struct error *e)
{
    yaml_parser_t parser;
    struct config_document doc = {.config = config, .name = name};
    if (yaml_parser_initialize(&parser) == 0)
        return error_set(e, -ENOMEM, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int err;
    if (yaml_parser_load(&parser, &doc.yaml) == 0) {
        err = error_set(e, ERR_INVALID, "%s, line %zu: not YAML: %s", name,
                        parser.problem_mark.line + 1,
                        parser.problem != NULL ? parser.problem : "unreadable");
    } else {
        err = config_load_root(&doc, e);
        yaml_document_delete(&doc.yaml);
        if (err == 0)
            err = config_check_end(&parser, name, e);
    }
    yaml_parser_delete(&parser);
    return err;
}

int config_load(struct config *config, const char *path, struct error *e)
{
    enum { CONFIG_BYTES_MAX = 1024 * 1024 };
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(e, -errno, "%s: %s", path, err_text(-errno));
    char *text = mem_alloc(CONFIG_BYTES_MAX + 1);
    size_t len = fread(text, 1, CONFIG_BYTES_MAX + 1, file);
    int err = 0;
    if (ferror(file))
        err = error_set(e, -EIO, "%s: cannot be read", path);
    else if (len > CONFIG_BYTES_MAX)
        err = error_set(e, ERR_TOO_LARGE, "%s: larger than 1 MiB", path);
    (void)fclose(file);
    if (err == 0)
        err = config_parse(config, text, len, path, e);
    free(text);
    return err;
}
