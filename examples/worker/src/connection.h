/* One connection: lines in, answers out in the order of the lines. Nothing here waits. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "work.h"

/* A line that was taken, in its order, with the answer when there is one. */
struct slot {
    bool answered;
    uint32_t bytes, sent;
    uk_handle_t job, reply;
    char text[REPLY_BYTES_MAX];
};

enum connection_state {
    CONNECTION_FREE,
    CONNECTION_OPEN,
    /* No more is taken; it ends when every answer is sent. */
    CONNECTION_FINISHING,
    /* Our side is closed; it ends when the peer's is. */
    CONNECTION_LINGERING,
};

struct connection {
    enum connection_state state;
    uk_handle_t socket;
    /* Counts the connections in this place, so that an answer for an earlier one is known. */
    uint32_t generation;
    /* What the poll set watches it for. */
    uint32_t watched;
    /* When something last came or went. */
    uint64_t moved_ns;
    /* The peer sends no more. */
    bool ended;
    /* The rest of a line that was too long is passed over. */
    bool skipping;
    /* Its next job has found the queue full. */
    bool parked;
    /* It is not served, only told so. */
    bool refused;
    /* Slots from head to tail, modulo WINDOW_MAX, are under way. */
    uint32_t head, tail;
    /* Spans of the job whose line is being read, and of its present part. */
    uk_handle_t job, part;
    size_t input_bytes;
    char input[LINE_BYTES_MAX];
    struct slot slots[WINDOW_MAX];
};

void connection_open(struct connection *connection, uk_handle_t socket);

/* Ends it at once. Answers to what is under way will find another generation. */
void connection_drop(struct connection *connection);

/* The next slot, of which there must be one (connection_has_room). */
struct slot *connection_take_slot(struct connection *connection);

bool connection_has_room(const struct connection *connection);

/* Makes this the answer of a slot. */
void connection_answer(struct slot *slot, const char *text, size_t bytes);

/* Sends the answers that are next in order, as much as finds room; false when the connection is broken. */
bool connection_send(struct connection *connection);

enum reading { READING_LINE, READING_TOO_LONG, READING_NOTHING, READING_END, READING_BROKEN };

/* Reads up to the end of a line, which stays in `input` until connection_consume. */
enum reading connection_read(struct connection *connection, size_t *line_bytes);

/* Takes the line, with its end, out of the input. */
void connection_consume(struct connection *connection, size_t line_bytes);

#endif
