#include "client/client_path.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void client_path_add(struct client_path *p, const char *bytes, size_t len)
{
    if (p->len + len >= sizeof p->text) {
        p->cut = true;
        return;
    }
    memcpy(p->text + p->len, bytes, len);
    p->len += len;
    p->text[p->len] = '\0';
}

static bool client_path_is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static void client_path_add_escaped(struct client_path *p, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        char hex[4];
        if (client_path_is_unreserved(c)) {
            client_path_add(p, s, 1);
        } else {
            (void)snprintf(hex, sizeof hex, "%%%02X", c);
            client_path_add(p, hex, 3);
        }
    }
}

const char *client_path(struct client_path *p, ...)
{
    *p = (struct client_path){0};
    client_path_add(p, "/api", 4);
    va_list args;
    va_start(args, p);
    const char *segment;
    while ((segment = va_arg(args, const char *)) != NULL) {
        client_path_add(p, "/", 1);
        client_path_add_escaped(p, segment);
    }
    va_end(args);
    return p->text;
}

const char *client_path_param(struct client_path *p, const char *key, const char *value)
{
    if (value == NULL)
        return p->text;
    client_path_add(p, p->n_params++ == 0 ? "?" : "&", 1);
    client_path_add(p, key, strlen(key));
    client_path_add(p, "=", 1);
    client_path_add_escaped(p, value);
    return p->text;
}

const char *client_path_param_u64(struct client_path *p, const char *key, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return client_path_param(p, key, text);
}
