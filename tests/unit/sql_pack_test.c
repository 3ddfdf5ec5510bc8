/* Small files that become one. */
#include "core/sql_pack.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

enum { FILES_MAX = 60, TARGET = 100 };

struct table {
    struct sql_pack_file files[FILES_MAX];
    const char *values[FILES_MAX][2];
    size_t n, out[FILES_MAX], first[FILES_MAX], packs;
};

static void make(struct table *t, struct prng *prng)
{
    static const char *const values[] = {NULL, "", "a", "b"};
    t->n = prng_below(prng, FILES_MAX + 1);
    for (size_t i = 0; i < t->n; i++) {
        t->values[i][0] = values[prng_below(prng, 4)];
        t->values[i][1] = values[prng_below(prng, 2)];
        t->files[i] = (struct sql_pack_file){prng_below(prng, 70), t->values[i]};
    }
    t->packs = sql_pack(t->files, t->n, 2, TARGET, t->out, t->first);
}

static bool is_same(const struct table *t, size_t a, size_t b)
{
    for (size_t i = 0; i < 2; i++)
        if (t->values[a][i] != t->values[b][i])
            return false;
    return true;
}

static uint64_t bytes_of(const struct table *t, size_t pack)
{
    uint64_t bytes = 0;
    for (size_t i = t->first[pack]; i < t->first[pack + 1]; i++)
        bytes += t->files[t->out[i]].size;
    return bytes;
}

static void packs_hold_small_files_of_one_partition_once_and_no_more_than_fit(void **state)
{
    struct generated g;
    struct table t;
    (void)state;
    generated_init(&g, 500);
    while (generated_next(&g)) {
        bool seen[FILES_MAX] = {0};
        make(&t, &g.prng);
        for (size_t p = 0; p < t.packs; p++) {
            generated_check(&g, t.first[p + 1] >= t.first[p] + 2, "pack %zu has one file", p);
            generated_check(&g, bytes_of(&t, p) <= TARGET, "pack %zu is too large", p);
            for (size_t i = t.first[p]; i < t.first[p + 1]; i++) {
                size_t file = t.out[i];
                generated_check(&g, !seen[file], "file %zu twice", file);
                generated_check(&g, t.files[file].size < TARGET / 2, "file %zu is large", file);
                generated_check(&g, is_same(&t, file, t.out[t.first[p]]), "pack %zu is mixed", p);
                generated_check(&g, i == t.first[p] || t.out[i - 1] < file,
                                "file %zu is out of order", file);
                seen[file] = true;
            }
        }
    }
}

/* Whatever is left alone had no neighbour that it would have fitted with. */
static void small_files_next_to_each_other_are_packed(void **state)
{
    struct generated g;
    struct table t;
    (void)state;
    generated_init(&g, 500);
    while (generated_next(&g)) {
        bool seen[FILES_MAX] = {0};
        make(&t, &g.prng);
        for (size_t i = 0; i < t.first[t.packs]; i++)
            seen[t.out[i]] = true;
        for (size_t a = 0; a < t.n; a++) {
            if (seen[a] || t.files[a].size >= TARGET / 2)
                continue;
            size_t b = a + 1;
            while (b < t.n && (!is_same(&t, a, b) || t.files[b].size >= TARGET / 2))
                b++;
            generated_check(&g, b == t.n || t.files[a].size + t.files[b].size > TARGET,
                            "files %zu and %zu fit together", a, b);
        }
    }
}

/* As many partitions as files: it must not compare each with each. */
static void a_hundred_thousand_partitions_are_no_work(void **state)
{
    enum { N = 100000 };
    struct sql_pack_file *files = mem_calloc(N, sizeof *files);
    const char **values = mem_calloc(N, sizeof *values);
    char *names = mem_calloc(N, 8);
    size_t *out = mem_calloc(N, sizeof *out);
    size_t *first = mem_calloc(N, sizeof *first);
    (void)state;
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(names + i * 8, 8, "%zu", i);
        values[i] = names + i * 8;
        files[i] = (struct sql_pack_file){1, &values[i]};
    }
    assert_int_equal(sql_pack(files, N, 1, TARGET, out, first), 0);
    assert_int_equal(sql_pack(files, N, 0, TARGET, out, first), N / TARGET);
    free(files);
    free(values);
    free(names);
    free(out);
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_hold_small_files_of_one_partition_once_and_no_more_than_fit),
        cmocka_unit_test(small_files_next_to_each_other_are_packed),
        cmocka_unit_test(a_hundred_thousand_partitions_are_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
