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

enum { message_bytes = 64, idle_handles = 1000 };

static uk_handle_t near_end, far_end, set;

static void channel(uk_handle_t *left, uk_handle_t *right)
{
    must(ipc_channel_create(4, message_bytes, left, right) == UK_OK, "ipc_channel_create");
}

static void watch(uk_handle_t handle)
{
    struct uk_io_poll_entry entry = { .handle = handle, .wanted = UK_IO_EVENT_READABLE };
    must(io_poll_update(set, &entry) == UK_OK, "io_poll_update");
}

static void answer_messages(void *argument)
{
    char message[message_bytes];
    uint64_t bytes;
    (void)argument;
    while (ipc_recv(far_end, message, sizeof message, UK_DEADLINE_NEVER, &bytes) == UK_OK && bytes > 0)
        ipc_send(far_end, message, bytes, UK_DEADLINE_NEVER);
}

/* As answer_messages, but waits in the poll set. */
static void answer_ready(void *argument)
{
    struct uk_io_poll_entry entries[16];
    char message[message_bytes];
    uint64_t bytes;
    uint32_t ready;
    (void)argument;
    while (io_poll_wait(set, entries, 16, UK_DEADLINE_NEVER, &ready) == UK_OK) {
        if (ipc_recv(entries[0].handle, message, sizeof message, 0, &bytes) != UK_OK || bytes == 0) return;
        ipc_send(entries[0].handle, message, bytes, UK_DEADLINE_NEVER);
    }
}

/* A message to another task and its answer. */
static void there_and_back(const char *name, void (*other)(void *))
{
    struct uk_thread thread;
    uint64_t samples[batches], bytes;
    char message[message_bytes] = { 1 };
    must(uk_thread_start(&thread, other, NULL, 0) == UK_OK, "uk_thread_start");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) {
            ipc_send(near_end, message, sizeof message, UK_DEADLINE_NEVER);
            ipc_recv(near_end, message, sizeof message, UK_DEADLINE_NEVER, &bytes);
        }
        samples[batch] = (cycles() - start) / handovers_per_batch;
    }
    must(ipc_send(near_end, message, 0, UK_DEADLINE_NEVER) == UK_OK, "ipc_send");
    must(uk_thread_join(&thread) == UK_OK, "uk_thread_join");
    report(name, samples);
}

static void messages(void)
{
    uk_handle_t idle, peer;
    channel(&near_end, &far_end);
    there_and_back("message", answer_messages);
    must(io_poll_create(&set) == UK_OK, "io_poll_create");
    watch(far_end);
    there_and_back("poll_one", answer_ready);
    for (int i = 0; i < idle_handles; i++) {
        channel(&idle, &peer);
        watch(idle);
    }
    there_and_back("poll_idle", answer_ready);
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
    must(uk_enable(UK_CAP_IPC, UK_CAP_IPC_USE) == UK_OK, "the ipc capability");
    must(uk_enable(UK_CAP_IO, UK_CAP_IO_READ) == UK_OK, "the io capability");
    messages();
    printf("figures end\n");
    return 0;
}
