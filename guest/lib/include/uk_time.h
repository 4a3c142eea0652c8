/* Time. A deadline is absolute, in nanoseconds on the clock of time_now: 0 has passed, so a call does not wait; UK_DEADLINE_NEVER never comes. */
#ifndef UK_TIME_H
#define UK_TIME_H

#include <ukernel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UK_MICROSECOND UINT64_C(1000)
#define UK_MILLISECOND UINT64_C(1000000)
#define UK_SECOND UINT64_C(1000000000)

/* The deadline that comes after so long; it never overflows. */
uint64_t uk_after(uint64_t duration_ns);

/* Waits so long. */
void uk_sleep(uint64_t duration_ns);

/* Nanoseconds since 1970-01-01T00:00Z, acquiring the capability time. UK_UNSUPPORTED where the VM was given no wall time. */
result_t uk_wall_now(uint64_t *wall_ns);

/* A deadline as a handle for a poll set, acquiring the capability time: readable from its time until time_deadline_set gives it another. End it with
 * time_deadline_close. */
result_t uk_deadline_create(uint64_t deadline_ns, uk_handle_t *deadline);

#ifdef __cplusplus
}
#endif

#endif
