/* Loads the HTTP server of bench/net over Linux's own stack, one request at a time on each connection:
 *
 *   net-load ADDRESS PORT requests CONNECTIONS SECONDS IDLE PID "requests N rate N p50 N p99 N guest N qemu N": a second, and microseconds;
 *                                                               the last two are processor time for a request, of the threads of QEMU's process PID
 *   net-load ADDRESS PORT from|to BYTES                         "bytes N rate N": KiB a second
 *
 * Connections are opened one after the other, each with a request, for QEMU's user-mode network holds one alone that it has not seen.
 * IDLE more are opened so and stay. Exit status 1 with the reason where an answer is wrong, or none comes within 30 s. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { connections_max = 4096, samples_max = 4 << 20, patience_s = 30, block_bytes = 65536 };

static const char request[] = "GET /the-same-path-for-all HTTP/1.1\r\nHost: guest\r\n\r\n";
static const char body[] = "/the-same-path-for-all";

static struct connection {
    int socket;
    uint64_t asked_ns;
    size_t got;
    char answer[512];
} connections[connections_max];
static uint32_t *samples_us;
static struct sockaddr_in server;
static char block[block_bytes];

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "net-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int dial(void)
{
    int connection = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct timeval patience = { .tv_sec = patience_s };
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) fail("connect");
    return connection;
}

static void ask(struct connection *of)
{
    of->got = 0;
    of->asked_ns = now_ns();
    if (send(of->socket, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1) fail("send");
}

/* Takes what has come of the answer; whether it is whole. */
static int answered(struct connection *of)
{
    errno = 0;
    ssize_t got = recv(of->socket, of->answer + of->got, sizeof of->answer - 1 - of->got, 0);
    if (got <= 0) fail("an answer");
    of->got += (size_t)got;
    of->answer[of->got] = 0;
    char *head = strstr(of->answer, "\r\n\r\n");
    if (head == NULL || strlen(head + 4) < sizeof body - 1) return 0;
    errno = EPROTO;
    if (strncmp(of->answer, "HTTP/1.1 200 ", 13) != 0 || strcmp(head + 4, body) != 0) fail("what was answered");
    return 1;
}

/* Processor time in clock ticks of a process's threads: [0] of those that run the guest, "CPU 0/TCG", [1] of the others. */
static void processor_ticks(const char *pid, unsigned long ticks[2])
{
    char path[600], line[1024];
    ticks[0] = ticks[1] = 0;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL) fail(path);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        unsigned long user, system;
        snprintf(path, sizeof path, "/proc/%s/task/%s/stat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file == NULL) continue;
        char *name = fgets(line, sizeof line, file) ? strchr(line, '(') : NULL, *rest = name ? strrchr(line, ')') : NULL;
        fclose(file);
        if (rest == NULL || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) continue;
        ticks[strncmp(name, "(CPU ", 5) != 0] += user + system;
    }
    closedir(tasks);
}

static int ascending(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void requests(int active, int idle, int seconds, const char *pid)
{
    int set = epoll_create1(0);
    if (active < 1 || idle < 0 || active + idle > connections_max) fail("too many connections");
    samples_us = malloc(samples_max * sizeof *samples_us);
    for (int i = 0; i < idle + active; i++) {
        connections[i].socket = dial();
        ask(&connections[i]);
        while (!answered(&connections[i])) {}
    }
    struct connection *first = connections + idle;
    for (int i = 0; i < active; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = first + i };
        if (epoll_ctl(set, EPOLL_CTL_ADD, first[i].socket, &event) != 0) fail("epoll_ctl");
    }
    unsigned long before[2], after[2];
    processor_ticks(pid, before);
    uint64_t start_ns = now_ns(), end_ns = start_ns + (uint64_t)seconds * 1000000000;
    size_t count = 0;
    for (int i = 0; i < active; i++) ask(first + i);
    int asking = active;
    while (asking > 0) {
        struct epoll_event events[256];
        int ready = epoll_wait(set, events, 256, patience_s * 1000);
        errno = ETIMEDOUT;
        if (ready <= 0) fail("no answer");
        for (int i = 0; i < ready; i++) {
            struct connection *of = events[i].data.ptr;
            if (!answered(of)) continue;
            uint64_t at_ns = now_ns();
            if (count < samples_max && at_ns < end_ns) samples_us[count++] = (uint32_t)((at_ns - of->asked_ns) / 1000);
            if (at_ns < end_ns) ask(of);
            else asking--;
        }
    }
    processor_ticks(pid, after);
    if (count == 0) fail("no request in the time");
    double tick_us = 1e6 / (double)sysconf(_SC_CLK_TCK) / (double)count;
    qsort(samples_us, count, sizeof *samples_us, ascending);
    printf("requests %zu rate %.0f p50 %u p99 %u guest %.1f qemu %.1f\n", count, (double)count / seconds, samples_us[count / 2], samples_us[count * 99 / 100],
           (double)(after[0] - before[0]) * tick_us, (double)(after[1] - before[1]) * tick_us);
}

