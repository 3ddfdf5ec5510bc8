/* From the submission of one `true` to its end, as a client sees it, one after the other.
 *
 * usage: submit_latency [-n JOBS] ENDPOINT
 *
 * ENDPOINT is unix:PATH. Each job is a POST /api/jobs and a GET /api/jobs/ID/wait on one connection
 * that is kept. Prints one JSON object: jobs, p50_ms, p99_ms, max_ms, submit_p50_ms. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { SUBMIT_JOBS_MAX = 100000, SUBMIT_ANSWER_BYTES_MAX = 65536 };

static void submit_die(const char *what, const char *why)
{
    fprintf(stderr, "submit_latency: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static int submit_connect(const char *endpoint)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strncmp(endpoint, "unix:", 5) != 0)
        submit_die(endpoint, "must be unix:PATH");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint + 5);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        submit_die(endpoint, strerror(errno));
    return fd;
}

/* Length of the answer's head, 0 while it is incomplete; its body's length in *body_len. */
static size_t submit_head(const char *answer, size_t len, size_t *body_len)
{
    const char *end = memmem(answer, len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *body_len = 0;
    for (const char *line = answer; line < end; line = strchr(line, '\n') + 1)
        if (strncasecmp(line, "content-length:", 15) == 0)
            *body_len = strtoull(line + 15, NULL, 10);
    return (size_t)(end - answer) + 4;
}

/* The body of the answer, valid until the next request. */
static const char *submit_request(int fd, const char *method, const char *path, const char *body)
{
    static char answer[SUBMIT_ANSWER_BYTES_MAX];
    size_t len = 0, head = 0, body_len = 0;
    char *request = mem_printf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                               method, path, strlen(body), body);
    if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
        submit_die(path, strerror(errno));
    free(request);
    while (head == 0 || len < head + body_len) {
        ssize_t n = read(fd, answer + len, sizeof answer - 1 - len);
        if (n <= 0)
            submit_die(path, n < 0 ? strerror(errno) : "the answer is cut short or too long");
        len += (size_t)n;
        answer[len] = '\0';
        if (head == 0)
            head = submit_head(answer, len, &body_len);
    }
    if (answer[9] != '2')
        submit_die(path, answer);
    return answer + head;
}

static void submit_once(int fd, double *submit_ms, double *done_ms)
{
    int64_t begin_us = clock_mono_us();
    const char *body = submit_request(fd, "POST", "/api/jobs", "{\"argv\":[\"true\"]}");
    *submit_ms = (double)(clock_mono_us() - begin_us) / 1000;
    json_t *job = json_loads(body, 0, NULL);
    char *path = mem_printf("/api/jobs/%s/wait", json_string_value(json_object_get(job, "id")));
    json_decref(job);
    body = submit_request(fd, "GET", path, "");
    *done_ms = (double)(clock_mono_us() - begin_us) / 1000;
    if (strstr(body, "\"completed\"") == NULL)
        submit_die(path, body);
    free(path);
}

static int submit_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    size_t jobs = 300;
    int option;
    while ((option = getopt(argc, argv, "n:")) != -1)
        jobs = option == 'n' ? strtoul(optarg, NULL, 10) : 0;
    if (argc - optind != 1 || jobs < 1 || jobs > SUBMIT_JOBS_MAX)
        submit_die("usage", "submit_latency [-n JOBS] ENDPOINT");
    double *submit_ms = mem_calloc(jobs, sizeof *submit_ms);
    double *done_ms = mem_calloc(jobs, sizeof *done_ms);
    int fd = submit_connect(argv[optind]);
    for (size_t i = 0; i < jobs; i++)
        submit_once(fd, &submit_ms[i], &done_ms[i]);
    qsort(submit_ms, jobs, sizeof *submit_ms, submit_compare);
    qsort(done_ms, jobs, sizeof *done_ms, submit_compare);
    printf(
        "{\"jobs\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f,\"submit_p50_ms\":%.2f}\n",
        jobs, done_ms[jobs / 2], done_ms[jobs * 99 / 100], done_ms[jobs - 1], submit_ms[jobs / 2]);
    close(fd);
    free(submit_ms);
    free(done_ms);
    return EXIT_SUCCESS;
}
