/* Traces what trace.sh then looks for in the channel. "nested": spans in spans on four tasks. "flood N": N spans as fast as they can be made,
 * beside as many calls that make and drop a handle and trace nothing. Prints "N passed, N failed"; the VM's status is 0 or 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uk.h>
#include "check.h"

#define TASKS 4
#define STEPS 10

static uk_handle_t run;

static void work(void *argument) {
    char name[16];
    snprintf(name, sizeof name, "task %u", (unsigned)(uintptr_t)argument);
    uk_handle_t task = uk_span_begin(name, run);
    for (unsigned i = 0; i < STEPS; i++) {
        uk_handle_t step = uk_span_begin("step", task);
        uk_handle_t leaf = uk_span_begin("leaf", step);
        uk_span_number(leaf, "worked", "step", i);
        task_yield();
        uk_span_end(leaf);
        uk_span_end(step);
    }
    uk_span_text(task, "done", "task", name);
    uk_span_end(task);
}

static void nested(void) {
    struct uk_thread threads[TASKS];
    CHECK(uk_log(UK_LOG_INFO, "before the spans") == UK_OK);
    run = uk_span_begin("run", 0);
    CHECK(run != 0);
    for (uintptr_t i = 0; i < TASKS; i++) CHECK(uk_thread_start(&threads[i], work, (void *)i, 0) == UK_OK);
    for (unsigned i = 0; i < TASKS; i++) CHECK(uk_thread_join(&threads[i]) == UK_OK);
    uk_span_event(run, "joined");
    uk_span_end(run);
    CHECK(uk_log(UK_LOG_WARN, "after the spans") == UK_OK);
    struct uk_abi_stats stats;
    CHECK(abi_stats(&stats) == UK_OK && stats.channel_lost == 0);
}

static uint64_t switches(void) {
    struct uk_task_stats stats;
    CHECK(task_get_stats(uk_startup->task, &stats) == UK_OK);
    return stats.switches;
}

static void flood(unsigned long count) {
    /* Without tracing: a handle made and dropped, each time. */
    uint64_t start = time_now();
    for (unsigned long i = 0; i < count; i++) {
        uk_handle_t capability;
        if (cap_acquire(UK_CAP_LOG, UK_CAP_LOG_WRITE, &capability) != UK_OK || cap_drop(capability) != UK_OK) failed++;
    }
    uint64_t without = time_now() - start;
    CHECK(uk_enable(UK_CAP_TRACE, UK_CAP_TRACE_WRITE) == UK_OK);
    CHECK(uk_enable(UK_CAP_TASK, UK_CAP_TASK_SPAWN) == UK_OK);
    uint64_t longest = 0, before = switches();
    start = time_now();
    uint64_t last = start;
    for (unsigned long i = 0; i < count; i++) {
        uk_handle_t span;
        if (trace_span_begin("span", 4, 0, &span) != UK_OK || trace_span_end(span) != UK_OK) failed++;
        uint64_t now = time_now();
        if (now - last > longest) longest = now - last;
        last = now;
    }
    uint64_t with = time_now() - start, away = switches() - before;
    struct uk_abi_stats stats;
    CHECK(abi_stats(&stats) == UK_OK && stats.channel_lost == stats.channel_lost_spans);
    printf("%lu spans: %lu ns each, %lu ns without tracing; longest %lu us; switched to %lu times; lost %lu begins and ends of %lu\n", count,
           (unsigned long)(with / count), (unsigned long)(without / count), (unsigned long)(longest / 1000), (unsigned long)away,
           (unsigned long)stats.channel_lost_spans, 2 * count);
    /* The device's answers are served in between; beyond them nothing is waited for. Nobody else wants to run, and who never sleeps is never
     * switched to. */
    CHECK(with < 5 * without);
    CHECK(away == 0);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "flood") == 0) flood((unsigned long)atoi(argv[2]));
    else nested();
    return finish();
}
