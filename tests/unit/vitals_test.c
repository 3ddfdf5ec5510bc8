#include "run/vitals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void a_sample_is_about_this_machine(void **state)
{
    (void)state;
    struct vitals_sampler sampler;
    struct vitals v;

    vitals_init(&sampler, "/");
    vitals_sample(&sampler, &v);
    assert_int_equal(v.cpu_permille, 0); /* nothing to compare with yet */
    assert_int_equal(v.memory_total_bytes, vitals_memory_bytes());
    assert_true(v.memory_available_bytes > 0 && v.memory_available_bytes < v.memory_total_bytes);
    assert_true(v.disk_total_bytes > 0 && v.disk_free_bytes <= v.disk_total_bytes);
    assert_true(v.rss_bytes > 100000 && v.rss_bytes < v.memory_total_bytes);
    vitals_done(&sampler);
}

static void a_busy_processor_shows(void **state)
{
    (void)state;
    struct vitals_sampler sampler;
    struct vitals v;

    vitals_init(&sampler, "/");
    do { /* the kernel counts in ticks */
        vitals_sample(&sampler, &v);
    } while (v.cpu_permille == 0);
    assert_true(v.cpu_permille <= 1000);
    vitals_done(&sampler);
}

static void what_can_not_be_read_is_zero(void **state)
{
    (void)state;
    struct vitals_sampler sampler;
    struct vitals v;

    vitals_init(&sampler, "/no/such/directory");
    vitals_sample(&sampler, &v);
    assert_int_equal(v.disk_total_bytes, 0);
    assert_true(v.memory_total_bytes > 0);
    vitals_done(&sampler);
}

static void this_process_is_told_apart_from_the_machine(void **state)
{
    (void)state;
    struct vitals_process before, after;
    int fds[2];

    vitals_sample_process(&before);
    assert_int_equal(pipe(fds), 0);
    do { /* the kernel counts in ticks */
        vitals_sample_process(&after);
    } while (after.cpu_us <= before.cpu_us);
    assert_int_equal(after.open_fds, before.open_fds + 2);
    assert_true(after.max_fds >= after.open_fds);
    assert_true(after.resident_bytes > 100000 && after.resident_bytes < after.virtual_bytes);
    assert_true(after.started_s > 1e9 && after.started_s < (double)time(NULL) + 1);
    close(fds[0]);
    close(fds[1]);
}

static void there_is_a_processor(void **state)
{
    (void)state;
    assert_in_range(vitals_cpus(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_is_about_this_machine),
        cmocka_unit_test(a_busy_processor_shows),
        cmocka_unit_test(what_can_not_be_read_is_zero),
        cmocka_unit_test(this_process_is_told_apart_from_the_machine),
        cmocka_unit_test(there_is_a_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
