package dev.metacircular.vm;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Reads a VM's console from its files, while it runs and after. Says what was lost when it is slower than the guest by more than what is
 * kept. For one thread at a time.
 */
public final class ConsoleReader implements AutoCloseable {
    private final StateDirectory directory;
    private final int segmentBytes;
    private final BooleanSupplier ended;
    private @Nullable FileChannel segment;
    private long segmentNumber;
    private long positionInSegment;

    ConsoleReader(StateDirectory directory, int segmentBytes, BooleanSupplier ended) {
        this.directory = directory;
        this.segmentBytes = segmentBytes;
        this.ended = ended;
    }

    /**
     * The next event, waiting for it as long as the VM runs and time is left.
     *
     * @return empty when nothing came within the time; after {@link ConsoleEvent.End}, End again
     * @throws VmException HOST when the files cannot be read
     */
    public Optional<ConsoleEvent> next(Duration time) throws InterruptedException {
        return Polling.until(time, this::poll);
    }

    /** The next event if there is one now. */
    private Optional<ConsoleEvent> poll() {
        // Asked before the files are read: output of an ended VM is complete.
        boolean complete = ended.getAsBoolean();
        try {
            Optional<ConsoleEvent> event = advance();
            return event.isEmpty() && complete ? Optional.of(new ConsoleEvent.End()) : event;
        } catch (IOException e) {
            throw StateDirectory.cannot("read the console in", directory.path(), e);
        }
    }

    private Optional<ConsoleEvent> advance() throws IOException {
        while (true) {
            FileChannel open = segment;
            if (open == null) {
                Optional<Long> oldest = directory.consoleSegments().stream()
                        .filter(number -> number >= segmentNumber)
                        .findFirst();
                if (oldest.isEmpty()) {
                    return Optional.empty();
                }
                long lostBytes = (oldest.get() - segmentNumber) * segmentBytes;
                try {
                    segment = FileChannel.open(directory.consoleSegment(oldest.get()), StandardOpenOption.READ);
                } catch (NoSuchFileException rotatedAway) {
                    continue;
                }
                segmentNumber = oldest.get();
                positionInSegment = 0;
                if (lostBytes > 0) {
                    return Optional.of(new ConsoleEvent.Lost(lostBytes));
                }
                continue;
            }
            ByteBuffer bytes = ByteBuffer.allocate(
                    (int) Math.min(Limits.CONSOLE_CHUNK_BYTES_MAX, Math.max(1, segmentBytes - positionInSegment)));
            int count = positionInSegment < segmentBytes ? open.read(bytes, positionInSegment) : -1;
            if (count > 0) {
                long offset = segmentNumber * segmentBytes + positionInSegment;
                positionInSegment += count;
                return Optional.of(new ConsoleEvent.Output(offset, bytes.flip()));
            }
            if (positionInSegment < segmentBytes) {
                return Optional.empty();
            }
            open.close();
            segment = null;
            segmentNumber++;
        }
    }

    /** The end of the console as it is now, as text; bytes that are no UTF-8 are replaced. */
    static String tail(StateDirectory directory, int limitBytes) {
        List<Long> segments = directory.consoleSegments();
        if (segments.isEmpty()) {
            return "";
        }
        try (FileChannel last =
                FileChannel.open(directory.consoleSegment(segments.getLast()), StandardOpenOption.READ)) {
            ByteBuffer bytes = ByteBuffer.allocate(limitBytes);
            long from = Math.max(0, last.size() - limitBytes);
            ChannelFile.fill(bytes, last, from);
            return java.nio.charset.StandardCharsets.UTF_8.decode(bytes.flip()).toString();
        } catch (IOException e) {
            throw StateDirectory.cannot("read the console in", directory.path(), e);
        }
    }

    @Override
    public void close() {
        FileChannel open = segment;
        if (open != null) {
            try {
                open.close();
            } catch (IOException e) {
                throw StateDirectory.cannot("close the console in", directory.path(), e);
            }
            segment = null;
        }
    }
}
