/* Waiting for whichever of many handles is ready: channels, sockets, deadlines, tasks, the stop event.
 *
 *     uk_poll_create(&set);
 *     uk_poll_watch(set, listener, UK_IO_EVENT_READABLE, LISTENER);
 *     struct uk_io_poll_entry ready[64];
 *     uk_poll_wait(set, ready, 64, UK_DEADLINE_NEVER, &count);
 *     for (uint32_t i = 0; i < count; i++) serve(ready[i].user, ready[i].ready);
 *
 * A wait costs what is ready, not what stands in the set. It is level-triggered: a handle that stays ready is reported by every wait, so
 * what is not wanted now should not be watched for. UK_IO_EVENT_CLOSED and _FAILED are reported unasked. The functions acquire the
 * capability io where the task has none active, and go on waiting after task_interrupt. End a set with io_poll_close. */
#ifndef UK_POLL_H
#define UK_POLL_H

#include <ukernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a standing set. */
result_t uk_poll_create(uk_handle_t *set);

/* Adds a handle, or changes what is wanted of it (UK_IO_EVENT_…); nothing wanted takes it out. `user` comes back with it. A handle that is
 * closed leaves the set by itself; what an earlier wait reported of it may still be in the caller's hands. */
result_t uk_poll_watch(uk_handle_t set, uk_handle_t handle, uint32_t wanted, uint64_t user);

/* Waits until a handle of the set is ready, and fills in as many as there is room for (UK_POLL_ENTRIES_MAX at most). *ready is 0, with UK_OK, when
 * the deadline passed. */
result_t uk_poll_wait(uk_handle_t set, struct uk_io_poll_entry *entries, uint32_t count, uint64_t deadline_ns, uint32_t *ready);

/* The same for a few handles without a set: `ready` of each entry is set. */
result_t uk_poll(struct uk_io_poll_entry *entries, uint32_t count, uint64_t deadline_ns, uint32_t *ready);

#ifdef __cplusplus
}
#endif

#endif
