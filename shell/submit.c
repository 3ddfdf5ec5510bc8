/* Body of POST /api/jobs: a key for each option given. Files are uploaded while it is put together.
 */
#include "shell/submit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "shell/jobs.h"
#include "shell/request.h"
#include "shell/upload.h"
#include "shell/words.h"

const struct command_option submit_options[] = {
    {"name", 'n', COMMAND_TYPE_TEXT, "NAME", NULL, false, "how people call it"},
    {"array", 'a', COMMAND_TYPE_TEXT, "SET", NULL, false,
     "one element for each index: 0-99, 1,5-9, 0-98:2; %4 behind it: four at once"},
    {"command", 'C', COMMAND_TYPE_TEXT, "LINE", NULL, true,
     "a shell command; several run in order until one fails"},
    {"after", 0, COMMAND_TYPE_TEXT, "WHEN:JOB", NULL, true,
     "wait for a job: ok:ID, fail:ID or any:ID"},
    {"env", 'e', COMMAND_TYPE_TEXT, "NAME=VALUE", NULL, true, "set a variable"},
    {"file", 'f', COMMAND_TYPE_FILE, "FILE[:NAME]", NULL, true,
     "send a file along; id:ID[:NAME] takes one that was uploaded"},
    {"url", 0, COMMAND_TYPE_TEXT, "[NAME=]URL", NULL, true, "have the worker download this"},
    {"unpack", 0, COMMAND_TYPE_FLAG, NULL, NULL, false,
     "unpack the archives (zip, tar.*) among the files"},
    {"time", 't', COMMAND_TYPE_DURATION, "TIME", NULL, false,
     "stop an element that runs longer, such as 90s, 1h"},
    {"retries", 'r', COMMAND_TYPE_COUNT, "N", NULL, false,
     "run a failed element again, on another node if one fits"},
    {"cpus", 'c', COMMAND_TYPE_COUNT, "N", NULL, false, "slots that an element takes"},
    {"memory", 'm', COMMAND_TYPE_BYTES, "SIZE", NULL, false,
     "memory that an element may use, such as 512M, 2G"},
    {"select", 's', COMMAND_TYPE_TEXT, "SELECTOR", NULL, false,
     "only nodes whose labels fit: gpu=1"},
    {"priority", 'p', COMMAND_TYPE_NUMBER, "N", NULL, false, "higher goes first; default 0"},
    {"grace", 0, COMMAND_TYPE_DURATION, "TIME", NULL, false,
     "between SIGTERM and SIGKILL when it is stopped"},
    {"output-max", 0, COMMAND_TYPE_BYTES, "SIZE", NULL, false,
     "stop an element that writes more to a stream"},
    {"idempotency-key", 0, COMMAND_TYPE_TEXT, "KEY", NULL, false,
     "submit once, however often this is asked"},
    {.name = NULL},
};

static const char *const submit_archives[] = {".zip", ".tar",     ".tgz",     ".tar.gz", ".tar.xz",
                                              ".txz", ".tar.bz2", ".tar.zst", ".tar.lz4"};

static bool submit_is_archive(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(submit_archives); i++) {
        if (str_ends_with(name, submit_archives[i]))
            return true;
    }
    return false;
}

static json_t *submit_file_entry(const char *key, const char *from, const char *name,
                                 bool executable, bool unpack)
{
    json_t *entry = json_pack("{s:s, s:s}", "name", name, key, from);
    if (executable)
        (void)json_object_set_new(entry, "executable", json_true());
    if (unpack && submit_is_archive(name))
        (void)json_object_set_new(entry, "unpack", json_true());
    return entry;
}

/* "FILE", "FILE:NAME", "id:ID", "id:ID:NAME"; a file whose own name has a colon wins. */
static int submit_add_file(struct shell *shell, const char *text, bool unpack, json_t *files)
{
    char *copy = mem_strdup(text);
    char *from = copy;
    bool is_uploaded = str_starts_with(text, "id:");
    int status = SHELL_STATUS_OK;
    if (is_uploaded)
        from += strlen("id:");
    char *colon = access(from, F_OK) == 0 && !is_uploaded ? NULL : strrchr(from, ':');
    char *name = NULL;
    if (colon != NULL) {
        *colon = '\0';
        name = colon + 1;
    }
    if (is_uploaded) {
        (void)json_array_append_new(
            files, submit_file_entry("file", from, name != NULL ? name : from, false, unpack));
    } else {
        struct upload upload;
        status = upload_file(shell, from, name, &upload);
        const char *id = json_string_value(json_object_get(upload.answer, "id"));
        char *slash = strrchr(from, '/');
        if (name == NULL)
            name = slash != NULL ? slash + 1 : from;
        if (status == SHELL_STATUS_OK)
            (void)json_array_append_new(files, submit_file_entry("file", id != NULL ? id : "", name,
                                                                 upload.is_executable, unpack));
        upload_done(&upload);
    }
    free(copy);
    return status;
}

