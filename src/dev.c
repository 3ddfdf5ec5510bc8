/* Happy path: each node's configuration file is made at the first start (with its ports: base plus
 * 10 for each node, or free ones when the base is 0) and used again later. One node runs in this
 * process. Several run as children, `clusterd run --config DIR/nI/clusterd.yaml`; their own ready
 * lines are gathered into one. A child that dies is started again, unless it dies again and again.
 */
#include "dev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "config.h"
#include "daemon.h"

enum {
    DEV_PORT_STEP = 10,
    DEV_PORT_FREE_MIN = 10000, /* where free ports are looked for, and how many there are */
    DEV_PORT_FREE_N = 20000,
    DEV_PORT_TRIES_MAX = 1000,
    DEV_PORTS_MAX = 3 * DEV_NODES_MAX, /* of peers, the API and the data plane */
    DEV_RESTARTS_MAX = 5,              /* within DEV_RESTART_SPAN_MS */
    DEV_RESTART_SPAN_MS = 30000,
    DEV_LINE_MAX = 4096,
    DEV_LOG_TAIL_BYTES = 8192,
};

struct dev_node {
    char name[16];
    char *dir;
    char *config_path;
    struct config config;
    pid_t pid;    /* 0: not running */
    int ready_fd; /* reading end of its standard output, -1: closed */
    char line[DEV_LINE_MAX];
    size_t line_len;
    char *endpoints; /* once it is ready */
    int64_t started_ms[DEV_RESTARTS_MAX];
    unsigned starts;
};

struct dev {
    const struct dev_options *options;
    struct dev_node nodes[DEV_NODES_MAX];
    unsigned n;
    uint32_t port_next; /* where the search for a free port goes on */
    int held[DEV_PORTS_MAX];
    unsigned held_n;
    bool announced;
    bool stopping;
    int status;
};

/* ---- configuration --------------------------------------------------------------------------- */

