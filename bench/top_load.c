/* A simulated cluster for clustertop to look at, until it is ended.
 *
 * usage: top_load [-n NODES] [-j JOBS] [-r EVENTS_PER_SECOND] [-H] SOCKET
 *
 * Prints "ready: unix:SOCKET". -H: names and texts are hostile. Vitals come each second. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/fake_top.h"

int main(int argc, char **argv)
{
    struct fake_top_options options = {.nodes = 10, .jobs = 30, .with_vitals = true, .seed = 1};
    sigset_t ends;
    int option, number;
    while ((option = getopt(argc, argv, "n:j:r:H")) != -1) {
        if (option == 'n')
            options.nodes = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'j')
            options.jobs = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            options.rate = strtod(optarg, NULL);
        else if (option == 'H')
            options.is_hostile = true;
        else
            return EXIT_FAILURE;
    }
    if (optind + 1 != argc || options.nodes == 0) {
        fprintf(stderr, "usage: top_load [-n NODES] [-j JOBS] [-r EVENTS] [-H] SOCKET\n");
        return EXIT_FAILURE;
    }
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    options.socket_path = argv[optind];
    struct fake_top *top = fake_top_new(&options);
    printf("ready: %s\n", fake_top_endpoint(top));
    (void)fflush(stdout);
    (void)sigwait(&ends, &number);
    fake_top_free(top);
    return EXIT_SUCCESS;
}
