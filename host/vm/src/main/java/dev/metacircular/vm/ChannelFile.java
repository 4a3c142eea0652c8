package dev.metacircular.vm;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.CRC32C;

/**
 * A channel file: made before the start, written by the guest, read here. The guest may write anything into it, so nothing in it is
 * trusted: the number of slots comes from the file's size, which a guest cannot change.
 */
final class ChannelFile implements AutoCloseable {
    private static final byte[] MAGIC = "UKCHAN01".getBytes(StandardCharsets.US_ASCII);
    private static final int SLOTS_PER_READ = 2_048;
    /** Fragments of one exit message that are looked at. */
    private static final int EXIT_FRAGMENTS_MAX = 16;

    /** No guest gets there in its life; beyond it arithmetic on numbers would overflow. */
    private static final long NUMBER_MAX = Long.MAX_VALUE / 2;

    private final Path path;
    private final FileChannel file;
    private final int slots;

    private ChannelFile(Path path, FileChannel file, int slots) {
        this.path = path;
        this.file = file;
        this.slots = slots;
    }

    /**
     * Makes an empty channel.
     *
     * @throws VmException HOST when the file exists or cannot be written
     */
    static void create(Path path, int slots) {
        if (slots < Limits.CHANNEL_SLOTS_MIN || slots > Limits.CHANNEL_SLOTS_MAX) {
            throw new IllegalArgumentException("slots: " + slots);
        }
        ByteBuffer header = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        header.put(MAGIC).putInt(slots);
        CRC32C crc = new CRC32C();
        crc.update(header.array(), 0, 12);
        header.putInt((int) crc.getValue()).flip();
        try (FileChannel file = FileChannel.open(
                path,
                Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            file.write(header, 0);
            // One byte at the end gives the file its size without taking the space.
            file.write(ByteBuffer.allocate(1), sizeBytes(slots) - 1);
        } catch (IOException e) {
            throw StateDirectory.cannot("make the channel", path, e);
        }
    }

    static long sizeBytes(int slots) {
        return (slots + 1L) * ChannelRecord.SLOT_BYTES;
    }

    /**
     * Opens a channel for reading.
     *
     * @throws VmException HOST when it cannot be read or has an impossible size
     */
    static ChannelFile open(Path path) {
        try {
            FileChannel file = FileChannel.open(path, StandardOpenOption.READ);
            boolean taken = false;
            try {
                ChannelFile channel = new ChannelFile(path, file, slots(path, file.size()));
                taken = true;
                return channel;
            } finally {
                if (!taken) {
                    file.close();
                }
            }
        } catch (IOException e) {
            throw StateDirectory.cannot("open the channel", path, e);
        }
    }

    private static int slots(Path path, long bytes) {
        long slots = bytes / ChannelRecord.SLOT_BYTES - 1;
        if (bytes % ChannelRecord.SLOT_BYTES != 0
                || slots < Limits.CHANNEL_SLOTS_MIN
                || slots > Limits.CHANNEL_SLOTS_MAX) {
            throw new VmException(VmException.Fault.HOST, path + " is no channel: its size is " + bytes + " bytes");
        }
        return (int) slots;
    }

    int slots() {
        return slots;
    }

    /** What stands now in the slot of this record number: that record, an older or newer one, or none that is whole. */
    Optional<ChannelRecord> inSlotOf(long number) {
        return read(slotOf(number), 1).getFirst();
    }

    /** The same for consecutive numbers, at most so many; fewer at the end of the ring, at least one. */
    List<Optional<ChannelRecord>> inSlotsFrom(long number, int count) {
        int slot = slotOf(number);
        return read(slot, Math.min(count, slots - slot));
    }

    private int slotOf(long number) {
        return (int) ((number - 1) % slots);
    }

    /** The exit status with the highest number. */
    Optional<ChannelMessage.ExitStatus> exitStatus() {
        long newest = 0;
        for (int slot = 0; slot < slots; slot += SLOTS_PER_READ) {
            for (Optional<ChannelRecord> found : read(slot, Math.min(SLOTS_PER_READ, slots - slot))) {
                if (found.isPresent()
                        && found.get().kind() == ChannelRecord.KIND_EXIT
                        && found.get().number() > newest) {
                    newest = found.get().number();
                }
            }
        }
        return newest == 0 ? Optional.empty() : exitStatusEndingAt(newest);
    }

    private Optional<ChannelMessage.ExitStatus> exitStatusEndingAt(long number) {
        List<ChannelRecord> fragments = new ArrayList<>();
        boolean complete = false;
        for (long n = number; n > 0 && fragments.size() < EXIT_FRAGMENTS_MAX && !complete; n--) {
            Optional<ChannelRecord> record = inSlotOf(n);
            if (record.isEmpty()
                    || record.get().number() != n
                    || record.get().kind() != ChannelRecord.KIND_EXIT
                    || (record.get().last() && n != number)) {
                break;
            }
            fragments.add(record.get());
            complete = record.get().first();
        }
        Collections.reverse(fragments);
        return !fragments.isEmpty()
                        && ChannelRecord.message(fragments, complete) instanceof ChannelMessage.ExitStatus exit
                        && complete
                ? Optional.of(exit)
                : Optional.empty();
    }

    private List<Optional<ChannelRecord>> read(int slot, int count) {
        ByteBuffer bytes = ByteBuffer.allocate(count * ChannelRecord.SLOT_BYTES);
        long from = (slot + 1L) * ChannelRecord.SLOT_BYTES;
        try {
            fill(bytes, file, from);
        } catch (IOException e) {
            throw StateDirectory.cannot("read the channel", path, e);
        }
        List<Optional<ChannelRecord>> records = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int expectedSlot = slot + i;
            records.add(ChannelRecord.parse(bytes.slice(i * ChannelRecord.SLOT_BYTES, ChannelRecord.SLOT_BYTES))
                    // A record that stands where its number does not belong is damage.
                    .filter(record -> record.number() <= NUMBER_MAX && slotOf(record.number()) == expectedSlot));
        }
        return records;
    }

    /** Reads until the buffer is full or the file ends. */
    static void fill(ByteBuffer bytes, FileChannel file, long from) throws IOException {
        int count;
        do {
            count = file.read(bytes, from + bytes.position());
        } while (count > 0 && bytes.hasRemaining());
    }

    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw StateDirectory.cannot("close the channel", path, e);
        }
    }
}
