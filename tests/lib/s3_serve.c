/* The S3 of the tests as a process: prints its endpoint, serves until it is killed. */
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/s3_server.h"

int main(void)
{
    struct s3_server *server = s3_server_new();
    printf("%s\n", s3_server_endpoint(server));
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
