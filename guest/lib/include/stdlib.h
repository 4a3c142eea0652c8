/* What of <stdlib.h> a workload without a C library has. */
#ifndef UK_STDLIB_H
#define UK_STDLIB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *block, size_t bytes);
void free(void *block);
/* Ends the VM with this status. */
__attribute__((noreturn)) void exit(int status);
__attribute__((noreturn)) void abort(void);
char *getenv(const char *name);
int atoi(const char *text);
long strtol(const char *text, char **end, int base);

#ifdef __cplusplus
}
#endif

#endif
