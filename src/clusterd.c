/* clusterd: the daemon's command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "clusterd_cli.h"
#include "clusterd_report.h"
#include "config.h"
#include "daemon.h"
#include "dev.h"
#include "run/executor_child.h"
#include "run/spawner.h"

enum { CLUSTERD_SETTINGS_MAX = 64 };

/* What the options of a command said. */
struct clusterd_options {
    const char *config;
    const char *data;
    unsigned nodes;
    const char *since;
    const char *socket;
    bool announce;
    bool restart;
    const char *settings[CLUSTERD_SETTINGS_MAX];
    unsigned settings_n;
    char **args;
    int args_n;
};

static int clusterd_run(const struct clusterd_options *options);
static int clusterd_dev(const struct clusterd_options *options);
static int clusterd_init(const struct clusterd_options *options);
static int clusterd_config(const struct clusterd_options *options);
static int clusterd_metrics(const struct clusterd_options *options);
static int clusterd_report(const struct clusterd_options *options);
static int clusterd_version(const struct clusterd_options *options);
static int clusterd_help(const struct clusterd_options *options);

static const struct {
    const char *name; /* as in cli_commands */
    int (*run)(const struct clusterd_options *options);
} clusterd_runs[] = {
    {"run", clusterd_run},         {"dev", clusterd_dev},         {"init", clusterd_init},
    {"config", clusterd_config},   {"metrics", clusterd_metrics}, {"report", clusterd_report},
    {"version", clusterd_version}, {"help", clusterd_help},
};

static int clusterd_usage_error(const char *text, const char *what)
{
    fprintf(stderr, "clusterd: %s%s\nTry: clusterd help\n", text, what);
    return 2;
}

static int clusterd_fail(const struct error *e)
{
    fprintf(stderr, "clusterd: %s\n", e->text);
    return 1;
}

static int clusterd_help(const struct clusterd_options *options)
{
    (void)options;
    cli_help(stdout);
    return 0;
}

static int clusterd_metrics(const struct clusterd_options *options)
{
    struct buf table;
    (void)options;
    buf_init(&table, METRIC_TEXT_MAX);
    (void)metric_write_reference(&table);
    int status = fwrite(table.data, 1, table.len, stdout) == table.len ? 0 : 1;
    buf_done(&table);
    return status;
}

static int clusterd_report(const struct clusterd_options *options)
{
    if (options->args_n != 1)
        return clusterd_usage_error("report needs one FILE", "");
    return clusterd_report_run(options->args[0], options->since, options->socket);
}

static int clusterd_version(const struct clusterd_options *options)
{
    (void)options;
    printf("clusterd %s\n", VERSION);
    return 0;
}

static int clusterd_apply(const struct clusterd_options *options, struct config *config,
                          struct error *e)
{
    for (unsigned i = 0; i < options->settings_n; i++) {
        const char *equals = strchr(options->settings[i], '=');
        if (equals == NULL)
            return error_set(e, ERR_INVALID, "-o %s: must be SECTION.KEY=VALUE",
                             options->settings[i]);
        char *key = mem_strndup(options->settings[i], (size_t)(equals - options->settings[i]));
        int err = config_set(config, key, equals + 1, e);
        free(key);
        if (err < 0)
            return err;
    }
    return 0;
}

static int clusterd_run(const struct clusterd_options *options)
{
    struct config config;
    struct error e = {0};
    if (options->config == NULL)
        return clusterd_usage_error("run needs --config FILE", "");
    config_init(&config);
    int err = config_load(&config, options->config, &e);
    if (err == 0)
        err = clusterd_apply(options, &config, &e);
    if (err == 0)
        err = config_settle(&config, &e);
    if (err == 0)
        err = config_check(&config, &e);
    struct daemon_options daemon_options = {.announce = options->announce};
    int status = err < 0 ? clusterd_fail(&e) : daemon_run(&config, &daemon_options);
    config_done(&config);
    return status;
}

static int clusterd_dev(const struct clusterd_options *options)
{
    struct dev_options dev = {
        .data_dir = options->data != NULL ? options->data : "clusterd-dev",
        .nodes = options->nodes,
        .restart = options->restart,
        .settings = options->settings,
        .settings_n = options->settings_n,
    };
    return dev_run(&dev);
}

static int clusterd_config_file(const char *verb, const char *path)
{
    struct config config;
    struct error e = {0};
    config_init(&config);
    int err = config_load(&config, path, &e);
    if (err == 0)
        err = config_settle(&config, &e);
    if (err == 0)
        err = config_check(&config, &e);
    if (err == 0 && strcmp(verb, "show") == 0)
        config_print(&config, stdout, false);
    else if (err == 0)
        printf("%s: good\n", path);
    config_done(&config);
    return err < 0 ? clusterd_fail(&e) : 0;
}

static int clusterd_config(const struct clusterd_options *options)
{
    const char *verb = options->args_n > 0 ? options->args[0] : "";
    if (strcmp(verb, "reference") == 0) {
        config_print_reference(stdout);
        return 0;
    }
    if (strcmp(verb, "check") != 0 && strcmp(verb, "show") != 0)
        return clusterd_usage_error("config needs check FILE, show FILE or reference", "");
    if (options->args_n < 2)
        return clusterd_usage_error("a FILE is missing for config ", verb);
    return clusterd_config_file(verb, options->args[1]);
}

/* Writes DIR/clusterd.yaml with everything that can be set, as it is now. */
static int clusterd_write_config(const struct config *config, const char *path, struct error *e)
{
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return error_set(e, -errno, errno == EEXIST ? "%s: exists already" : "%s: %s", path,
                         strerror(errno));
    (void)fchmod(fileno(file), 0600);
    config_print(config, file, true);
    return fclose(file) == 0 ? 0 : error_set(e, -errno, "%s: cannot be written", path);
}

