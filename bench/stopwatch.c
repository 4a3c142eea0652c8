/* Times a program's output to the microsecond: stopwatch SECONDS TEXT PROGRAM ARGUMENT...
 * Prints the program's output and then "stopwatch FIRST TEXT": microseconds from just before its process is made to its first byte of output, and
 * to the byte that completes the text. The program may then end by itself for 3 s. Exit status: 0; 1 when the text did not come in time; 2
 * for wrong use. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static char output[256 << 10];

int main(int argc, char **argv)
{
    int out[2];
    if (argc < 4 || pipe(out) != 0) return 2;
    const char *text = argv[2];
    long long start = microseconds(), limit = start + atoll(argv[1]) * 1000000, first = 0, found = 0;
    pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    close(out[1]);
    size_t length = 0;
    while (length < sizeof output) {
        long long now = microseconds();
        struct pollfd ready = { .fd = out[0], .events = POLLIN };
        if (now >= limit || poll(&ready, 1, (int)((limit - now) / 1000 + 1)) <= 0) break;
        ssize_t got = read(out[0], output + length, sizeof output - length);
        if (got <= 0) break;
        now = microseconds();
        if (first == 0) first = now - start;
        length += (size_t)got;
        if (found == 0 && memmem(output, length, text, strlen(text)) != NULL) {
            found = now - start;
            limit = now + 3000000;
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    fwrite(output, 1, length, stdout);
    printf("\nstopwatch %lld %lld\n", first, found);
    return found == 0;
}
