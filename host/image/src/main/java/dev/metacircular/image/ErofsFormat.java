package dev.metacircular.image;

import java.util.Arrays;
import java.util.zip.CRC32C;

/** Numbers of the EROFS on-disk format (Linux, {@code fs/erofs/erofs_fs.h}) as far as an image uses them. */
final class ErofsFormat {
    static final int BLOCK_BITS = 12;
    static final int BLOCK_BYTES = 1 << BLOCK_BITS;

    static final int SUPERBLOCK_OFFSET = 1024;
    static final int SUPERBLOCK_BYTES = 128;
    static final int SUPERBLOCK_MAGIC = 0xE0F5E1E2;

    /** Offsets of fields within the superblock. */
    static final int SB_MAGIC = 0;

    static final int SB_CHECKSUM = 4;
    static final int SB_FEATURE_COMPAT = 8;
    static final int SB_BLOCK_BITS = 12;
    static final int SB_EXTENSION_SLOTS = 13;
    static final int SB_ROOT_NID = 14;
    static final int SB_INODES = 16;
    static final int SB_BUILD_SECONDS = 24;
    static final int SB_BUILD_NANOS = 32;
    static final int SB_BLOCKS = 36;
    static final int SB_META_BLOCK = 40;
    static final int SB_UUID = 48;
    static final int UUID_BYTES = 16;
    static final int SB_FEATURE_INCOMPAT = 80;

    static final int COMPAT_CHECKSUM = 1;
    static final int COMPAT_MTIME = 2;
    static final int INCOMPAT_CHUNKED_FILE = 4;

    static final int NID_BYTES = 32;
    static final int COMPACT_BYTES = 32;
    static final int EXTENDED_BYTES = 64;

    static final int LAYOUT_PLAIN = 0;
    static final int LAYOUT_INLINE = 2;
    static final int LAYOUT_CHUNKED = 4;

    static final int CHUNK_BITS_MASK = 0x1f;
    static final int CHUNK_INDEXES = 0x20;
    static final int CHUNK_ENTRY_BYTES = 4;
    static final long HOLE = 0xffff_ffffL;

    static final int DIRENT_BYTES = 12;
    static final int TYPE_FILE = 1;
    static final int TYPE_DIRECTORY = 2;
    static final int TYPE_LINK = 7;

    static final int MODE_FORMAT = 0170000;
    static final int MODE_FILE = 0100000;
    static final int MODE_DIRECTORY = 0040000;
    static final int MODE_LINK = 0120000;

    private ErofsFormat() {}

    /** Number of blocks that hold {@code bytes}. */
    static long blocks(long bytes) {
        return (bytes + BLOCK_BYTES - 1) >>> BLOCK_BITS;
    }

    static long alignUp(long value, int alignment) {
        return (value + alignment - 1) / alignment * alignment;
    }

    /**
     * The superblock's checksum: CRC-32C without the final inversion over the first block from the superblock to its end, the
     * checksum field being zero.
     */
    static int superblockChecksum(byte[] firstBlock) {
        byte[] covered = new byte[BLOCK_BYTES - SUPERBLOCK_OFFSET];
        System.arraycopy(firstBlock, SUPERBLOCK_OFFSET, covered, 0, covered.length);
        for (int i = 0; i < 4; i++) {
            covered[SB_CHECKSUM + i] = 0;
        }
        CRC32C crc = new CRC32C();
        crc.update(covered);
        return ~(int) crc.getValue();
    }

    /** The first 16 bytes of {@code digest} as an RFC 9562 version 8 UUID. */
    static byte[] uuid(byte[] digest) {
        byte[] uuid = Arrays.copyOf(digest, UUID_BYTES);
        uuid[6] = (byte) ((uuid[6] & 0x0f) | 0x80);
        uuid[8] = (byte) ((uuid[8] & 0x3f) | 0x80);
        return uuid;
    }
}
