#include <stdio.h>
#include <ukernel.h>
#include <uk.h>

int main(int argc, char **argv)
{
    printf("hello from %s on the µKernel\n", argv[0]);
    for (int i = 1; i < argc; i++) {
        printf("argument %d: %s\n", i, argv[i]);
    }
    uk_log(UK_LOG_INFO, "said hello");
    return 0;
}