static void report(uint64_t bytes, uint64_t start_ns)
{
    printf("bytes %lu rate %.0f\n", (unsigned long)bytes, (double)bytes / 1024 / ((double)(now_ns() - start_ns) / 1e9));
}

static void bulk(int from, uint64_t bytes)
{
    int connection = dial();
    char head[512];
    uint64_t start_ns = now_ns(), done = 0;
    if (from) {
        int length = snprintf(head, sizeof head, "GET /bytes/%lu HTTP/1.1\r\nHost: guest\r\n\r\n", (unsigned long)bytes);
        if (send(connection, head, (size_t)length, MSG_NOSIGNAL) != length) fail("send");
        int ends = 0;
        uint64_t head_bytes = 0;
        while (ends < 4) {
            char byte;
            errno = 0;
            if (recv(connection, &byte, 1, 0) != 1 || ++head_bytes > sizeof head) fail("the head");
            ends = byte == "\r\n\r\n"[ends] ? ends + 1 : byte == '\r';
        }
        while (done < bytes) {
            errno = 0;
            ssize_t got = recv(connection, block, sizeof block, 0);
            if (got <= 0) fail("the body");
            done += (uint64_t)got;
        }
    } else {
        int length = snprintf(head, sizeof head, "PUT / HTTP/1.1\r\nHost: guest\r\nContent-Length: %lu\r\n\r\n", (unsigned long)bytes);
        if (send(connection, head, (size_t)length, MSG_NOSIGNAL) != length) fail("send");
        while (done < bytes) {
            ssize_t sent = send(connection, block, bytes - done < sizeof block ? bytes - done : sizeof block, MSG_NOSIGNAL);
            if (sent <= 0) fail("the body");
            done += (uint64_t)sent;
        }
        size_t got = 0;
        while (got == 0 || head[got - 1] != '\n' || strstr(head, "\r\n\r\n") == NULL || head[got - 2] == '\r') {
            errno = 0;
            ssize_t part = recv(connection, head + got, sizeof head - 1 - got, 0);
            if (part <= 0) fail("the answer");
            got += (size_t)part;
            head[got] = 0;
        }
        errno = EPROTO;
        if (strtoull(strstr(head, "\r\n\r\n") + 4, NULL, 10) != bytes) fail("the length that was counted");
    }
    report(bytes, start_ns);
}

int main(int count, char **arguments)
{
    if (count == 8 && strcmp(arguments[3], "requests") == 0) {
    } else if (count == 5 && (strcmp(arguments[3], "from") == 0 || strcmp(arguments[3], "to") == 0)) {
    } else {
        fprintf(stderr, "usage: net-load ADDRESS PORT requests CONNECTIONS SECONDS IDLE PID | from BYTES | to BYTES\n");
        return 2;
    }
    struct rlimit files = { 8192, 8192 };
    setrlimit(RLIMIT_NOFILE, &files);
    server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])) };
    if (inet_pton(AF_INET, arguments[1], &server.sin_addr) != 1) fail("ADDRESS");
    if (count == 5) bulk(arguments[3][0] == 'f', strtoull(arguments[4], NULL, 10));
    else requests(atoi(arguments[4]), atoi(arguments[6]), atoi(arguments[5]), arguments[7]);
    return 0;
}