static int dev_apply_settings(const struct dev_options *options, struct config *config,
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

/* Takes a port of loopback that nobody has, until this process ends: the socket is bound, never
 * listens, and lets those that ask for SO_REUSEADDR bind too, as listeners of nodes do. So the port
 * stays its node's while that is down, and another search passes it over. Returns the socket. */
static int dev_hold_port(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* A free port below those that the kernel gives to outgoing connections, held from now on. The
 * search starts anywhere and goes upwards. */
static int dev_free_port(struct dev *dev, uint16_t *port)
{
    assert(dev->held_n < DEV_PORTS_MAX);
    if (dev->port_next == 0)
        random_bytes(&dev->port_next, sizeof dev->port_next);
    int fd = -EADDRINUSE;
    for (unsigned i = 0; fd == -EADDRINUSE && i < DEV_PORT_TRIES_MAX; i++) {
        *port = (uint16_t)(DEV_PORT_FREE_MIN + dev->port_next++ % DEV_PORT_FREE_N);
        fd = dev_hold_port(*port);
    }
    if (fd < 0)
        return fd;
    dev->held[dev->held_n++] = fd;
    return 0;
}

/* "HOST:PORT" of node `i`: the base's port plus a step for each node, or a free one for 0. */
static int dev_place(struct dev *dev, char **address, unsigned i, struct error *e)
{
    char *colon = strrchr(*address, ':');
    uint64_t base = 0;
    if (colon == NULL || str_parse_u64(colon + 1, 0, UINT16_MAX, &base) < 0)
        return 0; /* "none" */
    uint16_t port = (uint16_t)(base + (uint64_t)i * DEV_PORT_STEP);
    if (base == 0) {
        int err = dev_free_port(dev, &port);
        if (err < 0)
            return error_set(e, err, "no free port: %s", err_text(err));
    }
    char *placed = mem_printf("%.*s:%u", (int)(colon - *address), *address, port);
    free(*address);
    *address = placed;
    return 0;
}

static int dev_write_config(const struct dev_node *node, struct error *e)
{
    int fd = open(node->config_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        return error_set(e, -errno, "%s: %s", node->config_path, err_text(-errno));
    config_print(&node->config, file, true);
    return fclose(file) == 0 ? 0 : error_set(e, -errno, "%s: cannot be written", node->config_path);
}

static int dev_make_config(struct dev *dev, unsigned i, const char *root, const char *token,
                           struct error *e)
{
    struct dev_node *node = &dev->nodes[i];
    struct config *config = &node->config;
    char *data = mem_printf("%s/data", node->dir);
    char *log = mem_printf("%s/clusterd.log", node->dir);
    char *token_file = mem_printf("%s/api.token", root);
    char *real = realpath(root, NULL);
    char *store = mem_printf("file:%s/lake", real != NULL ? real : root);
    char priority[16];
    (void)snprintf(priority, sizeof priority, "%u", i + 1);
    int err = config_set(config, "node.name", node->name, e);
    if (err == 0)
        err = config_set(config, "node.data_dir", data, e);
    if (err == 0)
        err = config_set(config, "log.path", dev->n > 1 ? log : "", e);
    if (err == 0)
        err = config_set(config, "cluster.join_token", token, e);
    if (err == 0)
        err = config_set(config, "api.token_file", token_file, e);
    if (err == 0)
        err = config_set(config, "sql.store", store, e);
    if (err == 0)
        err = i == 0 ? config_set(config, "cluster.bootstrap", "true", e)
                     : config_set(config, "cluster.join", dev->nodes[0].config.peer.listen, e);
    if (err == 0)
        err = config_set(config, "chat.node_id", priority, e);
    if (err == 0)
        err = dev_apply_settings(dev->options, config, e);
    if (err == 0)
        err = dev_place(dev, &config->peer.listen, i, e);
    if (err == 0)
        err = dev_place(dev, &config->api.listen, i, e);
    if (err == 0)
        err = dev_place(dev, &config->data.listen, i, e);
    free(data);
    free(log);
    free(token_file);
    free(real);
    free(store);
    return err < 0 ? err : dev_write_config(node, e);
}

static int dev_make_dir(const char *path, struct error *e)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? 0
               : error_set(e, -errno, "%s: %s", path, err_text(-errno));
}

static int dev_prepare_node(struct dev *dev, unsigned i, const char *root, const char *token,
                            struct error *e)
{
    struct dev_node *node = &dev->nodes[i];
    node->ready_fd = -1;
    (void)snprintf(node->name, sizeof node->name, "n%u", i + 1);
    node->dir = mem_printf("%s/%s", root, node->name);
    node->config_path = mem_printf("%s/clusterd.yaml", node->dir);
    config_init(&node->config);
    int err = dev_make_dir(node->dir, e);
    if (err < 0)
        return err;
    if (access(node->config_path, F_OK) != 0)
        return dev_make_config(dev, i, root, token, e);
    err = config_load(&node->config, node->config_path, e);
    return err < 0 ? err : dev_apply_settings(dev->options, &node->config, e);
}

static int dev_prepare(struct dev *dev, struct error *e)
{
    struct uuid id;
    char token[UUID_TEXT_MAX];
    uuid_generate(&id);
    (void)uuid_format(&id, token);
    int err = dev_make_dir(dev->options->data_dir, e);
    char *root = err == 0 ? realpath(dev->options->data_dir, NULL) : NULL;
    if (err == 0 && root == NULL)
        err = error_set(e, -errno, "%s: %s", dev->options->data_dir, err_text(-errno));
    for (unsigned i = 0; err == 0 && i < dev->n; i++)
        err = dev_prepare_node(dev, i, root, token, e);
    free(root);
    return err;
}

/* ---- children -------------------------------------------------------------------------------- */

static void dev_exec_child(const struct dev *dev, const struct dev_node *node, int out)
{
    const char *argv[8 + 2 * CONFIG_LIST_MAX] = {"clusterd", "run", "--announce", "--config",
                                                 node->config_path};
    unsigned n = 5;
    for (unsigned i = 0; i < dev->options->settings_n; i++) {
        if (strstr(dev->options->settings[i], ".listen=") != NULL)
            continue; /* decided once, stands in the file */
        argv[n++] = "-o";
        argv[n++] = dev->options->settings[i];
    }
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)dup2(out, STDOUT_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int dev_start_node(struct dev *dev, struct dev_node *node)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    node->pid = fork();
    if (node->pid == 0)
        dev_exec_child(dev, node, fds[1]);
    close(fds[1]);
    if (node->pid < 0) {
        node->pid = 0;
        close(fds[0]);
        return -errno;
    }
    if (node->ready_fd >= 0)
        close(node->ready_fd);
    node->ready_fd = fds[0];
    node->line_len = 0;
    node->started_ms[node->starts++ % DEV_RESTARTS_MAX] = clock_mono_ms();
    return 0;
}

static void dev_announce(struct dev *dev)
{
    for (unsigned i = 0; i < dev->n; i++)
        if (dev->nodes[i].endpoints == NULL)
            return;
    if (dev->announced)
        return;
    dev->announced = true;
    printf("ready:");
    for (unsigned i = 0; i < dev->n; i++)
        printf(" %s", dev->nodes[i].endpoints);
    printf("\n");
    (void)fflush(stdout);
}

static void dev_take_line(struct dev *dev, struct dev_node *node)
{
    node->line[node->line_len] = '\0';
    node->line[strcspn(node->line, "\n")] = '\0';
    if (str_starts_with(node->line, "ready: ") && node->endpoints == NULL) {
        node->endpoints = mem_strdup(node->line + strlen("ready: "));
        dev_announce(dev);
    }
    node->line_len = 0;
}

static void dev_read_node(struct dev *dev, struct dev_node *node)
{
    ssize_t n =
        read(node->ready_fd, node->line + node->line_len, DEV_LINE_MAX - 1 - node->line_len);
    if (n <= 0) {
        close(node->ready_fd);
        node->ready_fd = -1;
        return;
    }
    node->line_len += (size_t)n;
    if (memchr(node->line, '\n', node->line_len) != NULL || node->line_len == DEV_LINE_MAX - 1)
        dev_take_line(dev, node);
}

static void dev_stop(struct dev *dev, int status)
{
    if (!dev->stopping)
        dev->status = status;
    dev->stopping = true;
    for (unsigned i = 0; i < dev->n; i++)
        if (dev->nodes[i].pid > 0)
            (void)kill(dev->nodes[i].pid, SIGTERM);
}

static bool dev_restarts_too_often(const struct dev_node *node)
{
    if (node->starts < DEV_RESTARTS_MAX)
        return false;
    int64_t oldest = node->started_ms[node->starts % DEV_RESTARTS_MAX];
    return clock_mono_ms() - oldest < DEV_RESTART_SPAN_MS;
}

/* The text of the last error in the log of a node, malloc'ed; NULL when there is none. */
static char *dev_last_error(const struct dev_node *node)
{
    FILE *file = fopen(node->config.log.path, "re");
    if (file == NULL)
        return NULL;
    (void)fseek(file, -(long)DEV_LOG_TAIL_BYTES, SEEK_END); /* a shorter file: from its start */
    char line[DEV_LINE_MAX];
    char *text = NULL;
    while (fgets(line, sizeof line, file) != NULL) {
        json_t *record = json_loads(line, 0, NULL);
        const char *level = json_string_value(json_object_get(record, "level"));
        if (level != NULL && strcmp(level, "error") == 0) {
            free(text);
            text = mem_strdup(json_string_value(json_object_get(record, "text")));
        }
        json_decref(record);
    }
    (void)fclose(file);
    return text;
}

static void dev_node_ended(struct dev *dev, struct dev_node *node, int status)
{
    node->pid = 0;
    if (dev->stopping)
        return;
    char *why = WIFEXITED(status) ? dev_last_error(node) : NULL;
    fprintf(stderr, "clusterd: %s ended (%s %d)%s%s, its log is %s\n", node->name,
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), why != NULL ? ": " : "",
            why != NULL ? why : "", node->config.log.path);
    free(why);
    if (!dev->options->restart)
        return;
    bool never_served = node->endpoints == NULL && WIFEXITED(status);
    if (never_served || dev_restarts_too_often(node)) {
        fprintf(stderr, "clusterd: %s %s: stopping\n", node->name,
                never_served ? "cannot start" : "keeps ending");
        dev_stop(dev, 1);
    } else {
        (void)dev_start_node(dev, node);
    }
}

static void dev_reap(struct dev *dev)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < dev->n; i++)
            if (dev->nodes[i].pid == pid)
                dev_node_ended(dev, &dev->nodes[i], status);
}

