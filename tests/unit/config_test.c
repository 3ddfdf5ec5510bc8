#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config.h"

static struct config config;
static struct error e;

static int setup(void **state)
{
    (void)state;
    config_init(&config);
    e = (struct error){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_done(&config);
    return 0;
}

static int parse(const char *text)
{
    return config_parse(&config, text, strlen(text), "c.yaml", &e);
}

static void assert_refused(const char *text, const char *what)
{
    assert_true(parse(text) < 0);
    if (strstr(e.text, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e.text, what);
}

static void every_default_is_good(void **state)
{
    (void)state;
    assert_int_equal(config_check(&config, &e), 0);
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("# nothing\n"), 0);
    assert_int_equal(parse("node:\n"), 0);
}

static void values_arrive_typed(void **state)
{
    (void)state;
    assert_int_equal(parse("node:\n  name: n7\n  roles: [worker]\n  labels: a=1, b\n"
                           "api:\n  socket_mode: 0660\n"
                           "worker:\n  slots: 8\n  output_bytes_max: 1G\n  kill_grace: 1m30s\n"
                           "cluster:\n  bootstrap: yes\n  join: [\"a:1\", \"[::1]:2\"]\n...\n"),
                     0);
    assert_int_equal(config.cluster.join.n, 2);
    assert_string_equal(config.node.name, "n7");
    assert_int_equal(config.node.roles.n, 1);
    assert_string_equal(config.node.labels.items[1], "b");
    assert_int_equal(config.api.socket_mode, 0660);
    assert_int_equal(config.worker.slots, 8);
    assert_int_equal(config.worker.output_bytes_max, 1 << 30);
    assert_int_equal(config.worker.kill_grace, 90000);
    assert_true(config.cluster.bootstrap);
}

static void errors_name_file_line_and_key(void **state)
{
    (void)state;
    assert_refused("node:\n  nmae: x\n", "c.yaml, line 2: unknown key \"node.nmae\", did you mean");
    assert_refused("nod:\n  name: x\n", "line 1: unknown section \"nod\", did you mean \"node\"?");
    assert_refused("worker:\n\n  slots: many\n", "line 3: worker.slots is \"many\"");
    assert_refused("worker:\n  slots: 100000\n", "must be from 0 to 4096");
    assert_refused("peer:\n  listen: nowhere\n", "must be HOST:PORT");
    assert_refused("peer:\n  listen: 1.2.3.4:99999\n", "must be HOST:PORT");
    assert_refused("log:\n  level: loud\n", "must be one of debug|info|warn|error");
    assert_refused("node:\n  roles: [cook]\n", "node.roles holds \"cook\"");
    assert_refused("node:\n  name: [a, b]\n", "must be a plain value");
    assert_refused("node: 7\n", "must hold keys and values");
    assert_refused("- a\n", "must hold sections");
    assert_refused("node:\n  name: a\n  name: b\n", "line 3: node.name stands twice");
    assert_refused("node: [\n", "not YAML");
    assert_refused("node:\n  name: \"a b\"\n", "must be letters");
    assert_refused("node:\n  name: \"a\\0b\"\n", "node.name must be a plain value");
    assert_refused("cluster:\n  join: [n1]\n",
                   "line 2: cluster.join holds \"n1\", must be HOST:PORT");
    assert_refused("cluster:\n  join: n1:7400, none\n", "cluster.join holds \"none\"");
    assert_refused("node:\n  name: a\n---\nnode:\n  name: b\n", "a second document begins");
    assert_refused("node:\n  name: a\n--- [\n", "not YAML");
}

static void the_chat_names_for_address_and_seeds_take_effect(void **state)
{
    (void)state;
    assert_int_equal(config_set(&config, "chat.host", "127.0.0.1", &e), 0);
    assert_int_equal(config_settle(&config, &e), ERR_INVALID);
    assert_int_equal(config_set(&config, "chat.port", "7410", &e), 0);
    assert_int_equal(config_set(&config, "chat.seed_nodes", "127.0.0.1:7400,127.0.0.1:7410", &e),
                     0);
    assert_int_equal(config_set(&config, "chat.heartbeat_interval_ms", "100", &e), 0);
    assert_int_equal(config_settle(&config, &e), 0);
    assert_string_equal(config.peer.listen, "127.0.0.1:7410");
    assert_string_equal(config.peer.advertise, "127.0.0.1:7410");
    assert_int_equal(config.cluster.join.n, 1);
    assert_string_equal(config.cluster.join.items[0], "127.0.0.1:7400");
    assert_int_equal(config.chat.leader_timeout_ms, 300);
    assert_int_equal(config_check(&config, &e), 0);
    assert_int_equal(config_set(&config, "chat.leader_timeout_ms", "150", &e), 0);
    assert_int_equal(config_check(&config, &e), ERR_INVALID);
    config_done(&config);
    config_init(&config);
    assert_int_equal(config_set(&config, "cluster.bootstrap", "true", &e), 0);
    assert_int_equal(config_set(&config, "chat.seed_nodes", "127.0.0.1:7400", &e), 0);
    assert_int_equal(config_settle(&config, &e), 0);
    assert_int_equal(config.cluster.join.n, 0);
}

static void check_refuses_what_no_key_can_know(void **state)
{
    (void)state;
    assert_int_equal(parse("peer:\n  listen: 10.0.0.1:7400\n"), 0);
    assert_true(config_check(&config, &e) < 0);
    assert_non_null(strstr(e.text, "tls"));
    assert_int_equal(parse("peer:\n  allow_plain: true\n"), 0);
    assert_int_equal(config_check(&config, &e), 0);
    assert_int_equal(parse("raft:\n  election_timeout: 100ms\n"), 0);
    assert_true(config_check(&config, &e) < 0);
}

static void what_is_printed_reads_back_the_same(void **state)
{
    (void)state;
    char *first = NULL;
    char *second = NULL;
    size_t first_len;
    size_t second_len;
    assert_int_equal(parse("node:\n  name: n7\n  labels: [\"a=\\\"q\\\\\\\"\"]\n"
                           "worker:\n  kill_grace: 1500ms\n  memory: 3M\n"),
                     0);
    FILE *out = open_memstream(&first, &first_len);
    config_print(&config, out, true);
    (void)fclose(out);
    config_done(&config);
    config_init(&config);
    if (parse(first) < 0)
        fail_msg("%s in:\n%s", e.text, first);
    out = open_memstream(&second, &second_len);
    config_print(&config, out, true);
    (void)fclose(out);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    assert_int_equal(config_set(&config, "cluster.join_token", "s3cret", &e), 0);
    FILE *out = open_memstream(&text, &len);
    config_print(&config, out, false);
    (void)fclose(out);
    assert_null(strstr(text, "s3cret"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_default_is_good, setup, teardown),
        cmocka_unit_test_setup_teardown(values_arrive_typed, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_name_file_line_and_key, setup, teardown),
        cmocka_unit_test_setup_teardown(the_chat_names_for_address_and_seeds_take_effect, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(check_refuses_what_no_key_can_know, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_printed_reads_back_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_are_not_shown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
