/* A small environment for C workloads, beside the ABI of ukernel.h. uk_channel.h, uk_poll.h, uk_net.h and uk_time.h have the rest. */
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

/* What went wrong in the task's last call that failed, as words: "connection refused". Ask before the next call. */
const char *uk_failure(void);

/* A detail (UK_DETAIL_…) as words. */
const char *uk_detail_text(uint32_t detail);

/* Writes all of it to the console, enabling io when it is not active. */
result_t uk_console_write(const void *bytes, size_t length);

/* Writes a log record, enabling log when it is not active. */
result_t uk_log(uint32_t level, const char *text);

/* Trace spans and events, enabling trace when it is not active. Tracing never fails a program: where there is none (a kernel without it, a
 * manifest that does not allow it, no handle left) a span is 0, which every function takes. */

/* Begins a span inside `parent`, which may be another task's; 0 is none. `name` has 1 to UK_TRACE_NAME_BYTES_MAX bytes; a longer one is cut. */
uk_handle_t uk_span_begin(const char *name, uk_handle_t parent);

/* Ends it; any task may. */
void uk_span_end(uk_handle_t span);

/* Something that happened in a span, or with span 0 outside of every span: by itself, with a text, with a number. trace_event takes more. */
void uk_span_event(uk_handle_t span, const char *name);
void uk_span_text(uk_handle_t span, const char *name, const char *key, const char *value);
void uk_span_number(uk_handle_t span, const char *name, const char *key, uint64_t value);

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
