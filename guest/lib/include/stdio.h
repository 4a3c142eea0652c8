/* What of <stdio.h> a workload without a C library has: output to the console and into strings. */
#ifndef UK_STDIO_H
#define UK_STDIO_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EOF (-1)

/* Flags - 0 + space #, width, precision, sizes hh h l ll z j t, conversions d i u x X o p s c f %. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list arguments);
int snprintf(char *buffer, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buffer, size_t bytes, const char *format, va_list arguments);
int puts(const char *text);
int putchar(int character);

#ifdef __cplusplus
}
#endif

#endif