static bool dev_any_running(const struct dev *dev)
{
    for (unsigned i = 0; i < dev->n; i++)
        if (dev->nodes[i].pid > 0)
            return true;
    return false;
}

static void dev_on_signal(struct dev *dev, int signal_fd)
{
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            dev_reap(dev);
        else
            dev_stop(dev, 0);
    }
}

static void dev_supervise(struct dev *dev, int signal_fd)
{
    while (dev_any_running(dev) || (!dev->stopping && !dev->options->restart)) {
        struct pollfd fds[DEV_NODES_MAX + 1];
        for (unsigned i = 0; i < dev->n; i++)
            fds[i] = (struct pollfd){.fd = dev->nodes[i].ready_fd, .events = POLLIN};
        fds[dev->n] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        if (poll(fds, dev->n + 1, -1) < 0 && errno != EINTR)
            break;
        for (unsigned i = 0; i < dev->n; i++)
            if (fds[i].revents != 0)
                dev_read_node(dev, &dev->nodes[i]);
        if (fds[dev->n].revents != 0)
            dev_on_signal(dev, signal_fd);
    }
}

static int dev_run_children(struct dev *dev)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    for (unsigned i = 0; i < dev->n; i++)
        if (dev_start_node(dev, &dev->nodes[i]) < 0) {
            fprintf(stderr, "clusterd: cannot start %s: %s\n", dev->nodes[i].name, strerror(errno));
            dev_stop(dev, 1);
        }
    dev_supervise(dev, signal_fd);
    close(signal_fd);
    return dev->status;
}

