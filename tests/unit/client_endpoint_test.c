#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/client_endpoint.h"
#include "client/client_path.h"
#include "client/client_token.h"

static void every_form_of_endpoint_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum client_scheme scheme;
        const char *canonical;
        bool is_local;
    } rows[] = {
        {"unix:/run/c.sock", CLIENT_SCHEME_UNIX, "unix:/run/c.sock", true},
        {"./c.sock", CLIENT_SCHEME_UNIX, "unix:./c.sock", true},
        {"http://127.0.0.1:7401", CLIENT_SCHEME_HTTP, "http://127.0.0.1:7401", true},
        {"http://127.0.0.1:7401/", CLIENT_SCHEME_HTTP, "http://127.0.0.1:7401", true},
        {"https://n1.example.org", CLIENT_SCHEME_HTTPS, "https://n1.example.org:7401", false},
        {"https://[::1]:80", CLIENT_SCHEME_HTTPS, "https://[::1]:80", true},
        {"http://[2001:db8::1]", CLIENT_SCHEME_HTTP, "http://[2001:db8::1]:7401", false},
        {"n1:80", CLIENT_SCHEME_HTTP, "http://n1:80", false},
        {"localhost", CLIENT_SCHEME_HTTP, "http://localhost:7401", true},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct client_endpoint endpoint;
        struct error e = {0};
        if (client_endpoint_parse(rows[i].text, &endpoint, &e) != 0)
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(endpoint.scheme, rows[i].scheme);
        assert_string_equal(endpoint.text, rows[i].canonical);
        assert_int_equal(client_endpoint_is_local(&endpoint), rows[i].is_local);
    }
}

static void a_wrong_endpoint_is_refused_with_its_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "unix:",       "ftp://h",      "http://",      "http://h:0",  "http://h:65536",
        "http://h:x",  "http://h/api", "http://a b",   "http://[::1", "http://u@h",
        "https://h?x", "http://[x]",   "http://h\nX:", "http://h:",
    };
    for (size_t i = 0; i < MEM_COUNT(texts); i++) {
        struct client_endpoint endpoint;
        struct error e = {0};
        if (client_endpoint_parse(texts[i], &endpoint, &e) != ERR_INVALID)
            fail_msg("%s passed", texts[i]);
        assert_non_null(strstr(e.text, texts[i]));
    }
    char path[300];
    memset(path, 'a', sizeof path);
    memcpy(path, "unix:/", 6);
    path[sizeof path - 1] = '\0';
    struct client_endpoint endpoint;
    assert_int_equal(client_endpoint_parse(path, &endpoint, NULL), ERR_INVALID);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
}

static void the_default_is_the_environment_then_the_sockets_in_order(void **state)
{
    (void)state;
    char dir[] = "/tmp/endpoint_test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", dir, 1), 0);
    assert_int_equal(unsetenv("CLUSTERSH_ENDPOINT"), 0);
    struct error e = {0};
    char *endpoint = client_endpoint_default(&e);
    if (access("/run/clusterd/clusterd.sock", F_OK) != 0) {
        assert_null(endpoint);
        assert_int_equal(e.code, ERR_NOT_FOUND);
        (void)mkdir(".quickstart", 0700);
        (void)mkdir(".quickstart/n1", 0700);
        make_socket(".quickstart/n1/clusterd.sock");
        endpoint = client_endpoint_default(&e);
        assert_string_equal(endpoint, "unix:.quickstart/n1/clusterd.sock");
        (void)unlink(".quickstart/n1/clusterd.sock");
        (void)rmdir(".quickstart/n1");
        (void)rmdir(".quickstart");
    }
    free(endpoint);

    (void)mkdir("clusterd", 0700);
    make_socket("clusterd/clusterd.sock");
    endpoint = client_endpoint_default(&e);
    char *expected = mem_printf("unix:%s/clusterd/clusterd.sock", dir);
    assert_string_equal(endpoint, expected);
    free(endpoint);
    free(expected);
    (void)unlink("clusterd/clusterd.sock");
    (void)rmdir("clusterd");
    (void)rmdir(dir);

    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", "http://n9", 1), 0);
    endpoint = client_endpoint_default(&e);
    assert_string_equal(endpoint, "http://n9");
    free(endpoint);
}

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void expect_default(const char *expected)
{
    struct error e = {0};
    char *endpoint = client_endpoint_default(&e);
    if (expected == NULL)
        assert_null(endpoint);
    else
        assert_string_equal(endpoint, expected);
    free(endpoint);
}

