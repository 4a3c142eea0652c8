/* Counts what the guestbook's store has: `GET /count` asks `store` by its name and answers with one line. HTTP/1.0 (RFC 1945), one request at a time,
 * each within five seconds. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uk.h>
#include <uk_net.h>
#include <uk_time.h>

enum { PORT = 8080, BACKLOG = 64, REQUEST_BYTES_MAX = 2048, LIST_BYTES_MAX = 65536 };

static const uint64_t REQUEST_TIME = 5 * UK_SECOND;

/* Receives until the peer has sent all, `end` has come or the buffer is full; the bytes, with a NUL after them. */
static size_t receive(uk_handle_t connection, char *buffer, size_t size, const char *end, uint64_t deadline)
{
    size_t used = 0, got = 0;
    while (used < size - 1 && uk_net_receive(connection, buffer + used, size - 1 - used, deadline, &got) == UK_OK && got > 0) {
        used += got;
        buffer[used] = 0;
        if (end != NULL && strstr(buffer, end) != NULL) {
            break;
        }
    }
    buffer[used] = 0;
    return used;
}

/* The entries, a line each, or NULL with `why` when the store does not give them. */
static const char *ask_store(char *answer, size_t size, uint64_t deadline, const char **why)
{
    static const char request[] = "GET /list HTTP/1.0\r\n\r\n";
    struct uk_net_address store;
    if (uk_net_resolve("store", PORT, deadline, &store) != UK_OK) {
        *why = "the name store does not resolve";
        return NULL;
    }
    uk_handle_t connection;
    if (uk_net_connect(&store, deadline, &connection) != UK_OK) {
        *why = uk_failure();
        return NULL;
    }
    char *body = NULL;
    if (uk_net_send_all(connection, request, sizeof request - 1, deadline) == UK_OK &&
        receive(connection, answer, size, NULL, deadline) > 0 && strncmp(answer, "HTTP/1.0 200", 12) == 0) {
        body = strstr(answer, "\r\n\r\n");
    }
    net_close(connection);
    *why = "it answers otherwise than with 200";
    return body != NULL ? body + 4 : NULL;
}

static void count(const char *entries, unsigned *lines, unsigned *words)
{
    bool in_word = false;
    *lines = *words = 0;
    for (const char *at = entries; *at != 0; at++) {
        bool blank = *at == ' ' || *at == '\n';
        *lines += *at == '\n';
        *words += !blank && !in_word;
        in_word = !blank;
    }
}

static void respond(uk_handle_t connection, const char *status, const char *body, uint64_t deadline)
{
    char text[512];
    int length = snprintf(text, sizeof text, "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %u\r\n\r\n%s", status,
                          (unsigned)strlen(body), body);
    uk_net_send_all(connection, text, (size_t)length, deadline);
}

static void serve(uk_handle_t connection)
{
    static char request[REQUEST_BYTES_MAX], list[LIST_BYTES_MAX];
    uint64_t deadline = uk_after(REQUEST_TIME);
    if (receive(connection, request, sizeof request, "\r\n\r\n", deadline) == 0) {
        return;
    }
    printf("%.*s\n", (int)strcspn(request, "\r"), request);
    if (strncmp(request, "GET /healthz ", 13) == 0) {
        respond(connection, "200 OK", "ok\n", deadline);
    } else if (strncmp(request, "GET /count ", 11) == 0) {
        const char *why;
        const char *entries = ask_store(list, sizeof list, deadline, &why);
        char body[256];
        if (entries != NULL) {
            unsigned lines, words;
            count(entries, &lines, &words);
            snprintf(body, sizeof body, "%u entries, %u words\n", lines, words);
        } else {
            snprintf(body, sizeof body, "the store cannot be asked: %s\n", why);
        }
        respond(connection, entries != NULL ? "200 OK" : "503 Service Unavailable", body, deadline);
    } else {
        respond(connection, "404 Not Found", "not here\n", deadline);
    }
}

int main(void)
{
    uk_handle_t listener;
    if (uk_net_listen(PORT, BACKLOG, &listener) != UK_OK) {
        printf("counter: cannot listen on port %d: %s\n", PORT, uk_failure());
        return 1;
    }
    printf("counter: ready on port %d\n", PORT);
    for (;;) {
        uk_handle_t connection;
        result_t result = uk_net_accept(listener, UK_DEADLINE_NEVER, &connection, NULL);
        if (result != UK_OK) {
            printf("counter: %s\n", uk_failure());
            return 1;
        }
        serve(connection);
        uk_net_shutdown(connection, UK_NET_SENDING);
        net_close(connection);
    }
}
