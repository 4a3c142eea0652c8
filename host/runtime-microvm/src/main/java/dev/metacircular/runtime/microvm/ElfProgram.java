package dev.metacircular.runtime.microvm;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.image.Content;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** What a file is, as far as running it goes (System V ABI, ELF-64; docs/image-format.md has the note of native programs). */
sealed interface ElfProgram {
    /** Linked with the library of native workloads. */
    record Native(AbiVersion abi) implements ElfProgram {}

    /** A Linux program that needs no other file to start. */
    record StaticLinux() implements ElfProgram {}

    /** A Linux program that an interpreter loads. */
    record DynamicLinux(String interpreter) implements ElfProgram {}

    /** @param what completes "it is" */
    record Other(String what) implements ElfProgram {}

    int MAGIC = 0x464c457f;
    int HEADER_BYTES = 64;
    int PROGRAM_HEADER_BYTES = 56;
    int MAX_PROGRAM_HEADERS = 256;
    int MAX_PART_BYTES = 1 << 16;
    int PT_INTERP = 3;
    int PT_NOTE = 4;
    int X86_64 = 62;

    /** {@code e_machine} of what is met in images. */
    Map<Integer, String> MACHINES = Map.of(
            3, "x86 of 32 bits", 40, "ARM of 32 bits", 183, "ARM of 64 bits", 243, "RISC-V", 22, "s390", 21, "POWER");

    static ElfProgram of(Content content) throws IOException {
        byte[] header = read(content, 0, HEADER_BYTES);
        if (header.length >= 2 && header[0] == '#' && header[1] == '!') {
            byte[] line = read(content, 0, 128);
            String text =
                    new String(line, StandardCharsets.UTF_8).lines().findFirst().orElse("#!");
            return new Other("a script for '" + text.substring(2).strip().replaceAll("\\p{Cntrl}", "?")
                    + "': name that program and give it the script");
        }
        ByteBuffer elf = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        if (header.length < HEADER_BYTES || elf.getInt(0) != MAGIC) {
            return new Other("no ELF file");
        }
        int machine = Short.toUnsignedInt(elf.getShort(18));
        if (machine != X86_64 || header[4] != 2 || header[5] != 1) {
            return new Other(
                    "a program for " + MACHINES.getOrDefault(machine, "another processor") + ", not for x86-64");
        }
        int type = elf.getShort(16);
        int count = Short.toUnsignedInt(elf.getShort(56));
        if ((type != 2 && type != 3) || elf.getShort(54) != PROGRAM_HEADER_BYTES || count > MAX_PROGRAM_HEADERS) {
            return new Other("an ELF file that is no program");
        }
        byte[] table = read(content, elf.getLong(32), count * PROGRAM_HEADER_BYTES);
        if (table.length < count * PROGRAM_HEADER_BYTES || count == 0) {
            return new Other("a damaged ELF file");
        }
        return of(content, ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN), count);
    }

    private static ElfProgram of(Content content, ByteBuffer table, int count) throws IOException {
        ElfProgram program = new StaticLinux();
        for (int i = 0; i < count; i++) {
            int at = i * PROGRAM_HEADER_BYTES;
            int type = table.getInt(at);
            long bytes = table.getLong(at + 32);
            if ((type != PT_INTERP && type != PT_NOTE) || bytes < 0 || bytes > MAX_PART_BYTES) {
                continue;
            }
            byte[] part = read(content, table.getLong(at + 8), (int) bytes);
            if (type == PT_INTERP) {
                program = new DynamicLinux(new String(part, StandardCharsets.UTF_8).replace("\0", ""));
            } else {
                AbiVersion abi = abi(part);
                if (abi != null) {
                    return new Native(abi);
                }
            }
        }
        return program;
    }

    private static @org.jspecify.annotations.Nullable AbiVersion abi(byte[] notes) {
        ByteBuffer note = ByteBuffer.wrap(notes).order(ByteOrder.LITTLE_ENDIAN);
        while (note.remaining() >= 12) {
            long nameBytes = Integer.toUnsignedLong(note.getInt());
            long contentBytes = Integer.toUnsignedLong(note.getInt());
            int type = note.getInt();
            long whole = (nameBytes + 3 & ~3L) + (contentBytes + 3 & ~3L);
            if (whole > note.remaining()) {
                return null;
            }
            int at = note.position();
            if (type == 1
                    && nameBytes == 8
                    && contentBytes == 8
                    && new String(notes, at, 8, StandardCharsets.US_ASCII).equals("ukernel\0")) {
                int major = note.getInt(at + 8);
                int minor = note.getInt(at + 12);
                boolean sane = major >= 0 && major <= 9999 && minor >= 0 && minor <= 9999;
                return sane ? new AbiVersion(major, minor) : null;
            }
            note.position(at + (int) whole);
        }
        return null;
    }

    private static byte[] read(Content content, long offset, int bytes) throws IOException {
        if (offset < 0 || offset > content.sizeBytes()) {
            return new byte[0];
        }
        try (InputStream in = content.open()) {
            in.skipNBytes(offset);
            return in.readNBytes(bytes);
        }
    }
}
