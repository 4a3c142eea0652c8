#include "connection.h"

#include <string.h>
#include <uk.h>
#include <uk_net.h>

void connection_open(struct connection *connection, uk_handle_t socket)
{
    connection->state = CONNECTION_OPEN;
    connection->socket = socket;
    connection->generation++;
    connection->watched = 0;
    connection->moved_ns = time_now();
    connection->ended = connection->skipping = connection->parked = connection->refused = false;
    connection->head = connection->tail = 0;
    connection->job = connection->part = 0;
    connection->input_bytes = 0;
    /* Answers are gathered here; holding small ones back would only delay them. */
    net_set_option(socket, UK_NET_OPTION_NO_DELAY, 1);
}

void connection_drop(struct connection *connection)
{
    uk_span_end(connection->part);
    uk_span_end(connection->job);
    for (; connection->head != connection->tail; connection->head++) {
        struct slot *slot = &connection->slots[connection->head % WINDOW_MAX];
        if (slot->answered) {
            uk_span_end(slot->reply);
            uk_span_end(slot->job);
        }
    }
    net_close(connection->socket);
    connection->state = CONNECTION_FREE;
    connection->generation++;
}

bool connection_has_room(const struct connection *connection)
{
    return connection->tail - connection->head < WINDOW_MAX;
}

struct slot *connection_take_slot(struct connection *connection)
{
    struct slot *slot = &connection->slots[connection->tail++ % WINDOW_MAX];
    slot->answered = false;
    slot->job = slot->reply = 0;
    return slot;
}

void connection_answer(struct slot *slot, const char *text, size_t bytes)
{
    slot->bytes = (uint32_t)(bytes < sizeof slot->text ? bytes : sizeof slot->text);
    memcpy(slot->text, text, slot->bytes);
    slot->sent = 0;
    slot->answered = true;
}

bool connection_send(struct connection *connection)
{
    for (;;) {
        char output[WINDOW_MAX * REPLY_BYTES_MAX];
        size_t bytes = 0, sent;
        for (uint32_t at = connection->head; at != connection->tail && connection->slots[at % WINDOW_MAX].answered; at++) {
            const struct slot *slot = &connection->slots[at % WINDOW_MAX];
            memcpy(output + bytes, slot->text + slot->sent, slot->bytes - slot->sent);
            bytes += slot->bytes - slot->sent;
        }
        if (bytes == 0) {
            return true;
        }
        result_t result = uk_net_send(connection->socket, output, bytes, 0, &sent);
        if (result != UK_OK) {
            return result == UK_WOULD_BLOCK;
        }
        connection->moved_ns = time_now();
        while (sent > 0) {
            struct slot *slot = &connection->slots[connection->head % WINDOW_MAX];
            size_t part = slot->bytes - slot->sent;
            if (part > sent) {
                slot->sent += (uint32_t)sent;
                break;
            }
            sent -= part;
            uk_span_end(slot->reply);
            uk_span_end(slot->job);
            connection->head++;
        }
    }
}

enum reading connection_read(struct connection *connection, size_t *line_bytes)
{
    for (;;) {
        const char *end = memchr(connection->input, '\n', connection->input_bytes);
        if (end != NULL) {
            *line_bytes = (size_t)(end + 1 - connection->input);
            if (!connection->skipping) {
                return READING_LINE;
            }
            connection->skipping = false;
            connection_consume(connection, *line_bytes);
            continue;
        }
        if (connection->input_bytes == sizeof connection->input || connection->skipping) {
            bool told = connection->skipping;
            connection->skipping = true;
            connection->input_bytes = 0;
            if (!told) {
                return READING_TOO_LONG;
            }
        }
        size_t bytes;
        result_t result = uk_net_receive(connection->socket, connection->input + connection->input_bytes,
                                         sizeof connection->input - connection->input_bytes, 0, &bytes);
        if (result == UK_WOULD_BLOCK) {
            return READING_NOTHING;
        }
        if (result != UK_OK) {
            return READING_BROKEN;
        }
        if (bytes == 0) {
            connection->ended = true;
            return READING_END;
        }
        connection->moved_ns = time_now();
        if (connection->job == 0 && !connection->skipping) {
            connection->job = uk_span_begin("job", 0);
            connection->part = uk_span_begin("receive", connection->job);
        }
        connection->input_bytes += bytes;
    }
}

void connection_consume(struct connection *connection, size_t line_bytes)
{
    connection->input_bytes -= line_bytes;
    memmove(connection->input, connection->input + line_bytes, connection->input_bytes);
}
