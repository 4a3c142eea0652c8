/* How both guests of bench/abi measure: cycles of the time stamp counter, the median of many batches. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>

enum {
    batches = 31,
    calls_per_batch = 2000,
    handovers_per_batch = 500,
    pages_per_batch = 512,
    page_bytes = 4096,
};

static inline uint64_t cycles(void)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* One line "figure NAME CYCLES", which bench/abi reads. Sorts the samples. */
static inline void report(const char *name, uint64_t *samples)
{
    for (int i = 1; i < batches; i++) {
        uint64_t sample = samples[i];
        int at = i;
        for (; at > 0 && samples[at - 1] > sample; at--) samples[at] = samples[at - 1];
        samples[at] = sample;
    }
    printf("figure %s %lu\n", name, (unsigned long)samples[batches / 2]);
}

/* Measures an expression, in cycles of one execution. */
#define MEASURE(name, count, expression)                       \
    do {                                                       \
        uint64_t samples[batches];                             \
        for (int batch = 0; batch < batches; batch++) {        \
            uint64_t start = cycles();                         \
            for (int call = 0; call < (count); call++) {       \
                expression;                                    \
            }                                                  \
            samples[batch] = (cycles() - start) / (count);     \
        }                                                      \
        report(name, samples);                                 \
    } while (0)

/* A system call that is not the gate's: the kernel that it reaches says what becomes of it. */
static inline uint64_t bare_syscall(uint64_t number, uint64_t argument)
{
    uint64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(argument) : "rcx", "r11", "memory");
    return result;
}

#endif
