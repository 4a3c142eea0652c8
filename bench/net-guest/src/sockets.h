/* The few socket functions that the server of bench/net needs, of our kernel's ABI or of Linux's: all of them answer at once, but for wait. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stddef.h>
#include <stdint.h>

enum { events_max = 64, port = 80, backlog = 1024 };

/* What receive and transmit give besides a count of bytes; 0 of receive is the end. */
enum { nothing_now = -1, connection_gone = -2 };

typedef uint64_t socket_t;

struct ready {
    socket_t socket;
    uint32_t user;
};

static void start_network(void);
static socket_t open_listener(void);
static int accept_next(socket_t listener, socket_t *connection);
static long receive(socket_t connection, void *buffer, size_t bytes);
static long transmit(socket_t connection, const void *buffer, size_t bytes);
static void watch(socket_t socket, uint32_t user, int writable, int first);
static int wait_ready(struct ready *list);
static void close_socket(socket_t connection);
_Noreturn static void give_up(const char *what);

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set;

_Noreturn static void give_up(const char *what)
{
    perror(what);
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}

/* Process 1 has the modules beside it, and sets the address that the host expects. */
static void start_network(void)
{
    static const char *const modules[] = { "virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net" };
    mkdir("/proc", 0755);
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        char name[64];
        snprintf(name, sizeof name, "/%s.ko", modules[i]);
        int module = open(name, O_RDONLY);
        if (module < 0 || syscall(SYS_finit_module, module, "", 0) != 0) give_up(name);
        close(module);
    }
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = { .ifr_name = "eth0" };
    struct sockaddr_in address = { .sin_family = AF_INET };
    for (int tries = 0; ioctl(control, SIOCGIFINDEX, &request) != 0; tries++) {
        if (tries == 5000) give_up("eth0");
        usleep(1000);
    }
    address.sin_addr.s_addr = htonl(0x0a00020f);
    memcpy(&request.ifr_addr, &address, sizeof address);
    if (ioctl(control, SIOCSIFADDR, &request) != 0) give_up("address");
    address.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&request.ifr_netmask, &address, sizeof address);
    if (ioctl(control, SIOCSIFNETMASK, &request) != 0) give_up("mask");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) give_up("up");
    close(control);
    set = epoll_create1(0);
}

static socket_t open_listener(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, backlog) != 0) give_up("listen");
    return (socket_t)listener;
}

static int accept_next(socket_t listener, socket_t *connection)
{
    int accepted = accept4((int)listener, NULL, NULL, SOCK_NONBLOCK);
    if (accepted < 0) return 0;
    int on = 1;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *connection = (socket_t)accepted;
    return 1;
}

static long receive(socket_t connection, void *buffer, size_t bytes)
{
    ssize_t got = recv((int)connection, buffer, bytes, 0);
    return got >= 0 ? got : errno == EAGAIN ? nothing_now : connection_gone;
}

static long transmit(socket_t connection, const void *buffer, size_t bytes)
{
    ssize_t sent = send((int)connection, buffer, bytes, MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN ? nothing_now : connection_gone;
}

static void watch(socket_t socket, uint32_t user, int writable, int first)
{
    struct epoll_event event = { .events = writable ? EPOLLOUT : EPOLLIN, .data.u64 = socket << 32 | user };
    if (epoll_ctl(set, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, (int)socket, &event) != 0) give_up("epoll_ctl");
}

static int wait_ready(struct ready *list)
{
    struct epoll_event events[events_max];
    int count = epoll_wait(set, events, events_max, -1);
    for (int i = 0; i < count; i++) list[i] = (struct ready){ events[i].data.u64 >> 32, (uint32_t)events[i].data.u64 };
    return count;
}

static void close_socket(socket_t connection) { close((int)connection); }

#else

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uk.h>

static uk_handle_t set;

_Noreturn static void give_up(const char *what)
{
    printf("failed: %s\n", what);
    exit(1);
}

static void must(result_t result, const char *what)
{
    if (result != UK_OK) give_up(what);
}

static void start_network(void)
{
    must(uk_enable(UK_CAP_NET, UK_CAP_NET_LISTEN | UK_CAP_NET_CONNECT), "the capability net");
    must(uk_enable(UK_CAP_IO, UK_CAP_IO_READ | UK_CAP_IO_WRITE), "the capability io");
    must(io_poll_create(&set), "io_poll_create");
}

static socket_t open_listener(void)
{
    uk_handle_t listener;
    must(net_socket(UK_NET_IPV4, UK_NET_TCP, &listener), "net_socket");
    must(net_bind(listener, &(struct uk_net_address){ .family = UK_NET_IPV4, .port = port }), "net_bind");
    must(net_listen(listener, backlog), "net_listen");
    return listener;
}

static int accept_next(socket_t listener, socket_t *connection)
{
    uk_handle_t accepted;
    if (net_accept(listener, 0, &accepted, NULL) != UK_OK) return 0;
    must(net_set_option(accepted, UK_NET_OPTION_NO_DELAY, 1), "net_set_option");
    *connection = accepted;
    return 1;
}

static long receive(socket_t connection, void *buffer, size_t bytes)
{
    uint64_t got = 0;
    result_t result = net_recv(connection, buffer, bytes, NULL, 0, &got);
    if (result == UK_OK) return (long)got;
    return result == UK_WOULD_BLOCK ? nothing_now : connection_gone;
}

static long transmit(socket_t connection, const void *buffer, size_t bytes)
{
    uint64_t sent = 0;
    result_t result = net_send(connection, buffer, bytes, NULL, 0, &sent);
    if (result == UK_OK) return (long)sent;
    return result == UK_WOULD_BLOCK ? nothing_now : connection_gone;
}

static void watch(socket_t socket, uint32_t user, int writable, int first)
{
    (void)first;
    struct uk_io_poll_entry entry = { .handle = socket, .user = user, .wanted = writable ? UK_IO_EVENT_WRITABLE : UK_IO_EVENT_READABLE };
    must(io_poll_update(set, &entry), "io_poll_update");
}

static int wait_ready(struct ready *list)
{
    struct uk_io_poll_entry entries[events_max];
    uint32_t count = 0;
    must(io_poll_wait(set, entries, events_max, UINT64_MAX, &count), "io_poll_wait");
    for (uint32_t i = 0; i < count; i++) list[i] = (struct ready){ entries[i].handle, (uint32_t)entries[i].user };
    return (int)count;
}

static void close_socket(socket_t connection) { net_close(connection); }

#endif
#endif
