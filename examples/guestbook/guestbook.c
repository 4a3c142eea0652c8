/* A guestbook in two roles: `guestbook store` keeps entries in a file, `guestbook web` serves pages and asks the store, and the counter, by their names.
 * HTTP/1.0 (RFC 1945), one request at a time, each within ten seconds. */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <netinet/in.h>
#include <unistd.h>

enum { PORT = 8080, REQUEST_BYTES_MAX = 8192, ENTRY_BYTES_MAX = 280, PAGE_BYTES_MAX = 65536 };

static const char *const ENTRIES = "/entries/all";

static void limit_time(int socket) {
    struct timeval limit = {.tv_sec = 10};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* Reads until the peer closes, or, for a request, until its body is whole; returns 0 if nothing came. */
static size_t receive(int socket, char *buffer, size_t size) {
    size_t used = 0;
    for (;;) {
        ssize_t got = read(socket, buffer + used, size - 1 - used);
        if (got <= 0) break;
        used += (size_t)got;
        buffer[used] = 0;
        char *body = strstr(buffer, "\r\n\r\n");
        char *length = strcasestr(buffer, "\r\nContent-Length:");
        if (body && strncmp(buffer, "HTTP", 4) != 0) {
            size_t want = length && length < body ? strtoul(length + 17, NULL, 10) : 0;
            if ((size_t)(buffer + used - body - 4) >= want) break;
        }
        if (used == size - 1) break;
    }
    buffer[used] = 0;
    return used;
}

static void respond(int socket, const char *status, const char *headers, const char *body) {
    dprintf(socket, "HTTP/1.0 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
}

/* Asks another component; returns the body inside `answer`, or NULL if it does not answer with 200. */
static char *ask(const char *component, const char *method, const char *path, const char *body, char *answer, size_t size) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(component, "8080", &hints, &found) != 0) return NULL;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    limit_time(s);
    char *result = NULL;
    if (connect(s, found->ai_addr, found->ai_addrlen) == 0) {
        dprintf(s, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, path, strlen(body), body);
        receive(s, answer, size);
        char *end = strstr(answer, "\r\n\r\n");
        if (end && strncmp(answer, "HTTP/1.0 200", 12) == 0) result = end + 4;
    }
    close(s);
    freeaddrinfo(found);
    return result;
}

static void store(int socket, const char *request, const char *body) {
    static char page[PAGE_BYTES_MAX];
    if (strncmp(request, "POST /add ", 10) == 0) {
        FILE *file = fopen(ENTRIES, "a");
        if (!file) {
            perror(ENTRIES);
            respond(socket, "507 Insufficient Storage", "", "cannot keep it\n");
            return;
        }
        fprintf(file, "%.*s\n", ENTRY_BYTES_MAX, body);
        fclose(file);
        printf("kept an entry of %zu bytes\n", strlen(body));
        respond(socket, "200 OK", "", "kept\n");
    } else if (strncmp(request, "GET /list ", 10) == 0) {
        FILE *file = fopen(ENTRIES, "r");
        size_t used = file ? fread(page, 1, sizeof page - 1, file) : 0;
        if (file) fclose(file);
        page[used] = 0;
        respond(socket, "200 OK", "", page);
    } else {
        respond(socket, "404 Not Found", "", "not here\n");
    }
}

/* application/x-www-form-urlencoded (WHATWG URL, section 5.1), in place; what HTML or a line could trip over is left out. */
static void decode(char *text) {
    char *out = text;
    for (char *in = text; *in; in++) {
        int c = *in == '+' ? ' ' : *in;
        if (c == '%' && in[1] && in[2]) {
            char hex[3] = {in[1], in[2], 0};
            c = (int)strtol(hex, NULL, 16);
            in += 2;
        }
        if (c != '<' && c != '>' && c != '&' && c != '\n' && c != '\r' && c != 0) *out++ = (char)c;
    }
    *out = 0;
}

static void web(int socket, const char *request, char *body) {
    static char answer[PAGE_BYTES_MAX], page[PAGE_BYTES_MAX + 4096];
    if (strncmp(request, "GET /healthz ", 13) == 0) {
        bool healthy = ask("store", "GET", "/list", "", answer, sizeof answer) != NULL;
        respond(socket, healthy ? "200 OK" : "503 Service Unavailable", "", healthy ? "ok\n" : "the store does not answer\n");
    } else if (strncmp(request, "POST /sign ", 11) == 0 && strncmp(body, "entry=", 6) == 0) {
        decode(body += 6);
        char *kept = ask("store", "POST", "/add", body, answer, sizeof answer);
        respond(socket, kept ? "303 See Other" : "503 Service Unavailable", kept ? "Location: /\r\n" : "", "");
    } else if (strncmp(request, "GET / ", 6) == 0) {
        const char *greeting = getenv("GREETING");
        int used = snprintf(page, sizeof page,
            "<!doctype html><title>Guestbook</title><h1>%.200s</h1>\n"
            "<form method=post action=/sign><input name=entry maxlength=200 autofocus><button>Sign</button></form>\n<ul>\n",
            greeting ? greeting : "Guestbook");
        char *entries = ask("store", "GET", "/list", "", answer, sizeof answer), *rest = NULL;
        for (char *line = entries ? strtok_r(entries, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
            used += snprintf(page + used, sizeof page - (size_t)used, "<li>%s\n", line), used = used < (int)sizeof page ? used : (int)sizeof page - 1;
        char *count = ask("counter", "GET", "/count", "", answer, sizeof answer);
        snprintf(page + used, sizeof page - (size_t)used, "</ul>\n<p>%s\n", count ? count : "the counter does not answer");
        respond(socket, "200 OK", "Content-Type: text/html; charset=utf-8\r\n", page);
    } else {
        respond(socket, "404 Not Found", "", "not here\n");
    }
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv) {
    bool is_store = argc == 2 && strcmp(argv[1], "store") == 0;
    if (!is_store && !(argc == 2 && strcmp(argv[1], "web") == 0)) {
        fprintf(stderr, "usage: guestbook web|store\n");
        return 2;
    }
    /* Process 1 of a container gets no default signal actions. */
    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 64) != 0) {
        perror("port 8080");
        return 1;
    }
    printf("%s ready on port %d\n", argv[1], PORT);
    for (;;) {
        static char request[REQUEST_BYTES_MAX];
        int s = accept(listener, NULL, NULL);
        if (s < 0) continue;
        limit_time(s);
        char *body = receive(s, request, sizeof request) > 0 ? strstr(request, "\r\n\r\n") : NULL;
        if (body) {
            printf("%.*s\n", (int)strcspn(request, "\r"), request);
            is_store ? store(s, request, body + 4) : web(s, request, body + 4);
        }
        close(s);
    }
}
