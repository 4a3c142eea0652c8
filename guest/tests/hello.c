/* The smallest native workload: what `ukernel init --lang c` begins with, and what the boot tests start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    printf("hello from %s (%d arguments)\n", argc > 0 ? argv[0] : "?", argc);
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    const char *status = getenv("STATUS");
    return status != NULL && strlen(status) > 0 ? atoi(status) : 0;
}
