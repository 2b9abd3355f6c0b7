/* For each line `file bytes calls`, so many calls of sendfile(2) into /dev/null, and what they took. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void)
{
    char file[4096];
    size_t bytes;
    long count;
    int sink = open("/dev/null", O_WRONLY);

    puts("{}");
    fflush(stdout);
    while (scanf("%4095s %zu %ld", file, &bytes, &count) == 3) {
        int fd = open(file, O_RDONLY);
        double cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        for (long i = 0; i < count; i++) {
            off_t offset = 0;
            if (sendfile(sink, fd, &offset, bytes) != (ssize_t)bytes) {
                perror("a call sent less");
                return 1;
            }
        }
        wall = now(CLOCK_MONOTONIC) - wall;
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        close(fd);
        printf("{\"cpuNs\":%f,\"wallNs\":%f}\n", cpu / count, wall / count);
        fflush(stdout);
    }
    return 0;
}
