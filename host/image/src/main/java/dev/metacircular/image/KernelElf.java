package dev.metacircular.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The parts of a kernel's ELF file that an image's first bytes repeat (System V ABI, ELF-64; the PVH entry note is the Xen
 * project's {@code XEN_ELFNOTE_PHYS32_ENTRY}).
 *
 * @param entry {@code e_entry}, a physical address
 * @param segments the {@code PT_LOAD} and {@code PT_NOTE} program headers in the file's order
 */
record KernelElf(long entry, List<ProgramHeader> segments) {
    static final int HEADER_BYTES = 64;
    static final int PROGRAM_HEADER_BYTES = 56;
    static final int MAX_PROGRAM_HEADERS = 16;
    static final int PT_LOAD = 1;
    static final int PT_NOTE = 4;

    private static final int MAGIC = 0x464c457f;
    private static final int CLASS_64_LITTLE_ENDIAN_V1 = 0x010102;
    private static final int ET_EXEC = 2;
    private static final int EM_X86_64 = 62;
    private static final int MAX_FILE_PROGRAM_HEADERS = 256;
    private static final int MAX_NOTE_BYTES = 1 << 16;
    private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;

    KernelElf {
        segments = List.copyOf(segments);
    }

    /** A program header; {@code offset} counts from the start of the ELF file. */
    record ProgramHeader(
            int type,
            int flags,
            long offset,
            long virtualAddress,
            long physicalAddress,
            long fileBytes,
            long memoryBytes,
            long alignment) {}

    /**
     * Reads a kernel's headers.
     *
     * @param what how messages call the file
     * @throws ImageException if it is no kernel that an image can carry
     */
    static KernelElf parse(String what, Content content) throws IOException {
        byte[] header = read(content, 0, HEADER_BYTES);
        ByteBuffer elf = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        if (header.length < HEADER_BYTES || elf.getInt(0) != MAGIC) {
            throw bad(what, "it does not begin with an ELF header");
        }
        if ((elf.getInt(4) & 0xffffff) != CLASS_64_LITTLE_ENDIAN_V1) {
            throw bad(what, "it is not a 64-bit little-endian ELF file");
        }
        if (elf.getShort(16) != ET_EXEC || elf.getShort(18) != EM_X86_64) {
            throw bad(what, "it is not a static executable for x86-64");
        }
        long tableOffset = elf.getLong(32);
        int entryBytes = Short.toUnsignedInt(elf.getShort(54));
        int count = Short.toUnsignedInt(elf.getShort(56));
        if (entryBytes != PROGRAM_HEADER_BYTES || count == 0 || count > MAX_FILE_PROGRAM_HEADERS) {
            throw bad(what, "its program header table has %d entries of %d bytes".formatted(count, entryBytes));
        }
        requireInside(what, "program header table", tableOffset, (long) count * entryBytes, content.sizeBytes());
        ByteBuffer table =
                ByteBuffer.wrap(read(content, tableOffset, count * entryBytes)).order(ByteOrder.LITTLE_ENDIAN);
        List<ProgramHeader> kept = new ArrayList<>();
        boolean pvh = false;
        for (int i = 0; i < count; i++) {
            ProgramHeader segment = programHeader(table, i * PROGRAM_HEADER_BYTES);
            if (segment.type() != PT_LOAD && segment.type() != PT_NOTE) {
                continue;
            }
            requireInside(what, "program header " + i, segment.offset(), segment.fileBytes(), content.sizeBytes());
            if (segment.type() == PT_LOAD
                    && segment.fileBytes() > 0
                    && ((segment.offset() ^ segment.virtualAddress()) & (ErofsFormat.BLOCK_BYTES - 1)) != 0) {
                throw bad(
                        what,
                        "program header %d has an offset that is not congruent to its address modulo 4096"
                                .formatted(i));
            }
            pvh |= segment.type() == PT_NOTE && hasPvhEntry(content, segment);
            kept.add(segment);
        }
        if (!pvh) {
            throw bad(what, "it has no PVH entry note, so no VMM of ours can start it");
        }
        if (kept.size() > MAX_PROGRAM_HEADERS) {
            throw bad(
                    what,
                    "it has %d loadable segments and notes, and an image's header has room for %d"
                            .formatted(kept.size(), MAX_PROGRAM_HEADERS));
        }
        return new KernelElf(elf.getLong(24), kept);
    }

    /** The ELF and program headers for a file in which the kernel's own file begins at {@code kernelOffset}. */
    byte[] header(long kernelOffset) {
        ByteBuffer out = ByteBuffer.allocate(ErofsFormat.SUPERBLOCK_OFFSET).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0, MAGIC)
                .putInt(4, CLASS_64_LITTLE_ENDIAN_V1)
                .putShort(16, (short) ET_EXEC)
                .putShort(18, (short) EM_X86_64)
                .putInt(20, 1)
                .putLong(24, entry)
                .putLong(32, HEADER_BYTES)
                .putShort(52, (short) HEADER_BYTES)
                .putShort(54, (short) PROGRAM_HEADER_BYTES)
                .putShort(56, (short) segments.size())
                .putShort(58, (short) 64);
        int at = HEADER_BYTES;
        for (ProgramHeader segment : segments) {
            out.putInt(at, segment.type())
                    .putInt(at + 4, segment.flags())
                    .putLong(at + 8, segment.offset() + kernelOffset)
                    .putLong(at + 16, segment.virtualAddress())
                    .putLong(at + 24, segment.physicalAddress())
                    .putLong(at + 32, segment.fileBytes())
                    .putLong(at + 40, segment.memoryBytes())
                    .putLong(at + 48, segment.alignment());
            at += PROGRAM_HEADER_BYTES;
        }
        return out.array();
    }

    private static ProgramHeader programHeader(ByteBuffer table, int at) {
        return new ProgramHeader(
                table.getInt(at),
                table.getInt(at + 4),
                table.getLong(at + 8),
                table.getLong(at + 16),
                table.getLong(at + 24),
                table.getLong(at + 32),
                table.getLong(at + 40),
                table.getLong(at + 48));
    }

    private static boolean hasPvhEntry(Content content, ProgramHeader notes) throws IOException {
        if (notes.fileBytes() > MAX_NOTE_BYTES) {
            return false;
        }
        byte[] bytes = read(content, notes.offset(), (int) notes.fileBytes());
        ByteBuffer note = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        while (note.remaining() >= 12) {
            long nameBytes = Integer.toUnsignedLong(note.getInt());
            long descriptionBytes = Integer.toUnsignedLong(note.getInt());
            int type = note.getInt();
            long whole = ErofsFormat.alignUp(nameBytes, 4) + ErofsFormat.alignUp(descriptionBytes, 4);
            if (whole > note.remaining()) {
                return false;
            }
            if (type == XEN_ELFNOTE_PHYS32_ENTRY
                    && nameBytes == 4
                    && new String(bytes, note.position(), 4, StandardCharsets.US_ASCII).equals("Xen\0")) {
                return true;
            }
            note.position(note.position() + (int) whole);
        }
        return false;
    }

    private static byte[] read(Content content, long offset, int bytes) throws IOException {
        try (InputStream in = content.open()) {
            in.skipNBytes(Math.min(offset, content.sizeBytes()));
            return in.readNBytes(bytes);
        }
    }

    private static void requireInside(String what, String part, long offset, long bytes, long fileBytes) {
        if (offset < 0 || bytes < 0 || offset > fileBytes || bytes > fileBytes - offset) {
            throw bad(
                    what,
                    "its %s (offset %d, %d bytes) lies outside the file of %d bytes"
                            .formatted(part, offset, bytes, fileBytes));
        }
    }

    private static ImageException bad(String what, String why) {
        return new ImageException("'%s' is not a kernel that an image can carry: %s. Build the kernel again (./build)."
                .formatted(what, why));
    }
}
