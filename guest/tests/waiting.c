/* uk_channel.h, uk_poll.h, uk_time.h and uk_net.h, used as they say, over the VM's own address. Prints "N passed, N failed". */
#include <stdio.h>
#include <string.h>
#include <uk.h>
#include <uk_channel.h>
#include <uk_net.h>
#include <uk_poll.h>
#include <uk_time.h>
#include "check.h"

enum { TASKS = 4, JOBS = 200 };
static uk_handle_t ours, theirs;

/* Answers each number with its double until the channel's other end is closed. */
static void doubles(void *argument) {
    uint32_t number;
    size_t bytes;
    while (uk_channel_receive(theirs, &number, sizeof number, UK_DEADLINE_NEVER, &bytes) == UK_OK) {
        number *= 2;
        if (bytes != sizeof number || uk_channel_send(theirs, &number, sizeof number, UK_DEADLINE_NEVER) != UK_OK) return;
        *(unsigned *)argument += 1;
    }
    /* Nobody is there to answer, and why is told. */
    if (strcmp(uk_failure(), "peer closed") != 0) *(unsigned *)argument = 1000000;
}

static void channels(void) {
    CHECK(uk_channel_create(8, sizeof(uint32_t), &ours, &theirs) == UK_OK);
    struct uk_thread tasks[TASKS];
    unsigned done[TASKS] = {0};
    for (int i = 0; i < TASKS; i++) CHECK(uk_thread_start(&tasks[i], doubles, &done[i], 0) == UK_OK);
    uk_handle_t set;
    CHECK(uk_poll_create(&set) == UK_OK);
    uint32_t sent = 0, received = 0, sum = 0, wanted = 0;
    while (received < JOBS) {
        uint32_t events = UK_IO_EVENT_READABLE | (sent < JOBS ? UK_IO_EVENT_WRITABLE : 0);
        if (events != wanted) CHECK(uk_poll_watch(set, ours, wanted = events, 7) == UK_OK);
        struct uk_io_poll_entry ready[2];
        uint32_t count;
        if (uk_poll_wait(set, ready, 2, uk_after(20 * UK_SECOND), &count) != UK_OK || count != 1 || ready[0].user != 7) {
            CHECK(!"the channel is ready");
            return;
        }
        while (sent < JOBS && uk_channel_send(ours, &sent, sizeof sent, 0) == UK_OK) sent++;
        uint32_t number;
        size_t bytes;
        while (uk_channel_receive(ours, &number, sizeof number, 0, &bytes) == UK_OK) {
            sum += number;
            received++;
        }
    }
    CHECK(sum == JOBS * (JOBS - 1));
    uint32_t many[2] = {0};
    CHECK(uk_channel_send(ours, many, sizeof many, 0) == UK_INVALID && strcmp(uk_failure(), "too long") == 0);
    CHECK(ipc_close(ours) == UK_OK);
    unsigned all = 0;
    for (int i = 0; i < TASKS; i++) {
        CHECK(uk_thread_join(&tasks[i]) == UK_OK);
        all += done[i];
    }
    CHECK(all == JOBS);
    CHECK(ipc_close(theirs) == UK_OK && io_poll_close(set) == UK_OK);
}

static void deadlines(void) {
    uint64_t begun = time_now();
    uk_handle_t deadline;
    CHECK(uk_deadline_create(UK_DEADLINE_NEVER, &deadline) == UK_OK);
    struct uk_io_poll_entry entry = {.handle = deadline, .wanted = UK_IO_EVENT_READABLE};
    uint32_t ready = 9;
    CHECK(uk_poll(&entry, 1, 0, &ready) == UK_OK && ready == 0);
    CHECK(time_deadline_set(deadline, uk_after(20 * UK_MILLISECOND)) == UK_OK);
    CHECK(uk_poll(&entry, 1, uk_after(20 * UK_SECOND), &ready) == UK_OK && ready == 1 && entry.ready == UK_IO_EVENT_READABLE);
    CHECK(time_now() - begun >= 20 * UK_MILLISECOND && time_deadline_close(deadline) == UK_OK);
    uk_sleep(5 * UK_MILLISECOND);
    CHECK(time_now() - begun >= 25 * UK_MILLISECOND);
    CHECK(uk_after(UINT64_MAX) == UK_DEADLINE_NEVER);
}

static uk_handle_t listener;