static int clusterd_init(const struct clusterd_options *options)
{
    struct config config;
    struct error e = {0};
    if (options->args_n != 1)
        return clusterd_usage_error("init needs one DIR", "");
    const char *dir = options->args[0];
    config_init(&config);
    int err = mkdir(dir, 0700) < 0 && errno != EEXIST
                  ? error_set(&e, -errno, "%s: %s", dir, strerror(errno))
                  : 0;
    char *root = err == 0 ? realpath(dir, NULL) : NULL;
    char *data = mem_printf("%s/data", root != NULL ? root : dir);
    char *path = mem_printf("%s/clusterd.yaml", root != NULL ? root : dir);
    if (err == 0)
        err = config_set(&config, "node.data_dir", data, &e);
    if (err == 0)
        err = clusterd_apply(options, &config, &e);
    if (err == 0)
        err = config_settle(&config, &e);
    if (err == 0 && config.cluster.join.n == 0)
        config.cluster.bootstrap = true;
    if (err == 0)
        err = config_check(&config, &e);
    if (err == 0)
        err = clusterd_write_config(&config, path, &e);
    if (err == 0)
        printf("wrote %s\nThis node %s.\nStart it: clusterd run --config %s\n", path,
               config.cluster.bootstrap
                   ? "founds a new cluster; others join with cluster.join and the token in "
                     "data/join.token"
                   : "joins a cluster",
               path);
    free(root);
    free(data);
    free(path);
    config_done(&config);
    return err < 0 ? clusterd_fail(&e) : 0;
}

/* Takes one option; 0, or the exit status of what was wrong. */
static int clusterd_take(const struct cli_command *command, int option,
                         struct clusterd_options *options)
{
    uint64_t nodes;
    if (strchr(command->options, option) == NULL) {
        fprintf(stderr, "clusterd %s: takes no such option\nusage: clusterd %s %s\n", command->name,
                command->name, command->synopsis);
        return 2;
    }
    switch (option) {
    case 'c':
        options->config = optarg;
        break;
    case 'd':
        options->data = optarg;
        break;
    case 'n':
        if (str_parse_u64(optarg, 1, DEV_NODES_MAX, &nodes) < 0)
            return clusterd_usage_error("--nodes must be from 1 to 50, not ", optarg);
        options->nodes = (unsigned)nodes;
        break;
    case 's':
        options->since = optarg;
        break;
    case 'S':
        options->socket = optarg;
        break;
    case 'a':
        options->announce = true;
        break;
    case 'R':
        options->restart = false;
        break;
    default:
        if (options->settings_n == CLUSTERD_SETTINGS_MAX)
            return clusterd_usage_error("too many -o", "");
        options->settings[options->settings_n++] = optarg;
        break;
    }
    return 0;
}

/* getopt's form of cli_options. */
static void clusterd_getopt(struct option *long_options, char *letters)
{
    *letters++ = ':';
    for (const struct cli_option *o = cli_options; o->name != NULL; o++) {
        bool has_value = o->type != CLI_FLAG;
        *long_options++ = (struct option){o->name, has_value, NULL, o->letter};
        if (o->is_short)
            *letters++ = (char)o->letter;
        if (o->is_short && has_value)
            *letters++ = ':';
    }
    *long_options = (struct option){NULL, 0, NULL, 0};
    *letters = '\0';
}

static int clusterd_parse(const struct cli_command *command, int argc, char **argv,
                          struct clusterd_options *options)
{
    struct option long_options[CLI_OPTIONS_MAX + 1];
    char letters[2 * CLI_OPTIONS_MAX + 2];
    int option;
    opterr = 0;
    clusterd_getopt(long_options, letters);
    while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        if (option == 'h') {
            cli_help_one(command, stdout);
            exit(0);
        }
        if (option == ':')
            return clusterd_usage_error("a value is missing after ", argv[optind - 1]);
        if (option == '?')
            return clusterd_usage_error("unknown option ", argv[optind - 1]);
        int status = clusterd_take(command, option, options);
        if (status != 0)
            return status;
    }
    options->args = argv + optind;
    options->args_n = argc - optind;
    if (options->args_n > command->args_max)
        return clusterd_usage_error("one argument too many: ", options->args[command->args_max]);
    return 0;
}

static int clusterd_man(const char *page)
{
    struct buf b;
    int err = 0;
    buf_init(&b, MDOC_BYTES_MAX);
    if (strcmp(page, "list") == 0)
        cli_man_list(&b);
    else
        err = cli_man_page(page, &b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    return err == 0 ? 0 : clusterd_usage_error("there is no page ", page);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "spawner") == 0)
        return spawner_main(SPAWNER_FD);
    if (argc > 1 && strcmp(argv[1], "executor") == 0)
        return executor_main(EXECUTOR_FD);
    if (argc < 2)
        return clusterd_usage_error("a command is missing", "");
    const char *name = argv[1];
    if (strcmp(name, "--complete") == 0) {
        cli_complete((const char *const *)argv + 2, (size_t)argc - 2, stdout);
        return 0;
    }
    if (strcmp(name, "--dump-man") == 0)
        return clusterd_man(argc > 2 ? argv[2] : "list");
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    struct clusterd_options options = {.nodes = 1, .restart = true};
    for (unsigned i = 0; i < MEM_COUNT(clusterd_runs); i++)
        if (strcmp(clusterd_runs[i].name, name) == 0) {
            int status = clusterd_parse(cli_find(name), argc - 1, argv + 1, &options);
            return status != 0 ? status : clusterd_runs[i].run(&options);
        }
    return clusterd_usage_error("unknown command ", name);
}
