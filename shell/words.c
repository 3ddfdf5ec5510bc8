#include "shell/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static bool words_is_text(struct shell *shell, const char *word)
{
    if (str_is_utf8(word, strlen(word)))
        return true;
    shell_error(shell, "\"%s\" is not UTF-8 text", word);
    return false;
}

json_t *words_json(struct shell *shell, const struct command_value *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!words_is_text(shell, values[i].text)) {
            json_decref(list);
            return NULL;
        }
        (void)json_array_append_new(list, json_string(values[i].text));
    }
    return list;
}

json_t *words_env(struct shell *shell, const struct command_value *values, size_t n)
{
    json_t *env = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *text = values[i].text;
        const char *equals = strchr(text, '=');
        bool is_pair = equals != NULL && equals != text;
        if (!is_pair)
            shell_error(shell, "--env: \"%s\" is not NAME=VALUE", text);
        if (!is_pair || !words_is_text(shell, text)) {
            json_decref(env);
            return NULL;
        }
        char *name = mem_strndup(text, (size_t)(equals - text));
        (void)json_object_set_new(env, name, json_string(equals + 1));
        free(name);
    }
    return env;
}