/* Gives back what it gets, to the end. */
static void echo(void *argument) {
    uk_handle_t connection;
    struct uk_net_address peer;
    if (uk_net_accept(listener, uk_after(20 * UK_SECOND), &connection, &peer) != UK_OK) return;
    char buffer[1000];
    size_t bytes;
    while (uk_net_receive(connection, buffer, sizeof buffer, uk_after(20 * UK_SECOND), &bytes) == UK_OK && bytes > 0) {
        if (uk_net_send_all(connection, buffer, bytes, uk_after(20 * UK_SECOND)) != UK_OK) return;
    }
    char text[UK_NET_ADDRESS_TEXT_BYTES_MAX];
    *(int *)argument = strncmp(uk_net_format(&peer, text), "127.0.0.1:", 10) == 0 && net_close(connection) == UK_OK;
}

static void sockets(void) {
    struct uk_net_address address, again;
    CHECK(!uk_net_parse("127.0.0.1", &address) && !uk_net_parse("1.2.3:4", &address) && !uk_net_parse("1.2.3.4.5:6", &address));
    CHECK(!uk_net_parse("256.0.0.1:80", &address) && !uk_net_parse("1.2.3.4:65536", &address) && !uk_net_parse("1.2.3.4:+5", &address));
    char text[UK_NET_ADDRESS_TEXT_BYTES_MAX];
    CHECK(uk_net_parse("255.255.255.255:65535", &address) && strcmp(uk_net_format(&address, text), "255.255.255.255:65535") == 0);
    CHECK(uk_net_parse("127.0.0.1:7777", &address) && address.port == 7777);
    uk_handle_t connection = 0;
    CHECK(uk_net_connect(&address, uk_after(20 * UK_SECOND), &connection) == UK_CLOSED);

    CHECK(uk_net_listen(7777, 4, &listener) == UK_OK);
    CHECK(uk_net_accept(listener, 0, &connection, NULL) == UK_WOULD_BLOCK && strcmp(uk_failure(), "nothing ready") == 0);
    struct uk_thread task;
    int good = 0;
    CHECK(uk_thread_start(&task, echo, &good, 0) == UK_OK);
    CHECK(uk_net_connect(&address, uk_after(20 * UK_SECOND), &connection) == UK_OK);
    static char sent[50000], received[50001];
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (char)(i * 7 + i / 251);
    CHECK(uk_net_send_all(connection, sent, sizeof sent, uk_after(20 * UK_SECOND)) == UK_OK);
    CHECK(uk_net_shutdown(connection, UK_NET_SENDING) == UK_OK);
    size_t all = 0, bytes = 1;
    while (bytes > 0 && uk_net_receive(connection, received + all, sizeof received - all, uk_after(20 * UK_SECOND), &bytes) == UK_OK) all += bytes;
    CHECK(all == sizeof sent && memcmp(sent, received, all) == 0);
    CHECK(uk_net_send(connection, sent, 1, 0, &bytes) == UK_CLOSED && bytes == 0);
    CHECK(uk_thread_join(&task) == UK_OK && good);
    CHECK(net_close(connection) == UK_OK && net_close(listener) == UK_OK);

    uk_handle_t left = 0, right = 0;
    CHECK(uk_net_datagrams(7777, &left) == UK_OK && uk_net_datagrams(0, &right) == UK_OK);
    uint64_t whole;
    CHECK(net_send(right, "datagram", 8, &address, uk_after(UK_SECOND), &whole) == UK_OK);
    CHECK(net_recv(left, received, sizeof received, &again, uk_after(20 * UK_SECOND), &whole) == UK_OK && whole == 8 && again.port != 7777);
    CHECK(net_close(left) == UK_OK && net_close(right) == UK_OK);
}

int main(void) {
    struct uk_abi_stats before, after;
    channels();
    deadlines();
    sockets();
    /* Once everything was used: what is used again leaves nothing. */
    abi_stats(&before);
    channels();
    deadlines();
    abi_stats(&after);
    CHECK(before.handles_used == after.handles_used && before.tasks_used == after.tasks_used);
    CHECK(strcmp(uk_detail_text(UK_DETAIL_ADDRESS_IN_USE), "address in use") == 0 && strcmp(uk_detail_text(12345), "unknown detail") == 0);
    uint64_t wall = 0;
    result_t told = uk_wall_now(&wall);
    CHECK(told == UK_UNSUPPORTED || wall > UINT64_C(1700000000) * UK_SECOND);
    return finish();
}
