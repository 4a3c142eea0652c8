#include "front.h"

#include <stdio.h>
#include <string.h>
#include <uk.h>
#include <uk_channel.h>
#include <uk_net.h>
#include <uk_poll.h>

#include "connection.h"

#define PLACES (CONNECTIONS_MAX + REFUSALS_MAX)
/* What the poll set gives back with a handle: a connection's place, or one of these. */
enum { LISTENER = PLACES, JOBS, STOP };
enum { READY_MAX = 64, ROUNDS_MAX = 4 };

static struct connection connections[PLACES];
static uk_handle_t set, listener, jobs, stop;
static unsigned served, taken, in_flight, parked, next_parked;
static bool stopping, listening, jobs_wanted;
static uint64_t stop_deadline_ns, report_ns;

/* Since the start; every job that was taken is answered or dropped with its connection in the end. */
static struct {
    uint64_t accepted, answered, dropped, malformed, refused;
} counts;

static void report(unsigned level, const char *what)
{
    struct uk_abi_stats stats;
    char text[256];
    abi_stats(&stats);
    snprintf(text, sizeof text, "%s jobs=%lu answered=%lu dropped=%lu malformed=%lu refused=%lu connections=%u pages_used=%lu", what,
             counts.accepted, counts.answered, counts.dropped, counts.malformed, counts.refused, served,
             stats.pages_total - stats.pages_free);
    uk_log(level, text);
}

static void free_place(struct connection *connection)
{
    if (connection->parked) {
        parked--;
    }
    if (!connection->refused) {
        served--;
    }
    taken--;
    connection_drop(connection);
}

/* The line that is looked at is a job of its own. */
static void begin_job(struct connection *connection)
{
    if (connection->job == 0) {
        connection->job = uk_span_begin("job", 0);
        connection->part = uk_span_begin("receive", connection->job);
    }
}

/* Answers a line without a task's help. */
static void answer_now(struct connection *connection, const char *text)
{
    begin_job(connection);
    struct slot *slot = connection_take_slot(connection);
    uk_span_end(connection->part);
    slot->job = connection->job;
    slot->reply = uk_span_begin("reply", connection->job);
    connection->job = connection->part = 0;
    connection_answer(slot, text, strlen(text));
}

static void answer_malformed(struct connection *connection, const char *text)
{
    counts.malformed++;
    answer_now(connection, text);
}

static void answer_stats(struct connection *connection)
{
    struct uk_abi_stats stats;
    char text[REPLY_BYTES_MAX];
    abi_stats(&stats);
    snprintf(text, sizeof text,
             "ok jobs=%lu answered=%lu dropped=%lu malformed=%lu refused=%lu in_flight=%u connections=%u pages_used=%lu handles=%lu "
             "tasks=%lu\n",
             counts.accepted, counts.answered, counts.dropped, counts.malformed, counts.refused, in_flight, served,
             stats.pages_total - stats.pages_free, stats.handles_used, stats.tasks_used);
    answer_now(connection, text);
}