/* "URL" or "NAME=URL". */
static void submit_add_url(const char *text, bool unpack, json_t *files)
{
    const char *equals = strchr(text, '=');
    const char *scheme = strstr(text, "://");
    bool is_named = equals != NULL && scheme != NULL && equals < scheme;
    const char *url = is_named ? equals + 1 : text;
    const char *path = scheme != NULL ? scheme + 3 : url;
    size_t len = strcspn(path, "?#");
    const char *base = path + len;
    while (base > path && base[-1] != '/')
        base--;
    char *name = is_named ? mem_strndup(text, (size_t)(equals - text))
                          : mem_strndup(base, (size_t)(path + len - base));
    (void)json_array_append_new(
        files, submit_file_entry("url", url, name[0] != '\0' ? name : "download", false, unpack));
    free(name);
}

static int submit_add_files(struct shell *shell, const struct command_call *call, json_t *body)
{
    size_t n_files;
    size_t n_urls;
    const struct command_value *paths = command_option_all(call, "file", &n_files);
    const struct command_value *urls = command_option_all(call, "url", &n_urls);
    bool unpack = command_option_given(call, "unpack");
    json_t *files = json_array();
    int status = SHELL_STATUS_OK;
    for (size_t i = 0; i < n_files && status == SHELL_STATUS_OK; i++)
        status = submit_add_file(shell, paths[i].text, unpack, files);
    for (size_t i = 0; i < n_urls; i++)
        submit_add_url(urls[i].text, unpack, files);
    if (json_array_size(files) > 0)
        (void)json_object_set(body, "files", files);
    json_decref(files);
    return status;
}

/* Sets `key` to `value`, which is taken; USAGE when there is none. */
static int submit_set(json_t *body, const char *key, json_t *value)
{
    if (value == NULL)
        return SHELL_STATUS_USAGE;
    (void)json_object_set_new(body, key, value);
    return SHELL_STATUS_OK;
}

static int submit_add_env(struct shell *shell, const struct command_call *call, json_t *body)
{
    size_t n;
    const struct command_value *values = command_option_all(call, "env", &n);
    return n == 0 ? SHELL_STATUS_OK : submit_set(body, "env", words_env(shell, values, n));
}

/* Commands that only a shell has. */
static const char *const submit_builtins[] = {
    ".",    ":",      "alias",    "bg",      "break", "cd",    "command", "continue",
    "eval", "exec",   "exit",     "export",  "fc",    "fg",    "getopts", "hash",
    "jobs", "read",   "readonly", "return",  "set",   "shift", "times",   "trap",
    "type", "ulimit", "umask",    "unalias", "unset", "wait",
};

/* Whether a word is the name of a program and nothing that a shell would take differently. */
static bool submit_is_program(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./+";
    if (word[0] == '\0' || word[strspn(word, plain)] != '\0')
        return false;
    for (size_t i = 0; i < MEM_COUNT(submit_builtins); i++) {
        if (strcmp(word, submit_builtins[i]) == 0)
            return false;
    }
    return true;
}

static int submit_add_command(struct shell *shell, const struct command_call *call, json_t *body)
{
    size_t n_words;
    size_t n_lines;
    const struct command_value *words = command_argument_all(call, 0, &n_words);
    const struct command_value *lines = command_option_all(call, "command", &n_lines);
    if ((n_words > 0) == (n_lines > 0)) {
        shell_error(shell,
                    n_words > 0 ? "give either --command or a command, not both"
                                : "%s needs a command to run",
                    call->command->name);
        shell_hint(shell, "%s [OPTION]... -- COMMAND ARG...", call->command->name);
        return SHELL_STATUS_USAGE;
    }
    json_t *list =
        n_words > 0 ? words_json(shell, words, n_words) : words_json(shell, lines, n_lines);
    bool is_argv = n_words > 1 || (n_words == 1 && submit_is_program(words[0].text));
    return submit_set(body, is_argv ? "argv" : "commands", list);
}

