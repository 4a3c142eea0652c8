package dev.metacircular.runtime.podman;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The archives in which podman gives a container's files (POSIX.1-1988, "ustar"). */
final class Tar {
    private static final int BLOCK_BYTES = 512;
    private static final int SIZE_AT = 124;
    private static final int SIZE_BYTES = 12;
    private static final int TYPE_AT = 156;
    private static final int OCTAL = 8;

    private Tar() {}

    /** The content of the first regular file; of no length if there is none, or the archive is cut off before its end. */
    static byte[] firstFile(byte[] archive) {
        int at = 0;
        while (at + BLOCK_BYTES <= archive.length) {
            String octal = new String(archive, at + SIZE_AT, SIZE_BYTES, StandardCharsets.US_ASCII)
                    .replace('\0', ' ')
                    .strip();
            if (!octal.matches("[0-7]{1,11}")) {
                break;
            }
            long announced = Long.parseLong(octal, OCTAL);
            byte type = archive[at + TYPE_AT];
            int content = at + BLOCK_BYTES;
            if (announced > archive.length - content) {
                break;
            }
            int size = (int) announced;
            if (type == '0' || type == 0) {
                return Arrays.copyOfRange(archive, content, content + size);
            }
            at = content + (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
        }
        return new byte[0];
    }
}
