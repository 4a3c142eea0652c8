/* What the kernel's ways in and out cost, in cycles: the workload of bench/abi. Its peer is bench/linux-guest/abi.c. */
#include "measure.h"
#include <stdlib.h>
#include <uk.h>
#include <ukernel.h>

static void must(int good, const char *what)
{
    if (good) return;
    printf("failed: %s\n", what);
    vm_exit(1);
}

static void on_foreign_call(struct uk_task_frame *frame)
{
    frame->rax = frame->rdi + 1;
}

static char handler_stack[64 << 10] __attribute__((aligned(64)));

static void foreign_calls(const char *name, uint32_t flags)
{
    must(task_set_foreign_handler((uint64_t)on_foreign_call, (uint64_t)handler_stack, sizeof handler_stack, flags) == UK_OK, "task_set_foreign_handler");
    must(bare_syscall(39, 41) == 42, "a foreign call's answer");
    MEASURE(name, calls_per_batch, bare_syscall(39, 41));
}

static volatile uint32_t going;

static void yield_while_going(void *argument)
{
    (void)argument;
    while (going) task_yield();
}

static uint64_t switches_to(uk_handle_t task)
{
    struct uk_task_stats stats;
    must(task_get_stats(task, &stats) == UK_OK, "task_get_stats");
    return stats.switches;
}

/* A yield need not switch: what is divided by is the kernel's own count. */
static void thread_switches(void)
{
    struct uk_thread other;
    uint64_t samples[batches];
    going = 1;
    must(uk_thread_start(&other, yield_while_going, NULL, 0) == UK_OK, "uk_thread_start");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t before = switches_to(other.task) + switches_to(task_self());
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) task_yield();
        uint64_t elapsed = cycles() - start;
        uint64_t switches = switches_to(other.task) + switches_to(task_self()) - before;
        must(switches >= handovers_per_batch / 2, "yields that switch");
        samples[batch] = elapsed / switches;
    }
    going = 0;
    must(uk_thread_join(&other) == UK_OK, "uk_thread_join");
    report("thread_switch", samples);
}

static uint32_t turn;

static void hand_over(uint32_t mine, uint32_t theirs)
{
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine) task_wait(&turn, theirs, UK_DEADLINE_NEVER);
    __atomic_store_n(&turn, theirs, __ATOMIC_RELEASE);
    task_wake((uint64_t)&turn, 1, NULL);
}

static void answer(void *argument)
{
    (void)argument;
    for (int i = 0; i < batches * handovers_per_batch; i++) hand_over(1, 0);
}

/* Two tasks that wake each other in turn on one processor: of each round both halves are a wake-up, a wait and a switch. */
static void wake_ups(void)
{
    struct uk_thread other;
    uint64_t samples[batches];
    turn = 0;
    must(uk_thread_start(&other, answer, NULL, 0) == UK_OK, "uk_thread_start");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) hand_over(0, 1);
        samples[batch] = (cycles() - start) / (2 * handovers_per_batch);
    }
    must(uk_thread_join(&other) == UK_OK, "uk_thread_join");
    report("wake_up", samples);
}

static void page_faults(void)
{
    uint64_t samples[batches];
    for (int batch = 0; batch < batches; batch++) {
        uint64_t address = 0;
        must(mem_alloc(pages_per_batch * page_bytes, UK_MEM_READ | UK_MEM_WRITE | UK_MEM_ZEROED, &address) == UK_OK, "mem_alloc");
        uint64_t start = cycles();
        for (int page = 0; page < pages_per_batch; page++) ((volatile char *)address)[page * page_bytes] = 1;
        samples[batch] = (cycles() - start) / pages_per_batch;
        must(mem_free(address, pages_per_batch * page_bytes) == UK_OK, "mem_free");
    }
    report("page_fault", samples);
}

int main(void)
{
    must(uk_enable(UK_CAP_TASK, UK_CAP_TASK_SPAWN | UK_CAP_TASK_CONTROL) == UK_OK, "the task capability");
    must(uk_enable(UK_CAP_MEM, UK_CAP_MEM_MAP) == UK_OK, "the mem capability");
    MEASURE("null_call", calls_per_batch, task_self());
    foreign_calls("foreign_call", UK_HANDLER_KEEP_VECTOR);
    foreign_calls("foreign_call_vector", 0);
    thread_switches();
    wake_ups();
    page_faults();
    printf("figures end\n");
    return 0;
}
