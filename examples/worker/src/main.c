/* A pipeline: lines come in over TCP, tasks on all virtual CPUs work on them, answers go back in order. README.md has the protocol. */
#include <stdio.h>
#include <uk.h>
#include <uk_channel.h>

#include "front.h"
#include "work.h"

static struct uk_thread workers[WORKERS_MAX];

int main(void)
{
    /* The tasks start with what the first one has active. */
    uk_enable(UK_CAP_IPC, UK_CAP_IPC_USE);
    uk_enable(UK_CAP_TRACE, UK_CAP_TRACE_WRITE);
    uk_handle_t ours, theirs;
    if (uk_channel_create(QUEUE_MAX, sizeof(struct job), &ours, &theirs) != UK_OK) {
        printf("worker: no channel: %s\n", uk_failure());
        return 1;
    }
    unsigned count = uk_startup->cpu_count < WORKERS_MAX ? uk_startup->cpu_count : WORKERS_MAX, started = 0;
    while (started < count && uk_thread_start(&workers[started], work_run, &theirs, 0) == UK_OK) {
        started++;
    }
    if (started == 0) {
        printf("worker: no task could be started: %s\n", uk_failure());
        return 1;
    }
    int status = front_run(ours, started);
    /* The tasks receive what is left, then the channel's end. */
    ipc_close(ours);
    for (unsigned i = 0; i < started; i++) {
        uk_thread_join(&workers[i]);
    }
    printf("worker: stopped\n");
    return status;
}
