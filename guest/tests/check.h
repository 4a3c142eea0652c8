/* Counts checks, for the C programs that test the guest from inside; as harness.zig for those in Zig. */
#ifndef CHECK_H
#define CHECK_H
#include <stdio.h>

static unsigned passed, failed;

static void check(int good, const char *file, int line) {
    if (good) {
        passed++;
        return;
    }
    failed++;
    printf("FAIL %s:%d\n", file, line);
}
#define CHECK(condition) check((condition) != 0, __FILE_NAME__, __LINE__)

/* Says how many there were; gives the VM's status. */
static int finish(void) {
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
#endif