static void of_the_clusters_in_the_working_directory_the_one_that_is_up_is_taken(void **state)
{
    (void)state;
    static const char *const dirs[] = {".quickstart", ".quickstart/n1", "clusterd-dev",
                                       "clusterd-dev/n1", "clusterd-dev/n1/data"};
    static const char first[] = ".quickstart/n1/clusterd.sock";
    static const char second[] = "clusterd-dev/n1/data/clusterd.sock";
    char dir[] = "/tmp/endpoint_test.XXXXXX";
    if (access("/run/clusterd/clusterd.sock", F_OK) == 0)
        skip();
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", dir, 1), 0);
    assert_int_equal(unsetenv("CLUSTERSH_ENDPOINT"), 0);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        assert_int_equal(mkdir(dirs[i], 0700), 0);
    int fd = listen_on(second);
    expect_default("unix:clusterd-dev/n1/data/clusterd.sock");
    make_socket(first);
    expect_default("unix:clusterd-dev/n1/data/clusterd.sock");
    (void)close(fd);
    expect_default("unix:.quickstart/n1/clusterd.sock");
    if (geteuid() == 0) { /* another user's are left alone */
        assert_int_equal(lchown(first, 12345, 12345), 0);
        expect_default("unix:clusterd-dev/n1/data/clusterd.sock");
        assert_int_equal(lchown(second, 12345, 12345), 0);
        expect_default(NULL);
    }
    (void)unlink(first);
    (void)unlink(second);
    for (size_t i = sizeof dirs / sizeof dirs[0]; i-- > 0;)
        assert_int_equal(rmdir(dirs[i]), 0);
    (void)rmdir(dir);
}

static void a_token_comes_from_its_file_or_from_beside_the_socket(void **state)
{
    (void)state;
    char dir[] = "/tmp/token_test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(unsetenv("CLUSTERSH_TOKEN"), 0);
    assert_int_equal(unsetenv("CLUSTERSH_TOKEN_FILE"), 0);
    char *path = mem_printf("%s/api.token", dir);
    char *socket_text = mem_printf("unix:%s/clusterd.sock", dir);
    struct client_endpoint endpoint;
    assert_int_equal(client_endpoint_parse(socket_text, &endpoint, NULL), 0);
    char *token = NULL;
    assert_int_equal(client_token_find(NULL, NULL, &endpoint, 1, &token, NULL), 0);
    assert_null(token);
    assert_true(client_token_find(NULL, path, &endpoint, 1, &token, NULL) < 0);

    FILE *file = fopen(path, "we");
    (void)fputs("abc123\n", file);
    (void)fclose(file);
    assert_int_equal(client_token_find(NULL, NULL, &endpoint, 1, &token, NULL), 0);
    assert_string_equal(token, "abc123");
    free(token);
    assert_int_equal(client_token_find("given", path, &endpoint, 1, &token, NULL), 0);
    assert_string_equal(token, "given");
    free(token);

    file = fopen(path, "we");
    (void)fputs("a\r\nHost: evil\n", file);
    (void)fclose(file);
    token = NULL;
    assert_int_equal(client_token_find(NULL, path, &endpoint, 1, &token, NULL), ERR_INVALID);
    assert_null(token);
    (void)unlink(path);
    (void)rmdir(dir);
    free(path);
    free(socket_text);
}

static void what_goes_into_a_path_is_escaped(void **state)
{
    (void)state;
    struct client_path p;
    assert_string_equal(client_path(&p, "kv", "a/b c%\xc3\xa9", NULL),
                        "/api/kv/a%2Fb%20c%25%C3%A9");
    assert_string_equal(client_path_param(&p, "if", NULL), "/api/kv/a%2Fb%20c%25%C3%A9");
    (void)client_path_param(&p, "x", "1&2");
    assert_string_equal(client_path_param_u64(&p, "y", 3),
                        "/api/kv/a%2Fb%20c%25%C3%A9?x=1%262&y=3");
    assert_false(p.cut);
    char *longer = mem_zalloc(CLIENT_PATH_MAX + 1);
    memset(longer, 'a', CLIENT_PATH_MAX);
    (void)client_path(&p, longer, NULL);
    assert_true(p.cut);
    free(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_endpoint_is_understood),
        cmocka_unit_test(a_wrong_endpoint_is_refused_with_its_text),
        cmocka_unit_test(the_default_is_the_environment_then_the_sockets_in_order),
        cmocka_unit_test(of_the_clusters_in_the_working_directory_the_one_that_is_up_is_taken),
        cmocka_unit_test(a_token_comes_from_its_file_or_from_beside_the_socket),
        cmocka_unit_test(what_goes_into_a_path_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
