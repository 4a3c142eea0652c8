/* What of <string.h> a workload without a C library has. */
#ifndef UK_STRING_H
#define UK_STRING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void *memcpy(void *target, const void *source, size_t bytes);
void *memmove(void *target, const void *source, size_t bytes);
void *memset(void *target, int byte, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
void *memchr(const void *memory, int byte, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, size_t bytes);
char *strchr(const char *text, int character);
char *strstr(const char *text, const char *part);
size_t strcspn(const char *text, const char *ends);

#ifdef __cplusplus
}
#endif

#endif
