/* usage: x_fuzz [FILE]...
 *
 * With files: each is one input. Without: the seeds, then inputs made from them, the same in each
 * run; TEST_SEED=N begins with input N, SOAK=1 takes a hundred times as many. An input that ends
 * the process is named and left in fuzz-input of TEST_LOGS or the working directory.
 *
 * Under libFuzzer there is no main() here; FUZZ_SEEDS=DIR in the environment has the seeds written
 * there. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"

enum { FUZZ_SEEDS_MAX = 256, FUZZ_BYTES_MAX = 64 << 10, FUZZ_CASES = 20000, FUZZ_EDITS_MAX = 8 };

struct fuzz_input {
    uint8_t *data;
    size_t len;
};

static struct fuzz_input seeds[FUZZ_SEEDS_MAX];
static size_t seeds_n;

void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "# %s:%d: not so: %s\n", file, line, condition);
    abort();
}

static void fuzz_keep_seed(const void *data, size_t len)
{
    if (seeds_n >= FUZZ_SEEDS_MAX || len > FUZZ_BYTES_MAX)
        fuzz_fail(__FILE__, __LINE__, "room for the seed");
    seeds[seeds_n].data = mem_dup(data, len > 0 ? len : 1);
    seeds[seeds_n++].len = len;
}

static void fuzz_free_seeds(void)
{
    for (size_t i = 0; i < seeds_n; i++)
        free(seeds[i].data);
    seeds_n = 0;
}

#ifdef FUZZ_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = getenv("FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    fuzz_seeds(fuzz_keep_seed);
    for (size_t i = 0; dir != NULL && i < seeds_n; i++) {
        char *path = mem_printf("%s/seed-%zu", dir, i);
        FILE *file = fopen(path, "we");
        if (file == NULL || fwrite(seeds[i].data, 1, seeds[i].len, file) != seeds[i].len ||
            fclose(file) != 0)
            fuzz_fail(path, 0, "can be written");
        free(path);
    }
    fuzz_free_seeds();
    return 0;
}

#else

/* ---- an input that ends the process ---------------------------------------------------------- */

static struct fuzz_input present;
static uint64_t present_seed;
static char present_path[4096];

/* Of ASan and UBSan, where they are. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void fuzz_leave_input(void)
{
    char text[4224];
    int fd = open(present_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, present.data, present.len) < 0)
        present_path[0] = '\0';
    int n = snprintf(text, sizeof text, "not ok - TEST_SEED=%" PRIu64 ", its input is in %s\n",
                     present_seed, present_path);
    if (n > 0 && write(STDOUT_FILENO, text, (size_t)n) < 0)
        return;
}

static void fuzz_on_signal(int signum)
{
    fuzz_leave_input();
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void fuzz_run(const void *data, size_t len)
{
    present.data = mem_alloc(len > 0 ? len : 1);
    present.len = len;
    if (len > 0)
        memcpy(present.data, data, len);
    uint8_t *exact = len > 0 ? mem_dup(data, len) : malloc(0); /* a step behind it is seen */
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    free(present.data);
    present = (struct fuzz_input){0};
}

/* ---- inputs from seeds ----------------------------------------------------------------------- */

static size_t fuzz_remove(struct prng *prng, uint8_t *data, size_t len)
{
    size_t at = prng_below(prng, len), n = 1 + prng_below(prng, len - at);
    memmove(data + at, data + at + n, len - at - n);
    return len - n;
}

/* Puts a piece of `from` in at any place. */
static size_t fuzz_insert(struct prng *prng, uint8_t *data, size_t len,
                          const struct fuzz_input *from)
{
    size_t at = prng_below(prng, len + 1);
    if (from->len == 0)
        return len;
    size_t begin = prng_below(prng, from->len), n = 1 + prng_below(prng, from->len - begin);
    if (n > FUZZ_BYTES_MAX - len)
        return len;
    memmove(data + at + n, data + at, len - at);
    memcpy(data + at, from->data + begin, n);
    return len + n;
}

static size_t fuzz_edit(struct prng *prng, uint8_t *data, size_t len)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '"', '\\', '\n', '0', '9', '-'};
    if (len == 0)
        return fuzz_insert(prng, data, len, &seeds[prng_below(prng, seeds_n)]);
    uint8_t *byte = &data[prng_below(prng, len)];
    switch (prng_below(prng, 8)) {
    case 0:
        return fuzz_remove(prng, data, len);
    case 1:
    case 2:
        return fuzz_insert(prng, data, len, &seeds[prng_below(prng, seeds_n)]);
    case 3:
        return prng_below(prng, len + 1);
    case 4:
        *byte = edges[prng_below(prng, sizeof edges)];
        break;
    case 5:
        *byte = (uint8_t)(*byte + 1 - 2 * (int)prng_below(prng, 2));
        break;
    case 6:
        *byte = (uint8_t)prng_below(prng, 256);
        break;
    default:
        *byte ^= (uint8_t)(1u << prng_below(prng, 8));
        break;
    }
    return len;
}

static void fuzz_case(uint64_t seed, uint8_t *room)
{
    struct prng prng;
    prng_init(&prng, seed);
    present_seed = seed;
    const struct fuzz_input *from = &seeds[prng_below(&prng, seeds_n)];
    size_t len = from->len;
    if (len > 0)
        memcpy(room, from->data, len);
    for (uint64_t edits = 1 + prng_below(&prng, FUZZ_EDITS_MAX); edits > 0; edits--)
        len = fuzz_edit(&prng, room, len);
    fuzz_run(room, len);
}

/* ---- the program ----------------------------------------------------------------------------- */

static int fuzz_file(const char *path)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = mem_alloc(FUZZ_BYTES_MAX);
    if (file == NULL) {
        perror(path);
        free(data);
        return 1;
    }
    size_t len = fread(data, 1, FUZZ_BYTES_MAX, file);
    (void)fclose(file);
    fuzz_run(data, len);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    const char *logs = getenv("TEST_LOGS");
    const char *soak = getenv("SOAK");
    const char *first = getenv("TEST_SEED");
    const char *name = strrchr(argv[0], '/');
    (void)snprintf(present_path, sizeof present_path, "%s/%s.fuzz-input", logs != NULL ? logs : ".",
                   name != NULL ? name + 1 : argv[0]);
    (void)signal(SIGABRT, fuzz_on_signal);
    (void)signal(SIGSEGV, fuzz_on_signal);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(fuzz_leave_input);
    int status = 0;
    for (int i = 1; i < argc; i++)
        status |= fuzz_file(argv[i]);
    if (argc > 1)
        return status;
    printf("1..2\n");
    (void)fflush(stdout);
    fuzz_seeds(fuzz_keep_seed);
    for (size_t i = 0; i < seeds_n; i++)
        fuzz_run(seeds[i].data, seeds[i].len);
    printf("ok 1 - good inputs\n");
    (void)fflush(stdout);
    uint8_t *room = mem_alloc(FUZZ_BYTES_MAX);
    uint64_t seed = first != NULL ? strtoull(first, NULL, 10) : 1;
    uint64_t n = soak != NULL && soak[0] == '1' ? UINT64_C(100) * FUZZ_CASES : FUZZ_CASES;
    for (uint64_t i = 0; i < n; i++)
        fuzz_case(seed + i, room);
    printf("ok 2 - any bytes\n");
    free(room);
    fuzz_free_seeds();
    return 0;
}

#endif
