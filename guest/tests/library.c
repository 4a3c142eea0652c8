/* The C environment of guest/lib, tested in the guest. Prints "N passed, N failed"; the VM's status is 0 or 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uk.h>
#include "check.h"

static void prints(int line, const char *wanted, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void prints(int line, const char *wanted, const char *format, ...) {
    char buffer[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (strcmp(buffer, wanted) != 0 || length != (int)strlen(wanted)) printf("got '%s' (%d), wanted '%s'\n", buffer, length, wanted);
    check(strcmp(buffer, wanted) == 0 && length == (int)strlen(wanted), __FILE_NAME__, line);
}
#define PRINTS(wanted, ...) prints(__LINE__, wanted, __VA_ARGS__)

static void formats(void) {
    PRINTS("plain", "plain");
    PRINTS("100%", "%d%%", 100);
    PRINTS("-5 4294967295 ff FF 17", "%d %u %x %X %o", -5, 4294967295u, 255, 255, 15);
    PRINTS("-9223372036854775807 18446744073709551615", "%ld %lu", -9223372036854775807L, 18446744073709551615UL);
    PRINTS("12 -1 250 65535", "%zu %hhd %hhu %hu", (size_t)12, (char)-1, (unsigned char)250, (unsigned short)65535);
    PRINTS("[   42][42   ][00042][+42][ 42]", "[%5d][%-5d][%05d][%+d][% d]", 42, 42, 42, 42, 42);
    PRINTS("[  -42][-0042]", "[%5d][%05d]", -42, -42);
    PRINTS("[  007][007  ]", "[%5.3d][%-5.3d]", 7, 7);
    PRINTS("[]", "[%.0d]", 0);
    PRINTS("0x1f 0X1F 017 0", "%#x %#X %#o %#x", 31, 31, 15, 0);
    PRINTS("[text][te][  te][text  ]", "[%s][%.2s][%4.2s][%-6s]", "text", "text", "text", "text");
    PRINTS("[(null)]", "[%s]", (char *)NULL);
    PRINTS("a b", "%c %c", 'a', 'b');
    PRINTS("0x10", "%p", (void *)16);
    PRINTS("[   7][7   ]", "[%*d][%*d]", 4, 7, -4, 7);
    PRINTS("[abc]", "[%.*s]", 3, "abcdef");
    PRINTS("3.141593 -2.50 100 0.0", "%f %.2f %.0f %.1f", 3.14159265, -2.5, 100.0, 0.0);
    PRINTS("[    1.50][1.50    ]", "[%8.2f][%-8.2f]", 1.5, 1.5);
    char small[4];
    CHECK(snprintf(small, sizeof small, "%d", 123456) == 6 && strcmp(small, "123") == 0);
    CHECK(snprintf(NULL, 0, "%s", "length") == 6);
}

static void strings(void) {
    CHECK(strlen("") == 0 && strlen("four") == 4);
    CHECK(strcmp("a", "a") == 0 && strcmp("a", "b") < 0 && strcmp("\xff", "a") > 0 && strcmp("a", "aa") < 0);
    CHECK(strncmp("abc", "abd", 2) == 0 && strncmp("abc", "abd", 3) < 0 && strncmp("a", "b", 0) == 0);
    const char *text = "needle";
    CHECK(strchr(text, 'd') == text + 3 && strchr(text, 'x') == NULL && strchr(text, 0) == text + 6);
    CHECK(strstr(text, "dl") == text + 3 && strstr(text, "dx") == NULL && strstr(text, "") == text && strstr(text, text) == text);
    CHECK(strcspn(text, "xd") == 3 && strcspn(text, "x") == 6 && strcspn(text, "") == 6 && strcspn("", "a") == 0);
    CHECK(memchr(text, 'l', 6) == text + 4 && memchr(text, 'l', 4) == NULL);
    char overlap[16] = "0123456789";
    memmove(overlap + 2, overlap, 8);
    CHECK(memcmp(overlap, "0101234567", 10) == 0);
    CHECK(atoi(" -42x") == -42 && atoi("") == 0);
    char *end;
    CHECK(strtol("0x1fz", &end, 0) == 31 && *end == 'z');
    CHECK(strtol("077", &end, 0) == 63 && *end == 0);
    CHECK(strtol("99999999999999999999", &end, 10) == 9223372036854775807L && *end == 0);
    CHECK(strtol("-99999999999999999999", &end, 10) == -9223372036854775807L - 1);
    const char *none = "zz";
    CHECK(strtol(none, &end, 10) == 0 && end == none);
    CHECK(strcmp(getenv("KEY"), "value=1") == 0 && getenv("KE") == NULL && getenv("KEYS") == NULL);
}

static void memory(void) {
    enum { COUNT = 400 };
    static unsigned char *blocks[COUNT];
    static size_t sizes[COUNT];
    unsigned seed = 1;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < COUNT; i++) {
            seed = seed * 1103515245 + 12345;
            int good = 1;
            for (size_t at = 0; blocks[i] != NULL && at < sizes[i]; at += 97) good &= blocks[i][at] == (unsigned char)i;
            if (!good) CHECK(!"content of a block");
            free(blocks[i]);
            sizes[i] = (seed >> 8) % (i % 20 == 0 ? 200000 : 3000);
            blocks[i] = malloc(sizes[i]);
            if (blocks[i] == NULL || (uintptr_t)blocks[i] % 16 != 0) CHECK(!"a block, aligned");
            memset(blocks[i], i, sizes[i]);
        }
    }
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    CHECK(1);
    char *grown = NULL;
    for (size_t bytes = 1; bytes <= 1 << 20; bytes *= 2) {
        grown = realloc(grown, bytes);
        grown[bytes - 1] = (char)bytes;
        grown[0] = 'g';
    }
    CHECK(grown[0] == 'g' && grown[1] == 2 && grown[3] == 4);
    free(grown);
    unsigned char *zeros = calloc(1000, 3);
    int zero = 1;
    for (int i = 0; i < 3000; i++) zero &= zeros[i] == 0;
    CHECK(zero);
    free(zeros);
    CHECK(malloc((size_t)-1) == NULL && malloc((size_t)1 << 60) == NULL && calloc((size_t)1 << 33, (size_t)1 << 33) == NULL);
    free(NULL);
}

static unsigned counter;

static void count(void *argument) {
    for (int i = 0; i < 1000; i++) {
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
        free(malloc((size_t)i));
    }
    *(int *)argument = 1;
}

static void threads(void) {
    struct uk_thread list[4];
    int done[4] = {0};
    for (int i = 0; i < 4; i++) CHECK(uk_thread_start(&list[i], count, &done[i], 0) == UK_OK);
    for (int i = 0; i < 4; i++) CHECK(uk_thread_join(&list[i]) == UK_OK && done[i]);
    CHECK(counter == 4000);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && strcmp(argv[0], "library") == 0 && strcmp(argv[1], "two words") == 0 && argv[2] == NULL);
    CHECK(uk_startup->magic == UK_STARTUP_MAGIC);
    CHECK(uk_enable(UK_CAP_LOG, UK_CAP_LOG_WRITE) == UK_OK && uk_enable(UK_CAP_LOG, UK_CAP_LOG_WRITE) == UK_OK);
    CHECK(uk_enable(UK_CAP_NET, UK_CAP_NET_CONNECT) == UK_PERMISSION && err_get_last() == UK_DETAIL_CAPABILITY_DENIED);
    CHECK(uk_log(UK_LOG_INFO, "library") == UK_OK);
    CHECK(time_now() > uk_startup->entered_ns);
    formats();
    strings();
    memory();
    threads();
    return finish();
}