static bool is_text(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((uint8_t)line[i] < ' ' || line[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Takes a line, or parks the connection where the queue has no room. */
static void take_line(struct connection *connection, size_t line_bytes)
{
    size_t bytes = line_bytes - 1;
    if (bytes > 0 && connection->input[bytes - 1] == '\r') {
        bytes--;
    }
    begin_job(connection);
    if (bytes == 0) {
        answer_malformed(connection, "error empty line: expected 'crc32 TEXT', 'primes N' or 'stats'\n");
    } else if (!is_text(connection->input, bytes)) {
        answer_malformed(connection, "error the line holds a byte that is not text\n");
    } else if (bytes == 5 && memcmp(connection->input, "stats", 5) == 0) {
        answer_stats(connection);
    } else {
        struct job job;
        if (!connection->parked) {
            uk_span_end(connection->part);
            connection->part = uk_span_begin("queue", connection->job);
        }
        job.ticket = (struct ticket){
            .connection = (uint32_t)(connection - connections),
            .generation = connection->generation,
            .slot = connection->tail % WINDOW_MAX,
            .bytes = (uint32_t)bytes,
            .job = connection->job,
            .part = connection->part,
        };
        memcpy(job.text, connection->input, bytes);
        if (uk_channel_send(jobs, &job, offsetof(struct job, text) + bytes, 0) != UK_OK) {
            /* The line stays, nothing more is read: the peer's own window fills and it waits. */
            parked += !connection->parked;
            connection->parked = true;
            return;
        }
        parked -= connection->parked;
        connection->parked = false;
        connection_take_slot(connection);
        connection->job = connection->part = 0;
        counts.accepted++;
        in_flight++;
    }
    connection_consume(connection, line_bytes);
}

static void finish(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN) {
        connection->state = CONNECTION_FINISHING;
    }
    /* A line that waits for the queue or for its end is not taken any more. */
    parked -= connection->parked;
    connection->parked = false;
    uk_span_end(connection->part);
    uk_span_end(connection->job);
    connection->job = connection->part = 0;
}

/* Takes what the peer has sent; false when the connection is broken. */
static bool receive(struct connection *connection)
{
    size_t line_bytes;
    while (connection->state == CONNECTION_OPEN && connection_has_room(connection) && !connection->ended) {
        switch (connection_read(connection, &line_bytes)) {
        case READING_LINE:
            take_line(connection, line_bytes);
            if (connection->parked) {
                return true;
            }
            break;
        case READING_TOO_LONG: {
            char text[80];
            snprintf(text, sizeof text, "error a line has at most %d bytes\n", LINE_BYTES_MAX - 1);
            answer_malformed(connection, text);
            break;
        }
        case READING_END:
            if (connection->input_bytes > 0) {
                answer_malformed(connection, "error the last line has no end\n");
            }
            finish(connection);
            break;
        case READING_NOTHING:
            return true;
        case READING_BROKEN:
            return false;
        }
    }
    return true;
}

/* Reads to the peer's end; false when that has come, or the connection is broken. */
static bool linger(struct connection *connection)
{
    char passed[512];
    size_t bytes;
    for (int i = 0; i < 16; i++) {
        result_t result = uk_net_receive(connection->socket, passed, sizeof passed, 0, &bytes);
        if (result == UK_WOULD_BLOCK) {
            return true;
        }
        if (result != UK_OK || bytes == 0) {
            return false;
        }
    }
    return true;
}

/* Whether the answer that is next in order waits to be sent. */
static bool is_answered(const struct connection *connection)
{
    return connection->head != connection->tail && connection->slots[connection->head % WINDOW_MAX].answered;
}

/* Does what can be done without waiting, and has the rest watched for. */
static void advance(struct connection *connection)
{
    bool good = true, again = true;
    /* Answers that went out have made room for lines that were read already; but others have their turn. */
    for (int round = 0; good && again && round < ROUNDS_MAX; round++) {
        good = receive(connection);
        bool full = !connection_has_room(connection);
        good = good && connection_send(connection);
        again = full && connection_has_room(connection);
    }
    if (good && connection->state == CONNECTION_FINISHING && connection->head == connection->tail) {
        good = !connection->ended && uk_net_shutdown(connection->socket, UK_NET_SENDING) == UK_OK;
        connection->state = CONNECTION_LINGERING;
        connection->moved_ns = time_now();
    }
    if (good && connection->state == CONNECTION_LINGERING) {
        good = linger(connection);
    }
    if (!good) {
        free_place(connection);
        return;
    }
    uint32_t wanted = 0;
    if (again || is_answered(connection)) {
        wanted |= UK_IO_EVENT_WRITABLE;
    }
    if (connection->state == CONNECTION_LINGERING ||
        (connection->state == CONNECTION_OPEN && !connection->parked && connection_has_room(connection))) {
        wanted |= UK_IO_EVENT_READABLE;
    }
    if (wanted != connection->watched) {
        connection->watched = wanted;
        if (uk_poll_watch(set, connection->socket, wanted, (uint64_t)(connection - connections)) != UK_OK) {
            free_place(connection);
        }
    }
}

static void watch_listener(void)
{
    bool wanted = !stopping && taken < PLACES;
    if (wanted != listening) {
        listening = wanted;
        uk_poll_watch(set, listener, wanted ? UK_IO_EVENT_READABLE : 0, LISTENER);
    }
}

static void accept_all(void)
{
    uk_handle_t socket;
    while (taken < PLACES && uk_net_accept(listener, 0, &socket, NULL) == UK_OK) {
        struct connection *connection = connections;
        while (connection->state != CONNECTION_FREE) {
            connection++;
        }
        connection_open(connection, socket);
        taken++;
        if (served == CONNECTIONS_MAX) {
            char text[80];
            counts.refused++;
            connection->refused = true;
            connection->state = CONNECTION_FINISHING;
            snprintf(text, sizeof text, "error busy: %d connections are served already\n", CONNECTIONS_MAX);
            connection_answer(connection_take_slot(connection), text, strlen(text));
            if (counts.refused == 1 || counts.refused % 1000 == 0) {
                report(UK_LOG_WARN, "connection refused");
            }
        } else {
            served++;
        }
        advance(connection);
    }
}

/* Takes the tasks' answers, then serves each connection that got some once. */
static void take_answers(void)
{
    struct answer answer;
    size_t bytes;
    bool touched[PLACES] = {false};
    for (int i = 0; i < QUEUE_MAX && uk_channel_receive(jobs, &answer, sizeof answer, 0, &bytes) == UK_OK; i++) {
        struct connection *connection = &connections[answer.ticket.connection];
        in_flight--;
        if (connection->state == CONNECTION_FREE || connection->generation != answer.ticket.generation) {
            counts.dropped++;
            uk_span_end(answer.ticket.part);
            uk_span_end(answer.ticket.job);
            continue;
        }
        counts.answered++;
        struct slot *slot = &connection->slots[answer.ticket.slot];
        slot->job = answer.ticket.job;
        slot->reply = answer.ticket.part;
        connection_answer(slot, answer.text, answer.ticket.bytes);
        touched[answer.ticket.connection] = true;
    }
    for (int i = 0; i < PLACES; i++) {
        if (touched[i] && connections[i].state != CONNECTION_FREE) {
            advance(&connections[i]);
        }
    }
}

/* Those who found the queue full try again, each in its turn. */
static void retry_parked(void)
{
    for (unsigned i = 0; i < PLACES && parked > 0; i++) {
        struct connection *connection = &connections[(next_parked + i) % PLACES];
        if (connection->state == CONNECTION_FREE || !connection->parked) {
            continue;
        }
        advance(connection);
        if (connection->state != CONNECTION_FREE && connection->parked) {
            next_parked = (unsigned)(connection - connections);
            return;
        }
    }
}

static void watch_jobs(void)
{
    bool wanted = parked > 0;
    if (wanted != jobs_wanted) {
        jobs_wanted = wanted;
        uk_poll_watch(set, jobs, UK_IO_EVENT_READABLE | (wanted ? UK_IO_EVENT_WRITABLE : 0), JOBS);
    }
}

static void begin_stop(void)
{
    report(UK_LOG_INFO, "stopping");
    stopping = true;
    stop_deadline_ns = uk_after(STOP_NS);
    uk_poll_watch(set, stop, 0, STOP);
    net_close(listener);
    for (int i = 0; i < PLACES; i++) {
        if (connections[i].state != CONNECTION_FREE) {
            finish(&connections[i]);
            advance(&connections[i]);
        }
    }
}

/* Ends connections that do nothing, and all of them when the time to stop is over. */
static void expire(uint64_t now)
{
    for (int i = 0; i < PLACES; i++) {
        struct connection *connection = &connections[i];
        if (connection->state == CONNECTION_FREE) {
            continue;
        }
        bool idle = now > connection->moved_ns + IDLE_NS;
        if ((stopping && now > stop_deadline_ns) || (connection->state == CONNECTION_LINGERING && now > connection->moved_ns + LINGER_NS)) {
            free_place(connection);
        } else if (idle && connection->state == CONNECTION_OPEN && connection->head == connection->tail && !connection->parked) {
            const char *text = "error nothing came for a minute\n";
            finish(connection);
            connection_answer(connection_take_slot(connection), text, strlen(text));
            advance(connection);
        } else if (idle && is_answered(connection)) {
            free_place(connection);
        }
    }
}

static bool begin(uk_handle_t channel)
{
    jobs = channel;
    if (uk_poll_create(&set) != UK_OK || vm_stop_event(&stop) != UK_OK || uk_poll_watch(set, stop, UK_IO_EVENT_READABLE, STOP) != UK_OK ||
        uk_poll_watch(set, jobs, UK_IO_EVENT_READABLE, JOBS) != UK_OK) {
        printf("worker: no poll set: %s\n", uk_failure());
        return false;
    }
    result_t result = uk_net_listen(PORT, CONNECTIONS_MAX, &listener);
    if (result != UK_OK) {
        printf("worker: cannot listen on port %d (result %u): is 'net' among the kinds in ukernel.toml, and not 'minimal' its kernel?\n", PORT,
               result);
        return false;
    }
    watch_listener();
    return true;
}

int front_run(uk_handle_t channel, unsigned workers)
{
    if (!begin(channel)) {
        return 1;
    }
    char text[80];
    snprintf(text, sizeof text, "listening port=%d workers=%u", PORT, workers);
    uk_log(UK_LOG_INFO, text);
    printf("worker: listening on port %d, %u tasks\n", PORT, workers);
    report_ns = uk_after(REPORT_NS);
    uint64_t look_ns = uk_after(UK_SECOND), reported = 0;
    while (!stopping || taken > 0 || (in_flight > 0 && time_now() < stop_deadline_ns)) {
        struct uk_io_poll_entry ready[READY_MAX];
        uint32_t count;
        /* Nothing to look at, nothing to wake up for. */
        if (uk_poll_wait(set, ready, READY_MAX, taken > 0 || stopping ? look_ns : UK_DEADLINE_NEVER, &count) != UK_OK) {
            printf("worker: cannot wait: %s\n", uk_failure());
            return 1;
        }
        for (uint32_t i = 0; i < count; i++) {
            switch (ready[i].user) {
            case STOP:
                begin_stop();
                break;
            case LISTENER:
                if (!stopping) {
                    accept_all();
                }
                break;
            case JOBS:
                take_answers();
                break;
            default: {
                struct connection *connection = &connections[ready[i].user];
                /* One that ended in this round may stand in it still. */
                if (connection->state != CONNECTION_FREE && connection->socket == ready[i].handle) {
                    advance(connection);
                }
            }
            }
        }
        retry_parked();
        watch_jobs();
        uint64_t now = time_now();
        if (now >= look_ns) {
            look_ns = now + UK_SECOND;
            expire(now);
        }
        if (!stopping) {
            watch_listener();
        }
        if (now >= report_ns) {
            report_ns = now + REPORT_NS;
            if (counts.accepted != reported) {
                reported = counts.accepted;
                report(UK_LOG_INFO, "working");
            }
        }
    }
    report(UK_LOG_INFO, "stopped");
    return 0;
}
