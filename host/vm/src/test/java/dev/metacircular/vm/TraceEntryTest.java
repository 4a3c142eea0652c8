package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A trace record's entries, written straight from docs/image-format.md. */
class TraceEntryTest {
    private static final ChannelMessage.Origin ORIGIN = new ChannelMessage.Origin(1, Duration.ZERO, 0, true);

    private final ByteBuffer record = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);

    private void entry(int what, int cpu, int task, long nanos, long span, byte[] rest) {
        record.putShort((short) (24 + rest.length)).put((byte) what).put((byte) cpu);
        record.putInt(task).putLong(nanos).putLong(span).put(rest);
    }

    private static byte[] begin(long parent, String name) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(parent)
                .put(text)
                .array();
    }

    private static byte[] field(String key, String value) {
        byte[] k = key.getBytes(StandardCharsets.UTF_8);
        byte[] v = value.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(4 + k.length + v.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) k.length)
                .putShort((short) v.length)
                .put(k)
                .put(v)
                .array();
    }

    private ChannelMessage.Trace parsed() {
        return TraceEntry.parse(ORIGIN, record.duplicate().flip());
    }

    @Test
    void entriesOfEveryKindAreRead() {
        entry(1, 3, 7, 1_000, 5, begin(4, "größer"));
        entry(3, 0, 8, 2_000, 0, field("key", ""));
        entry(2, 1, 9, 3_000, 5, new byte[0]);
        assertThat(parsed())
                .isEqualTo(new ChannelMessage.Trace(
                        ORIGIN,
                        List.of(
                                new TraceEntry.SpanBegin(
                                        new TraceEntry.Place(Duration.ofNanos(1_000), 3, 7), 5, 4, "größer"),
                                new TraceEntry.Event(
                                        new TraceEntry.Place(Duration.ofNanos(2_000), 0, 8),
                                        0,
                                        List.of(new TraceEntry.Field("key", ""))),
                                new TraceEntry.SpanEnd(new TraceEntry.Place(Duration.ofNanos(3_000), 1, 9), 5)),
                        true));
    }

    @Test
    void whatStandsBeforeTheDamageIsKept() {
        entry(2, 0, 1, 1, 1, new byte[0]);
        int sound = record.position();
        for (byte[] damage : List.of(
                new byte[] {1},
                new byte[] {23, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                new byte[] {-1, -1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                new byte[] {24, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
                new byte[] {24, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
                new byte[] {28, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0})) {
            record.position(sound).put(damage);
            assertThat(parsed().entries()).hasSize(1);
            assertThat(parsed().whole()).isFalse();
        }
    }

    @Test
    void nothingThatAGuestWritesMakesItFail() {
        Random random = new Random(3);
        for (int round = 0; round < 2_000; round++) {
            record.clear();
            entry(1, 3, 7, 1_000, 5, begin(4, "name"));
            entry(3, 0, 8, 2_000, 5, field("key", "value"));
            entry(2, 1, 9, 3_000, 5, new byte[0]);
            for (int change = 0; change < 4; change++) {
                record.put(random.nextInt(record.position()), (byte) random.nextInt());
            }
            record.position(random.nextInt(record.position() + 1));
            assertThat(parsed().entries().size()).isLessThanOrEqualTo(4);
        }
    }
}
