/* An ordinary program for Linux that looks names up: linux_names NAME... says "db 10.0.0.7" or "gone failed" for each, and linux_names -c NAME PORT
 * asks there by HTTP and prints the first line of the answer. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int look_up(const char *name, const char *port, struct sockaddr_in *address) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int failure = getaddrinfo(name, port, &hints, &list);
    if (failure != 0) return failure;
    memcpy(address, list->ai_addr, sizeof *address);
    freeaddrinfo(list);
    return address->sin_family == AF_INET ? 0 : EAI_FAMILY;
}

static int ask(const char *name, const char *port) {
    struct sockaddr_in address;
    if (look_up(name, port, &address) != 0) return 1;
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        return 2;
    }
    FILE *stream = fdopen(connection, "r+");
    fprintf(stream, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", name);
    fflush(stream);
    char line[256];
    if (fgets(line, sizeof line, stream) == NULL) return 3;
    line[strcspn(line, "\r\n")] = '\0';
    printf("%s\n", line);
    return 0;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 1024);
    if (argc == 4 && strcmp(argv[1], "-c") == 0) return ask(argv[2], argv[3]);
    char host[65];
    gethostname(host, sizeof host);
    printf("host %s\n", host);
    for (int i = 1; i < argc; i++) {
        struct sockaddr_in address;
        int failure = look_up(argv[i], "80", &address);
        if (failure == 0) printf("%s %s\n", argv[i], inet_ntoa(address.sin_addr));
        else printf("%s failed\n", argv[i]);
    }
    return 0;
}
