/* The peer of bench/abi-guest on Linux, as process 1: the same measurements with what Linux has for them. */
#include "../abi-guest/src/measure.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static void end(void)
{
    fflush(stdout);
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}

static void must(int good, const char *what)
{
    if (good) return;
    printf("failed: %s\n", what);
    end();
}

/* Syscall user dispatch, which sends a program's system calls to a handler of its own while the selector says so: from <linux/prctl.h>. */
enum { set_syscall_user_dispatch = 59, dispatch_on = 1, selector_allow = 0, selector_block = 1 };

static volatile char selector = selector_allow;

static void on_foreign_call(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)information;
    selector = selector_allow;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    registers[REG_RAX] = registers[REG_RDI] + 1;
}

static uint64_t foreign_call(void)
{
    selector = selector_block;
    return bare_syscall(SYS_getpid, 41);
}

/* Absent where the kernel does not have it. */
static void foreign_calls(void)
{
    struct sigaction action = { .sa_sigaction = on_foreign_call, .sa_flags = SA_SIGINFO };
    must(sigaction(SIGSYS, &action, NULL) == 0, "sigaction");
    if (prctl(set_syscall_user_dispatch, dispatch_on, 0, 0, &selector) != 0) return;
    must(foreign_call() == 42, "a foreign call's answer");
    MEASURE("foreign_call_vector", calls_per_batch, foreign_call());
    must(prctl(set_syscall_user_dispatch, 0, 0, 0, 0) == 0, "prctl");
}

static volatile uint32_t going;

static void *yield_while_going(void *argument)
{
    (void)argument;
    while (going) bare_syscall(SYS_sched_yield, 0);
    return NULL;
}

static uint64_t switches(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

static void schedule(int policy, int priority)
{
    struct sched_param parameters = { .sched_priority = priority };
    must(syscall(SYS_sched_setscheduler, 0, policy, &parameters) == 0, "sched_setscheduler");
}

/* In the fair class a yield often goes on with the same thread; here it never does while another of the same priority is ready. */
static void thread_switches(void)
{
    pthread_t other;
    uint64_t samples[batches];
    going = 1;
    schedule(SCHED_FIFO, 1);
    must(pthread_create(&other, NULL, yield_while_going, NULL) == 0, "pthread_create");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t before = switches();
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) bare_syscall(SYS_sched_yield, 0);
        uint64_t elapsed = cycles() - start;
        uint64_t count = switches() - before;
        must(count >= handovers_per_batch / 2, "yields that switch");
        samples[batch] = elapsed / count;
    }
    going = 0;
    must(pthread_join(other, NULL) == 0, "pthread_join");
    schedule(SCHED_OTHER, 0);
    report("thread_switch", samples);
}

static uint32_t turn;

static void hand_over(uint32_t mine, uint32_t theirs)
{
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, theirs, NULL);
    __atomic_store_n(&turn, theirs, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *answer(void *argument)
{
    (void)argument;
    for (int i = 0; i < batches * handovers_per_batch; i++) hand_over(1, 0);
    return NULL;
}

static void wake_ups(void)
{
    pthread_t other;
    uint64_t samples[batches];
    must(pthread_create(&other, NULL, answer, NULL) == 0, "pthread_create");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) hand_over(0, 1);
        samples[batch] = (cycles() - start) / (2 * handovers_per_batch);
    }
    must(pthread_join(other, NULL) == 0, "pthread_join");
    report("wake_up", samples);
}

static void page_faults(void)
{
    uint64_t samples[batches];
    for (int batch = 0; batch < batches; batch++) {
        volatile char *memory = mmap(NULL, pages_per_batch * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(memory != MAP_FAILED, "mmap");
        /* One fault for each page, as on the other side. */
        madvise((void *)memory, pages_per_batch * page_bytes, MADV_NOHUGEPAGE);
        uint64_t start = cycles();
        for (int page = 0; page < pages_per_batch; page++) memory[page * page_bytes] = 1;
        samples[batch] = (cycles() - start) / pages_per_batch;
        must(munmap((void *)memory, pages_per_batch * page_bytes) == 0, "munmap");
    }
    report("page_fault", samples);
}

enum { message_bytes = 64, idle_handles = 1000 };

static int near_end, far_end, set;

static void watch(int file)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = file };
    must(epoll_ctl(set, EPOLL_CTL_ADD, file, &event) == 0, "epoll_ctl");
}

static void *answer_messages(void *argument)
{
    char message[message_bytes];
    (void)argument;
    while (read(far_end, message, sizeof message) > 1) must(write(far_end, message, sizeof message) == sizeof message, "write");
    return NULL;
}

static void *answer_ready(void *argument)
{
    struct epoll_event events[16];
    char message[message_bytes];
    (void)argument;
    while (epoll_wait(set, events, 16, -1) > 0) {
        if (read(events[0].data.fd, message, sizeof message) <= 1) return NULL;
        must(write(events[0].data.fd, message, sizeof message) == sizeof message, "write");
    }
    return NULL;
}

static void there_and_back(const char *name, void *(*other)(void *))
{
    pthread_t thread;
    uint64_t samples[batches];
    char message[message_bytes] = { 1 };
    must(pthread_create(&thread, NULL, other, NULL) == 0, "pthread_create");
    for (int batch = 0; batch < batches; batch++) {
        uint64_t start = cycles();
        for (int call = 0; call < handovers_per_batch; call++) {
            must(write(near_end, message, sizeof message) == sizeof message, "write");
            must(read(near_end, message, sizeof message) == sizeof message, "read");
        }
        samples[batch] = (cycles() - start) / handovers_per_batch;
    }
    must(write(near_end, message, 1) == 1, "write");
    must(pthread_join(thread, NULL) == 0, "pthread_join");
    report(name, samples);
}

/* By a socket that keeps messages apart, and epoll. */
static void messages(void)
{
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
    near_end = ends[0];
    far_end = ends[1];
    there_and_back("message", answer_messages);
    must((set = epoll_create1(0)) >= 0, "epoll_create1");
    watch(far_end);
    there_and_back("poll_one", answer_ready);
    for (int i = 0; i < idle_handles; i++) {
        int idle = eventfd(0, 0);
        must(idle >= 0, "eventfd");
        watch(idle);
    }
    there_and_back("poll_idle", answer_ready);
}

int main(void)
{
    MEASURE("null_call", calls_per_batch, bare_syscall(SYS_getpid, 0));
    foreign_calls();
    thread_switches();
    wake_ups();
    page_faults();
    messages();
    printf("figures end\n");
    end();
}
