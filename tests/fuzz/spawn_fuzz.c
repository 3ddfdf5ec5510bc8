/* What the spawner is told, and what it tells. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "run/spawn_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct spawn_message_run run;
    struct spawn_message_ended ended;
    struct spawn_result result;
    char *dir, *text, **argv, **env;
    uint8_t *copy = mem_dup(data != NULL ? data : (const uint8_t *)"", len > 0 ? len : 1);
    struct spawn_message_cursor c = {.data = copy, .len = len};
    if (spawn_message_read_run(c, &run, &dir, &argv, &env) == 0) {
        size_t total = 0;
        for (char **word = argv; *word != NULL; word++)
            total += strlen(*word);
        for (char **word = env + 1; *word != NULL; word++)
            total += strlen(*word);
        fuzz_check(total <= len);
        free(argv);
    }
    (void)spawn_message_read_ended(c, &ended, &result);
    (void)spawn_message_get_string(&c, &text);
    free(copy);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    struct spawn_command command = {
        .argv = (const char *const[]){"sh", "-c", "echo", NULL},
        .env = (const char *const[]){"A=b", "C=", NULL},
        .dir = "/tmp",
    };
    struct spawn_message_ended ended = {.id = 1, .tidied = 1, .stdout_bytes = 3};
    struct buf b;
    buf_init(&b, 1 << 16);
    fuzz_check(spawn_message_add_run(&b, 1, &command) == 0);
    add(b.data + sizeof(struct spawn_message_head), b.len - sizeof(struct spawn_message_head));
    buf_done(&b);
    buf_init(&b, 1 << 16);
    (void)buf_append(&b, &ended, sizeof ended);
    (void)buf_append(&b, "\3\0\0\0abc", 7);
    add(b.data, b.len);
    buf_done(&b);
}
