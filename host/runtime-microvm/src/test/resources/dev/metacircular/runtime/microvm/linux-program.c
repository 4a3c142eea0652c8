// A Linux program for tests of kernels that run such: one process, one thread.
// usage: linux-program serve PORT | ask NAME PORT | exit STATUS | show
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

static void leave(int signal) {
  static const char text[] = "asked to end\n";
  (void)signal;
  (void)!write(1, text, sizeof text - 1);
  _exit(7);
}

static int serve(const char *port) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *found;
  int one = 1, listener;
  struct sigaction end = {.sa_handler = leave};
  sigaction(SIGTERM, &end, NULL);
  if (getaddrinfo(NULL, port, &hints, &found) != 0) return 1;
  listener = socket(found->ai_family, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, found->ai_addr, found->ai_addrlen) != 0 || listen(listener, 16) != 0) return 2;
  printf("serves %s\n", port);
  for (;;) {
    static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nfrom a guest";
    char request[1024] = "";
    size_t length = 0;
    ssize_t more = 1;
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) return 3;
    // What is left unread at the end would reset the connection.
    while (more > 0 && !strstr(request, "\r\n\r\n") && length < sizeof request - 1) {
      more = read(connection, request + length, sizeof request - 1 - length);
      if (more > 0) length += (size_t)more;
    }
    if (more > 0) (void)!write(connection, answer, sizeof answer - 1);
    close(connection);
  }
}

static int ask(const char *name, const char *port) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
  for (int i = 0; i < 60; i++) {
    struct addrinfo *found;
    int fault = getaddrinfo(name, port, &hints, &found);
    if (fault != 0) {
      printf("%s: %s\n", name, gai_strerror(fault));
    } else {
      static const char request[] = "GET / HTTP/1.0\r\n\r\n";
      char answer[256];
      int connection = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(connection, found->ai_addr, found->ai_addrlen) == 0 && write(connection, request, sizeof request - 1) > 0) {
        ssize_t length = read(connection, answer, sizeof answer - 1);
        if (length > 0) {
          answer[strcspn(answer, "\r\n")] = 0;
          printf("%s answers %s\n", name, answer);
          return 0;
        }
      }
      printf("%s: %s\n", name, strerror(errno));
      close(connection);
      freeaddrinfo(found);
    }
    sleep(1);
  }
  return 1;
}

static int show(int count, char **arguments) {
  char folder[256], line[128];
  FILE *file = fopen("/etc/told", "r");
  for (int i = 0; i < count; i++) printf("argument %s\n", arguments[i]);
  for (char **variable = environ; *variable; variable++) printf("variable %s\n", *variable);
  printf("folder %s\n", getcwd(folder, sizeof folder) ? folder : "?");
  if (file && fgets(line, sizeof line, file)) printf("file %s\n", line);
  file = fopen("/tmp/written", "r");
  printf("written before %s\n", file ? "yes" : "no");
  file = fopen("/tmp/written", "w");
  printf("writes %s\n", file && fputs("x", file) >= 0 && fclose(file) == 0 ? "yes" : "no");
  return 0;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count == 3 && strcmp(arguments[1], "serve") == 0) return serve(arguments[2]);
  if (count == 4 && strcmp(arguments[1], "ask") == 0) return ask(arguments[2], arguments[3]);
  if (count == 3 && strcmp(arguments[1], "exit") == 0) return atoi(arguments[2]);
  return show(count, arguments);
}
