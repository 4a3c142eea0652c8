/* Every bound of the worker. */
#ifndef LIMITS_H
#define LIMITS_H

#include <uk_time.h>

#define PORT 8080
/* Tasks that work: one for each virtual CPU, at most so many. */
#define WORKERS_MAX 16
/* Connections that are served, and more that are told that there is no place. */
#define CONNECTIONS_MAX 64
#define REFUSALS_MAX 8
/* A line with its end. */
#define LINE_BYTES_MAX 1024
/* An answer with its end. */
#define REPLY_BYTES_MAX 256
/* Jobs of one connection that are under way; no more of it is read meanwhile. */
#define WINDOW_MAX 16
/* Jobs that wait for a task, of all connections; none is read from who finds it full. */
#define QUEUE_MAX 64
/* `primes` counts up to here. */
#define PRIMES_MAX 200000

/* A connection that neither sends nor takes anything is ended. */
#define IDLE_NS (60 * UK_SECOND)
/* What a peer has to close its side after ours is closed. */
#define LINGER_NS (2 * UK_SECOND)
/* What is left of the jobs under way after a request to stop. */
#define STOP_NS (5 * UK_SECOND)
/* A line in the log says how it goes, so often while there is work. */
#define REPORT_NS (60 * UK_SECOND)

#endif