static int submit_add_plain(struct shell *shell, const struct command_call *call, json_t *body)
{
    static const struct {
        const char *option;
        const char *key;
    } texts[] = {{"name", "name"},
                 {"array", "array"},
                 {"select", "selector"},
                 {"idempotency-key", "idempotency_key"}},
      numbers[] = {{"time", "time_limit_ms"},  {"retries", "retries"},
                   {"cpus", "cpus"},           {"memory", "memory_bytes"},
                   {"grace", "kill_grace_ms"}, {"output-max", "output_bytes_max"}};
    for (size_t i = 0; i < MEM_COUNT(texts); i++) {
        const char *text = command_option_text(call, texts[i].option);
        if (text != NULL && submit_set(body, texts[i].key, json_string(text)) != 0) {
            shell_error(shell, "--%s: \"%s\" is not UTF-8 text", texts[i].option, text);
            return SHELL_STATUS_USAGE;
        }
    }
    for (size_t i = 0; i < MEM_COUNT(numbers); i++) {
        const struct command_value *value = command_option(call, numbers[i].option);
        if (value != NULL)
            (void)json_object_set_new(body, numbers[i].key,
                                      json_integer((json_int_t)value->number));
    }
    const struct command_value *priority = command_option(call, "priority");
    if (priority != NULL)
        (void)json_object_set_new(body, "priority", json_integer(priority->integer));
    return SHELL_STATUS_OK;
}

/* A job is named as everywhere, by the beginning of its id or as last; the API takes whole ids. */
static int submit_add_after(struct shell *shell, const struct command_call *call, json_t *body)
{
    size_t n;
    const struct command_value *after = command_option_all(call, "after", &n);
    if (n == 0)
        return SHELL_STATUS_OK;
    json_t *list = words_json(shell, after, n);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        const char *colon = strchr(text, ':');
        json_t *job = NULL;
        if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) == UUID_TEXT_MAX - 1)
            continue;
        int status = jobs_fetch(shell, colon + 1, &job);
        if (status != SHELL_STATUS_OK) {
            json_decref(list);
            return status;
        }
        (void)json_array_set_new(
            list, i, json_sprintf("%.*s:%s", (int)(colon - text), text, jobs_text(job, "id")));
        json_decref(job);
    }
    return submit_set(body, "after", list);
}

static int submit_send(struct shell *shell, const struct command_call *call, const json_t *body,
                       json_t **answer)
{
    struct uuid id;
    char fresh[UUID_TEXT_MAX];
    struct request_answer reply;
    int status = SHELL_STATUS_OK;
    const char *key = command_option_text(call, "idempotency-key");
    uuid_generate(&id);
    char *text = json_dumps(body, JSON_COMPACT);
    request_run(shell,
                &CLIENT_REQUEST(.method = "POST", .path = "/api/jobs", .data = text,
                                .data_len = strlen(text),
                                .idempotency_key = key != NULL ? key : uuid_format(&id, fresh),
                                .attempt_ms = SHELL_ATTEMPT_MS, .timeout_ms = SHELL_TIMEOUT_MS),
                &reply);
    if (reply.code != 0)
        status = request_report(shell, &reply);
    else if (!json_is_string(json_object_get(reply.json, "id")))
        status = request_strange(shell, "it has no job's id");
    else
        *answer = json_incref(reply.json);
    request_answer_done(&reply);
    free(text);
    return status;
}

int submit_job(struct shell *shell, const struct command_call *call, json_t **answer)
{
    json_t *body = json_object();
    int status = submit_add_command(shell, call, body);
    if (status == SHELL_STATUS_OK)
        status = submit_add_env(shell, call, body);
    if (status == SHELL_STATUS_OK)
        status = submit_add_plain(shell, call, body);
    if (status == SHELL_STATUS_OK)
        status = shell_connect(shell);
    if (status == SHELL_STATUS_OK)
        status = submit_add_after(shell, call, body);
    if (status == SHELL_STATUS_OK)
        status = submit_add_files(shell, call, body);
    if (status == SHELL_STATUS_OK)
        status = submit_send(shell, call, body, answer);
    json_decref(body);
    return status;
}
