package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** One entry of a guest's trace ({@code docs/image-format.md}, «Channel»). */
public sealed interface TraceEntry {
    Place place();

    /** The number of the span that it is about, never used twice in a VM's life; 0 for an event outside of every span. */
    long span();

    /**
     * When and where.
     *
     * @param sinceEntry time since kernel entry
     * @param task the task that did it
     */
    record Place(Duration sinceEntry, int cpu, long task) {}

    /**
     * A span begins.
     *
     * @param parent the span around it, 0 for none
     */
    record SpanBegin(Place place, long span, long parent, String name) implements TraceEntry {}

    /** A span ends. */
    record SpanEnd(Place place, long span) implements TraceEntry {}

    /** Something happened in a span. */
    record Event(Place place, long span, List<Field> fields) implements TraceEntry {
        public Event {
            fields = List.copyOf(fields);
        }
    }

    /** A key and its value. */
    record Field(String key, String value) {}

    /** The entries of a record; those before the first that is damaged where one is. */
    static ChannelMessage.Trace parse(ChannelMessage.Origin origin, ByteBuffer payload) {
        List<TraceEntry> entries = new ArrayList<>();
        ByteBuffer rest = payload.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        boolean sound = true;
        while (sound && rest.hasRemaining()) {
            int bytes = rest.remaining() < 2 ? 0 : Short.toUnsignedInt(rest.getShort(rest.position()));
            sound = bytes >= Layout.HEADER_BYTES
                    && bytes <= rest.remaining()
                    && Layout.add(rest.slice(rest.position(), bytes).order(ByteOrder.LITTLE_ENDIAN), entries);
            if (sound) {
                rest.position(rest.position() + bytes);
            }
        }
        return new ChannelMessage.Trace(origin, entries, sound && origin.complete());
    }

    /** The bytes of an entry. */
    final class Layout {
        private static final int HEADER_BYTES = 24;

        private Layout() {}

        /** Adds the entry in these bytes; false when it is none. */
        private static boolean add(ByteBuffer bytes, List<TraceEntry> entries) {
            long nanos = bytes.getLong(8);
            if (nanos < 0) {
                return false;
            }
            Place place = new Place(
                    Duration.ofNanos(nanos), Byte.toUnsignedInt(bytes.get(3)), Integer.toUnsignedLong(bytes.getInt(4)));
            long span = bytes.getLong(16);
            ByteBuffer rest =
                    bytes.slice(HEADER_BYTES, bytes.capacity() - HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            switch (bytes.get(2)) {
                case 1 -> {
                    if (rest.remaining() < 8 || span == 0) {
                        return false;
                    }
                    entries.add(new SpanBegin(place, span, rest.getLong(), text(rest, rest.remaining())));
                }
                case 2 -> entries.add(new SpanEnd(place, span));
                case 3 -> {
                    List<Field> fields = new ArrayList<>();
                    if (!addFields(rest, fields)) {
                        return false;
                    }
                    entries.add(new Event(place, span, fields));
                }
                default -> {
                    return false;
                }
            }
            return true;
        }

        private static boolean addFields(ByteBuffer rest, List<Field> fields) {
            while (rest.remaining() >= 4) {
                int key = Short.toUnsignedInt(rest.getShort());
                int value = Short.toUnsignedInt(rest.getShort());
                if (key + value > rest.remaining()) {
                    return false;
                }
                fields.add(new Field(text(rest, key), text(rest, value)));
            }
            return !rest.hasRemaining();
        }

        private static String text(ByteBuffer from, int bytes) {
            ByteBuffer part = from.slice(from.position(), bytes);
            from.position(from.position() + bytes);
            return StandardCharsets.UTF_8.decode(part).toString();
        }
    }
}