static void dev_free(struct dev *dev)
{
    for (unsigned i = 0; i < dev->held_n; i++)
        close(dev->held[i]);
    for (unsigned i = 0; i < dev->n; i++) {
        struct dev_node *node = &dev->nodes[i];
        if (node->ready_fd >= 0)
            close(node->ready_fd);
        config_done(&node->config);
        free(node->dir);
        free(node->config_path);
        free(node->endpoints);
    }
    free(dev);
}

int dev_run(const struct dev_options *options)
{
    struct error e = {0};
    struct dev *dev = mem_zalloc(sizeof *dev);
    dev->options = options;
    dev->n = options->nodes;
    for (unsigned i = 0; i < dev->n; i++)
        dev->nodes[i].ready_fd = -1;
    int status = 1;
    int err = dev_prepare(dev, &e);
    for (unsigned i = 0; err == 0 && i < dev->n; i++) {
        err = config_settle(&dev->nodes[i].config, &e);
        if (err == 0)
            err = config_check(&dev->nodes[i].config, &e);
    }
    if (err < 0) {
        fprintf(stderr, "clusterd: %s\n", e.text);
    } else if (dev->n == 1) {
        struct daemon_options daemon_options = {.announce = true};
        status = daemon_run(&dev->nodes[0].config, &daemon_options);
    } else {
        status = dev_run_children(dev);
    }
    dev_free(dev);
    return status;
}
