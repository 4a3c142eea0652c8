/* The work itself: replace do_job with yours. */
#include "work.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uk.h>
#include <uk_channel.h>

static uint32_t crc32(const char *text, size_t bytes)
{
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < bytes; i++) {
        crc ^= (uint8_t)text[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
        }
    }
    return ~crc;
}

static unsigned primes_up_to(unsigned limit)
{
    unsigned count = limit >= 2;
    for (unsigned number = 3; number <= limit; number += 2) {
        unsigned divisor = 3;
        while (divisor * divisor <= number && number % divisor != 0) {
            divisor += 2;
        }
        count += divisor * divisor > number;
    }
    return count;
}

/* A decimal number of at most `max`, and nothing else; -1 for any other text. */
static long number_of(const char *text, long max)
{
    if (text[0] < '0' || text[0] > '9') {
        return -1;
    }
    char *end;
    long number = strtol(text, &end, 10);
    return *end == 0 && number <= max ? number : -1;
}

/* Does one job, a line without its end, and writes the answer's line, without its end; gives its length. */
static size_t do_job(const char *line, size_t bytes, char *answer, size_t room)
{
    int length;
    long limit;
    if (strncmp(line, "crc32 ", 6) == 0) {
        length = snprintf(answer, room, "ok %08x", crc32(line + 6, bytes - 6));
    } else if (strncmp(line, "primes ", 7) == 0) {
        limit = number_of(line + 7, PRIMES_MAX);
        if (limit < 0) {
            length = snprintf(answer, room, "error primes takes a number from 0 to %d", PRIMES_MAX);
        } else {
            length = snprintf(answer, room, "ok %u", primes_up_to((unsigned)limit));
        }
    } else {
        length = snprintf(answer, room, "error unknown job '%.20s': expected 'crc32 TEXT', 'primes N' or 'stats'", line);
    }
    return (size_t)length < room ? (size_t)length : room - 1;
}

void work_run(void *end)
{
    uk_handle_t channel = *(const uk_handle_t *)end;
    struct job job;
    struct answer answer;
    size_t bytes;
    while (uk_channel_receive(channel, &job, sizeof job, UK_DEADLINE_NEVER, &bytes) == UK_OK) {
        uk_span_end(job.ticket.part);
        uk_handle_t work = uk_span_begin("work", job.ticket.job);
        job.text[job.ticket.bytes] = 0;
        answer.ticket = job.ticket;
        size_t length = do_job(job.text, job.ticket.bytes, answer.text, sizeof answer.text - 1);
        answer.text[length++] = '\n';
        answer.ticket.bytes = (uint32_t)length;
        uk_span_end(work);
        answer.ticket.part = uk_span_begin("reply", job.ticket.job);
        if (uk_channel_send(channel, &answer, offsetof(struct answer, text) + length, UK_DEADLINE_NEVER) != UK_OK) {
            /* Nobody waits for it any more. */
            uk_span_end(answer.ticket.part);
            uk_span_end(answer.ticket.job);
        }
    }
}
