/* A small environment for C workloads, beside the ABI of ukernel.h. */
#ifndef UK_H
#define UK_H

#include <stddef.h>
#include <stdint.h>
#include <ukernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the kernel told the workload at its start. */
extern const struct uk_startup *uk_startup;

/* Acquires and enters a capability for the calling task; UK_OK too when one of its kind is active. */
result_t uk_enable(uint32_t kind, uint32_t rights);

/* Writes all of it to the console, enabling io when it is not active. */
result_t uk_console_write(const void *bytes, size_t length);

/* Writes a log record, enabling log when it is not active. */
result_t uk_log(uint32_t level, const char *text);

/* A task with a stack of its own. */
struct uk_thread {
    uk_handle_t task;
    void *stack;
    size_t stack_bytes;
    void (*run)(void *argument);
    void *argument;
};

/* Runs run(argument) as a task, enabling task and mem when they are not active; 0 stack_bytes is 256 KiB. `thread` must stay until
 * uk_thread_join. */
result_t uk_thread_start(struct uk_thread *thread, void (*run)(void *argument), void *argument, size_t stack_bytes);

/* Waits for its end and frees its stack. */
result_t uk_thread_join(struct uk_thread *thread);

#ifdef __cplusplus
}
#endif

#endif
