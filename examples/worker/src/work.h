/* Jobs and answers, and the tasks that make one of the other. */
#ifndef WORK_H
#define WORK_H

#include <ukernel.h>

#include "limits.h"

/* What a job and its answer are known by. The spans belong to the VM, not to a task: whoever has a handle may end it. */
struct ticket {
    uint32_t connection, generation;
    /* Place in the connection's order. */
    uint32_t slot;
    uint32_t bytes;
    /* Span of the job. */
    uk_handle_t job;
    /* The job's present part: `queue` on the way to the task, `reply` on the way back. */
    uk_handle_t part;
};

struct job {
    struct ticket ticket;
    char text[LINE_BYTES_MAX];
};

struct answer {
    struct ticket ticket;
    char text[REPLY_BYTES_MAX];
};

/* Takes jobs from the channel, whose handle `end` points to, and answers them there until its other end is closed. */
void work_run(void *end);

#endif
