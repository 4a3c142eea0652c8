/* Sockets over IPv4.
 *
 *     uk_net_listen(8080, 64, &listener);
 *     uk_net_accept(listener, UK_DEADLINE_NEVER, &connection, NULL);
 *     uk_net_receive(connection, buffer, sizeof buffer, UK_DEADLINE_NEVER, &bytes);   // 0 bytes: the peer has sent all
 *     uk_net_send_all(connection, buffer, bytes, uk_after(10 * UK_SECOND));
 *     net_close(connection);
 *
 * The functions acquire the capability net where the task has none active, and go on waiting after task_interrupt. With a deadline of 0 none waits:
 * UK_WOULD_BLOCK where it would. A poll set says when a socket is readable (a listener: a connection is there) or writable. */
#ifndef UK_NET_H
#define UK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <ukernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A TCP socket that listens on the port of every address of the VM. UK_EXISTS: the port is taken. */
result_t uk_net_listen(uint16_t port, uint32_t backlog, uk_handle_t *listener);

/* Takes a connection; `peer` may be null. */
result_t uk_net_accept(uk_handle_t listener, uint64_t deadline_ns, uk_handle_t *connection, struct uk_net_address *peer);

/* Connects by TCP. Where it fails nothing is left, and the result says why, for the socket has been closed since: UK_CLOSED (refused or reset),
 * UK_NOENT (unreachable), UK_TIMEOUT (the deadline passed). */
result_t uk_net_connect(const struct uk_net_address *peer, uint64_t deadline_ns, uk_handle_t *connection);

/* A UDP socket on the port of every address of the VM; port 0 is one of the kernel's choice. net_send and net_recv take the peer's address. */
result_t uk_net_datagrams(uint16_t port, uk_handle_t *socket);

/* Receives what is there, at least a byte; 0 bytes are the end of what the peer sends. */
result_t uk_net_receive(uk_handle_t socket, void *buffer, size_t buffer_bytes, uint64_t deadline_ns, size_t *bytes);

/* Sends as much as finds room before the deadline, and tells how much that is. */
result_t uk_net_send(uk_handle_t socket, const void *buffer, size_t buffer_bytes, uint64_t deadline_ns, size_t *bytes);

/* Sends all of it; where that fails, some of it may have been sent. */
result_t uk_net_send_all(uk_handle_t socket, const void *buffer, size_t buffer_bytes, uint64_t deadline_ns);

/* For uk_net_shutdown. */
#define UK_NET_RECEIVING UINT64_C(1)
#define UK_NET_SENDING UINT64_C(2)

/* Ends a direction: after UK_NET_SENDING the peer reads what was sent, then the end. Closing a socket with unread data resets the connection, so an
 * orderly end is this, then reading to the peer's end, then net_close. */
result_t uk_net_shutdown(uk_handle_t socket, uint64_t direction);

/* An address from text such as 10.0.2.2:80; false for any other. */
bool uk_net_parse(const char *text, struct uk_net_address *address);

/* The IPv4 address of a name (or of text such as 10.0.2.2) and the port, from the VM's name servers by DNS. A name without a dot is first looked for in the
 * run-time configuration's search domain, any other at last; a dot at the end says that the name is whole. UK_INVALID: this cannot be a name.
 * UK_NOENT: there is no such name, or no server is known or reached. UK_CLOSED: the servers refuse or fail. UK_TIMEOUT: one that might know has not answered,
 * within 21 s at most once DHCP has an address, or until the deadline. */
result_t uk_net_resolve(const char *name, uint16_t port, uint64_t deadline_ns, struct uk_net_address *address);

#define UK_NET_ADDRESS_TEXT_BYTES_MAX 22

/* The text that uk_net_parse takes, into UK_NET_ADDRESS_TEXT_BYTES_MAX bytes; gives `buffer`. */
char *uk_net_format(const struct uk_net_address *address, char *buffer);

#ifdef __cplusplus
}
#endif

#endif
