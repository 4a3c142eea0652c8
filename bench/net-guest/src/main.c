/* The HTTP server of bench/net, one source for our kernel and for Linux; one task, a standing poll set.
 *
 *   GET /PATH     the path comes back as the body
 *   GET /bytes/N  N bytes
 *   PUT /         takes the body in and answers its length */
#include "sockets.h"

enum { connections_max = 4096, head_max = 1024, path_max = 512, block_bytes = 65536 };

struct connection {
    socket_t socket;
    int writing;
    size_t request_bytes, answer_from, answer_to;
    /* Left to be sent after the answer's head, and to be taken in before the answer. */
    uint64_t send_left, take_left, taken;
    char request[head_max], answer[head_max];
};

static struct connection connections[connections_max];
static uint32_t unused[connections_max], unused_count;
static char block[block_bytes];

static const char *after(const char *text, const char *end, const char *what)
{
    size_t length = strlen(what);
    for (; (size_t)(end - text) >= length; text++) {
        if (memcmp(text, what, length) == 0) return text + length;
    }
    return NULL;
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9' && value < UINT64_MAX / 100; text++) value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

static void answer(struct connection *to, uint64_t length, const char *body, size_t body_bytes)
{
    int head = snprintf(to->answer, head_max - body_bytes, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %lu\r\n\r\n", (unsigned long)length);
    memcpy(to->answer + head, body, body_bytes);
    to->answer_from = 0;
    to->answer_to = (size_t)head + body_bytes;
}

static void answer_count(struct connection *to)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%lu\n", (unsigned long)to->taken);
    answer(to, (uint64_t)length, text, (size_t)length);
}

/* Reads a whole head; 0 when it makes no sense. What follows it can only be the body. */
static int understand(struct connection *from, const char *body)
{
    const char *end = from->request + from->request_bytes;
    if (memcmp(from->request, "PUT ", 4) == 0) {
        const char *length = after(from->request, body, "Content-Length: ");
        if (length == NULL || number(length) < (uint64_t)(end - body)) return 0;
        from->taken = (uint64_t)(end - body);
        from->take_left = number(length) - from->taken;
        if (from->take_left == 0) answer_count(from);
        return 1;
    }
    if (memcmp(from->request, "GET /bytes/", 11) == 0) {
        from->send_left = number(from->request + 11);
        answer(from, from->send_left, "", 0);
        return 1;
    }
    const char *path = from->request + 4, *space = after(path, body, " ");
    if (memcmp(from->request, "GET /", 5) != 0 || space == NULL || space - path > path_max) return 0;
    size_t bytes = (size_t)(space - 1 - path);
    answer(from, bytes, path, bytes);
    return 1;
}

/* Sends what is left of an answer: -1 when the connection has ended, 0 when there is no room now, 1 when it is all sent. */
static int send_rest(struct connection *to)
{
    while (to->answer_from < to->answer_to || to->send_left > 0) {
        int head = to->answer_from < to->answer_to;
        long sent = head ? transmit(to->socket, to->answer + to->answer_from, to->answer_to - to->answer_from)
                         : transmit(to->socket, block, to->send_left < block_bytes ? to->send_left : block_bytes);
        if (sent < 0) return sent == nothing_now ? 0 : -1;
        if (head) to->answer_from += (size_t)sent;
        else to->send_left -= (uint64_t)sent;
    }
    return 1;
}

/* Takes in what has come, once: -1 when the connection has ended. */
static int take(struct connection *from)
{
    int body = from->take_left > 0;
    long got = body ? receive(from->socket, block, from->take_left < block_bytes ? from->take_left : block_bytes)
                    : receive(from->socket, from->request + from->request_bytes, head_max - from->request_bytes);
    if (got == nothing_now) return 0;
    if (got <= 0) return -1;
    if (body) {
        from->take_left -= (uint64_t)got;
        from->taken += (uint64_t)got;
        if (from->take_left == 0) answer_count(from);
        return 0;
    }
    from->request_bytes += (size_t)got;
    const char *rest = after(from->request, from->request + from->request_bytes, "\r\n\r\n");
    if (rest == NULL) return from->request_bytes == head_max ? -1 : 0;
    int good = understand(from, rest);
    from->request_bytes = 0;
    return good ? 0 : -1;
}

/* What is to be done when the socket is ready: -1 when the connection has ended. */
static int serve(struct connection *with, uint32_t user)
{
    if (!with->writing && take(with) < 0) return -1;
    int sent = send_rest(with);
    if (sent < 0) return -1;
    int writing = sent == 0;
    if (writing != with->writing) watch(with->socket, user, writing, 0);
    with->writing = writing;
    return 0;
}

static void accept_all(socket_t listener)
{
    socket_t socket;
    while (unused_count > 0 && accept_next(listener, &socket)) {
        uint32_t user = unused[--unused_count];
        struct connection *with = &connections[user];
        memset(with, 0, offsetof(struct connection, request));
        with->socket = socket;
        watch(socket, user, 0, 1);
    }
}

int main(void)
{
    start_network();
    socket_t listener = open_listener();
    watch(listener, connections_max, 0, 1);
    for (uint32_t i = 0; i < connections_max; i++) unused[i] = i;
    unused_count = connections_max;
    printf("serving\n");
    for (;;) {
        struct ready list[events_max];
        int count = wait_ready(list);
        for (int i = 0; i < count; i++) {
            uint32_t user = list[i].user;
            if (user == connections_max) {
                accept_all(listener);
            } else if (serve(&connections[user], user) < 0) {
                close_socket(connections[user].socket);
                unused[unused_count++] = user;
            }
        }
    }
}
