package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * One slot of a channel file whose checksum was right.
 *
 * @param kind what it says, 1 to 10 known
 * @param first whether it begins a message
 * @param last whether it ends a message
 * @param level log level
 * @param number from 1
 * @param nanos nanoseconds since kernel entry
 * @param task 0 for the kernel
 * @param payload at most 480 bytes, read-only, little-endian
 */
record ChannelRecord(
        int kind, boolean first, boolean last, int level, long number, long nanos, long task, ByteBuffer payload) {
    static final int SLOT_BYTES = 512;
    static final int PAYLOAD_BYTES_MAX = 480;
    static final int KIND_EXIT = 2;
    private static final int LATENCY_BUCKETS = 40;
    private static final int HEADER_BYTES = 32;
    private static final int CHECKSUM_BYTES = 4;

    /** The record in a slot of 512 bytes; empty when it was never written, is being written, or is damaged. */
    static Optional<ChannelRecord> parse(ByteBuffer slot) {
        ByteBuffer bytes = slot.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int base = bytes.position();
        CRC32C crc = new CRC32C();
        crc.update(bytes.duplicate().position(base + CHECKSUM_BYTES).limit(base + SLOT_BYTES));
        int payloadBytes = Short.toUnsignedInt(bytes.getShort(base + 28));
        long number = bytes.getLong(base + 8);
        if ((int) crc.getValue() != bytes.getInt(base) || payloadBytes > PAYLOAD_BYTES_MAX || number < 1) {
            return Optional.empty();
        }
        int flags = bytes.get(base + 6);
        return Optional.of(new ChannelRecord(
                Short.toUnsignedInt(bytes.getShort(base + 4)),
                (flags & 1) != 0,
                (flags & 2) != 0,
                bytes.get(base + 7),
                number,
                bytes.getLong(base + 16),
                Integer.toUnsignedLong(bytes.getInt(base + 24)),
                bytes.slice(base + HEADER_BYTES, payloadBytes).asReadOnlyBuffer()));
    }

    /** The message that consecutive records make up. */
    static ChannelMessage message(List<ChannelRecord> records, boolean complete) {
        ChannelRecord head = records.getFirst();
        ByteBuffer payload = ByteBuffer.allocate(
                        records.stream().mapToInt(r -> r.payload.remaining()).sum())
                .order(ByteOrder.LITTLE_ENDIAN);
        records.forEach(r -> payload.put(r.payload.duplicate()));
        payload.flip();
        ChannelMessage.Origin origin =
                new ChannelMessage.Origin(head.number, Duration.ofNanos(head.nanos), head.task, complete);
        return switch (head.kind) {
            case 1 -> new ChannelMessage.Log(origin, level(head.level), text(payload));
            case KIND_EXIT ->
                payload.remaining() < 8
                        ? unknown(origin, head, payload)
                        : new ChannelMessage.ExitStatus(
                                origin, payload.getInt(), ExitCause.of(payload.getInt()), text(payload));
            case 3 -> TraceEntry.parse(origin, payload);
            case 6 ->
                payload.remaining() < 8
                        ? unknown(origin, head, payload)
                        : new ChannelMessage.BootPhase(origin, Duration.ofNanos(payload.getLong()), text(payload));
            case 7 -> payload.remaining() < 8 ? unknown(origin, head, payload) : loss(origin, payload);
            case 8 -> new ChannelMessage.Fault(origin, text(payload));
            case 9 ->
                payload.remaining() < 8
                        ? unknown(origin, head, payload)
                        : new ChannelMessage.Statistics(
                                origin, Duration.ofNanos(payload.getLong()), numbers(payload, payload.remaining() / 8));
            case 10 ->
                payload.remaining() < 8 * (3 + LATENCY_BUCKETS)
                        ? unknown(origin, head, payload)
                        : latency(origin, payload);
            default -> unknown(origin, head, payload);
        };
    }

    private static ChannelMessage loss(ChannelMessage.Origin origin, ByteBuffer payload) {
        long messages = payload.getLong();
        // A guest may say less than its kind of each, and then they are of no kind.
        ChannelMessage.Lost lost = payload.remaining() < 5 * 8
                ? new ChannelMessage.Lost(0, 0, 0, 0, messages)
                : new ChannelMessage.Lost(
                        payload.getLong(), payload.getLong(), payload.getLong(), payload.getLong(), payload.getLong());
        return new ChannelMessage.Loss(origin, messages, lost);
    }

    private static ChannelMessage latency(ChannelMessage.Origin origin, ByteBuffer payload) {
        long count = payload.getLong();
        Duration sum = Duration.ofNanos(payload.getLong());
        Duration max = Duration.ofNanos(payload.getLong());
        List<Long> buckets = numbers(payload, LATENCY_BUCKETS);
        return new ChannelMessage.Latency(origin, text(payload), count, sum, max, buckets);
    }

    private static List<Long> numbers(ByteBuffer payload, int count) {
        List<Long> numbers = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            numbers.add(payload.getLong());
        }
        return numbers;
    }

    private static ChannelMessage unknown(ChannelMessage.Origin origin, ChannelRecord head, ByteBuffer payload) {
        return new ChannelMessage.Unknown(origin, head.kind, readOnly(payload));
    }

    /** Keeps the byte order, which {@link ByteBuffer#asReadOnlyBuffer()} does not. */
    private static ByteBuffer readOnly(ByteBuffer payload) {
        return payload.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    private static ChannelMessage.Level level(int level) {
        return switch (level) {
            case 0 -> ChannelMessage.Level.DEBUG;
            case 1 -> ChannelMessage.Level.INFO;
            case 2 -> ChannelMessage.Level.WARN;
            default -> ChannelMessage.Level.ERROR;
        };
    }

    private static String text(ByteBuffer payload) {
        return StandardCharsets.UTF_8.decode(payload).toString();
    }
}
