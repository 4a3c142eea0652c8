package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The smallest kernel that a VMM boots: an ELF64 file with one segment and the note that names its 32-bit entry point (Xen's
 * {@code XEN_ELFNOTE_PHYS32_ENTRY}, the PVH boot protocol).
 */
final class PvhElf {
    /** Where the code is loaded and entered; a VMM wants it at 1 MiB or above. */
    static final int LOAD_ADDRESS = 0x101000;

    private static final int CODE_OFFSET = 0x1000;
    private static final int ELF_HEADER_BYTES = 64;
    private static final int PROGRAM_HEADER_BYTES = 56;
    private static final int NOTE_OFFSET = ELF_HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
    private static final int NOTE_BYTES = 20;
    private static final int NOTE_PHYS32_ENTRY = 18;
    private static final short TYPE_EXECUTABLE = 2;
    private static final short MACHINE_X86_64 = 62;

    private PvhElf() {}

    /** A file that runs this 32-bit code: paging off, flat segments, no stack. */
    static byte[] of(byte[] code) {
        ByteBuffer file = ByteBuffer.allocate(CODE_OFFSET + code.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
        file.putShort(TYPE_EXECUTABLE).putShort(MACHINE_X86_64).putInt(1);
        file.putLong(LOAD_ADDRESS).putLong(ELF_HEADER_BYTES).putLong(0);
        file.putInt(0).putShort((short) ELF_HEADER_BYTES);
        file.putShort((short) PROGRAM_HEADER_BYTES).putShort((short) 2);
        file.putShort((short) 64).putShort((short) 0).putShort((short) 0);
        // PT_LOAD, read, write and execute; then PT_NOTE.
        programHeader(file, 1, 7, CODE_OFFSET, LOAD_ADDRESS, code.length, 0x1000);
        programHeader(file, 4, 4, NOTE_OFFSET, 0, NOTE_BYTES, 4);
        file.putInt(4).putInt(4).putInt(NOTE_PHYS32_ENTRY);
        file.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).putInt(LOAD_ADDRESS);
        file.position(CODE_OFFSET).put(code);
        return file.array();
    }

    private static void programHeader(
            ByteBuffer file, int type, int flags, long offset, long address, long bytes, long alignment) {
        file.putInt(type).putInt(flags);
        file.putLong(offset).putLong(address).putLong(address);
        file.putLong(bytes).putLong(bytes).putLong(alignment);
    }
}
