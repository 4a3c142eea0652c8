/* Message channels between tasks: each message whole, once, and in its sender's order. Bounded both ways.
 *
 *     uk_handle_t ours, theirs;
 *     uk_channel_create(64, sizeof(struct job), &ours, &theirs);
 *     uk_channel_send(ours, &job, sizeof job, UK_DEADLINE_NEVER);           // one task
 *     uk_channel_receive(theirs, &job, sizeof job, UK_DEADLINE_NEVER, &n);  // another
 *
 * The functions acquire the capability ipc where the task has none active, and go on waiting after task_interrupt. Any task may use an
 * end; several may receive on one, and each message goes to one of them. A poll set says when an end is readable or writable.
 * Close an end with ipc_close: the other receives what was sent, then UK_CLOSED. */
#ifndef UK_CHANNEL_H
#define UK_CHANNEL_H

#include <stddef.h>
#include <ukernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a channel of at most messages_max messages (UK_IPC_MESSAGES_MAX) of at most message_bytes_max bytes (UK_IPC_MESSAGE_BYTES_MAX)
 * each way. */
result_t uk_channel_create(uint32_t messages_max, uint32_t message_bytes_max, uk_handle_t *left, uk_handle_t *right);

/* Sends one message. UK_WOULD_BLOCK: no room, and the deadline had passed already (0 does not wait); UK_TIMEOUT: it passed while waiting;
 * UK_CLOSED: nobody can receive it. */
result_t uk_channel_send(uk_handle_t end, const void *message, size_t bytes, uint64_t deadline_ns);

/* Receives one message and tells its size. UK_WOULD_BLOCK, UK_TIMEOUT: none came; UK_CLOSED: none will; UK_INVALID (too_small): it is
 * longer than the buffer and stays. */
result_t uk_channel_receive(uk_handle_t end, void *buffer, size_t buffer_bytes, uint64_t deadline_ns, size_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
