package dev.metacircular.vm;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * Reads the messages of a channel by number, while the VM runs and after, and says how many records were lost. For one thread at a
 * time. Nothing that a guest writes makes it fail or stand still.
 */
public final class ChannelReader implements AutoCloseable {
    /** Damage longer than this is noticed at the end, or when the ring has come round. */
    private static final int LOOK_AHEAD_SLOTS = 64;

    private final ChannelFile file;
    private final BooleanSupplier ended;
    private final Deque<ChannelEvent> ready = new ArrayDeque<>();
    private final List<ChannelRecord> fragments = new ArrayList<>();
    private long expected = 1;
    private long gapSinceNanos;
    private boolean inGap;

    ChannelReader(ChannelFile file, BooleanSupplier ended) {
        this.file = file;
        this.ended = ended;
    }

    /**
     * A reader of a file that no VM writes any more.
     *
     * @throws VmException HOST when it cannot be read or is no channel
     */
    public static ChannelReader ofFile(Path path) {
        return new ChannelReader(ChannelFile.open(path), () -> true);
    }

    /**
     * Makes an empty channel for a VM that somebody else supervises.
     *
     * @param slots 64 to 262,144
     * @throws VmException HOST when the file exists or cannot be written
     */
    public static void create(Path path, int slots) {
        ChannelFile.create(path, slots);
    }

    /**
     * How the guest that wrote this file ended; empty where it was killed, or its VMM failed.
     *
     * @throws VmException HOST when it cannot be read or is no channel
     */
    public static Optional<ChannelMessage.ExitStatus> exitStatus(Path path) {
        try (ChannelFile file = ChannelFile.open(path)) {
            return file.exitStatus();
        }
    }

    /**
     * The next event, waiting for it as long as the VM runs and time is left.
     *
     * @return empty when nothing came within the time; after {@link ChannelEvent.End}, End again
     * @throws VmException HOST when the file cannot be read
     */
    public Optional<ChannelEvent> next(Duration time) throws InterruptedException {
        return Polling.until(time, this::poll);
    }

    private Optional<ChannelEvent> poll() {
        if (!ready.isEmpty()) {
            return Optional.of(ready.remove());
        }
        // Asked before the file is read: what an ended VM wrote is complete.
        boolean complete = ended.getAsBoolean();
        // A loss is found record by record, and reported as one.
        for (int steps = 0; steps <= file.slots() && onlyLoss() && advance(complete); steps++) {}
        if (ready.isEmpty() && complete) {
            flushFragments();
            ready.add(new ChannelEvent.End());
        }
        return Optional.ofNullable(ready.poll());
    }

    private boolean onlyLoss() {
        return ready.isEmpty() || (ready.size() == 1 && ready.peek() instanceof ChannelEvent.Lost);
    }

    /** Takes one step; false when the next record is not there yet. */
    private boolean advance(boolean complete) {
        Optional<ChannelRecord> found = file.inSlotOf(expected);
        if (found.isPresent() && found.get().number() == expected) {
            inGap = false;
            take(found.get());
            expected++;
            return true;
        }
        if (found.isPresent() && found.get().number() > expected) {
            inGap = false;
            // The writer has lapped this reader: the oldest that may still be there follows this slot's record.
            lose(found.get().number() - file.slots() + 1);
            return true;
        }
        return skipGap(complete);
    }

    /** Gives missing records up when a later one is there and patience is over; false when there is nothing to do yet. */
    private boolean skipGap(boolean complete) {
        Optional<Long> later = laterRecord(complete ? file.slots() : LOOK_AHEAD_SLOTS);
        if (later.isEmpty()) {
            inGap = false;
            return false;
        }
        if (!inGap) {
            inGap = true;
            gapSinceNanos = System.nanoTime();
        }
        if (!complete && System.nanoTime() - gapSinceNanos < Limits.CHANNEL_GAP_PATIENCE.toNanos()) {
            return false;
        }
        inGap = false;
        lose(later.get());
        return true;
    }

    /** The next number after the expected one that is there, looking at so many slots. */
    private Optional<Long> laterRecord(int slots) {
        List<Optional<ChannelRecord>> found;
        for (long from = expected + 1; from < expected + slots; from += found.size()) {
            found = file.inSlotsFrom(from, LOOK_AHEAD_SLOTS);
            for (int i = 0; i < found.size(); i++) {
                long number = from + i;
                if (found.get(i).isPresent() && found.get(i).get().number() >= number) {
                    return Optional.of(number);
                }
            }
        }
        return Optional.empty();
    }

    private void lose(long next) {
        flushFragments();
        if (ready.peekLast() instanceof ChannelEvent.Lost(long first, long records)) {
            ready.removeLast();
            ready.add(new ChannelEvent.Lost(first, records + next - expected));
        } else {
            ready.add(new ChannelEvent.Lost(expected, next - expected));
        }
        expected = next;
    }

    private void take(ChannelRecord record) {
        if (record.first() || (!fragments.isEmpty() && fragments.getFirst().kind() != record.kind())) {
            flushFragments();
        }
        fragments.add(record);
        boolean full = fragments.size() * ChannelRecord.PAYLOAD_BYTES_MAX >= Limits.MESSAGE_BYTES_MAX;
        if (record.last() || full) {
            boolean complete = record.last() && fragments.getFirst().first();
            ready.add(new ChannelEvent.Message(ChannelRecord.message(fragments, complete)));
            fragments.clear();
        }
    }

    private void flushFragments() {
        if (!fragments.isEmpty()) {
            ready.add(new ChannelEvent.Message(ChannelRecord.message(fragments, false)));
            fragments.clear();
        }
    }

    @Override
    public void close() {
        file.close();
    }
}
