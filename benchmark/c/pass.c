/*
 * pass read-write|sendfile HOST
 *
 * The loop of a contender, over one non-blocking connection. Says {"port":N}, then for each line `file bytes passBytes`
 * sends so much and says what it took, once the reader has confirmed the last byte by one of its own.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long waits;

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Returns once the socket takes bytes again; any error but a full socket ends the program. */
static void wait_writable(int out, const char *what)
{
    struct pollfd one = { .fd = out, .events = POLLOUT };
    if (errno != EAGAIN) fail(what);
    waits++;
    poll(&one, 1, -1);
}

static void pass_read_write(int out, int file, off_t offset, size_t length)
{
    static char *buffer;
    if (buffer == NULL) buffer = malloc(length);
    if (pread(file, buffer, length, offset) != (ssize_t)length) fail("pread");
    for (size_t sent = 0; sent < length;) {
        ssize_t n = write(out, buffer + sent, length - sent);
        if (n >= 0) sent += n;
        else wait_writable(out, "write");
    }
}

static void pass_sendfile(int out, int file, off_t offset, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = sendfile(out, file, &offset, length - sent);
        if (n >= 0) sent += n;
        else wait_writable(out, "sendfile");
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    char file[4096], answer;
    size_t bytes, pass_bytes;

    if (argc != 3) return 2;
    void (*pass)(int, int, off_t, size_t) = strcmp(argv[1], "sendfile") == 0 ? pass_sendfile : pass_read_write;
    inet_pton(AF_INET, argv[2], &address.sin_addr);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0) fail("bind");
    if (listen(listener, 1) != 0) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    int out = accept(listener, NULL, NULL);
    if (out < 0) fail("accept");
    fcntl(out, F_SETFL, O_NONBLOCK);

    while (scanf("%4095s %zu %zu", file, &bytes, &pass_bytes) == 3) {
        struct stat stat;
        int fd = open(file, O_RDONLY);
        if (fd < 0 || fstat(fd, &stat) != 0) fail(file);
        waits = 0;
        double cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        for (size_t at = 0; at < bytes; at += pass_bytes) pass(out, fd, at % stat.st_size, pass_bytes);
        struct pollfd one = { .fd = out, .events = POLLIN };
        poll(&one, 1, -1);
        if (read(out, &answer, 1) != 1) fail("the reader's answer");
        wall = now(CLOCK_MONOTONIC) - wall;
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        close(fd);
        printf("{\"cpuUs\":%f,\"wallUs\":%f,\"waits\":%ld}\n", cpu, wall, waits);
        fflush(stdout);
    }
    return 0;
}
