package dev.metacircular.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Reads the parts of EROFS that an image uses. Everything read is checked before it is used: an error names the byte, and no
 * content makes it loop, allocate without bound or read outside the file.
 */
final class ErofsReader {
    static final long MAX_DIRECTORY_BYTES = 1L << 30;
    static final int MAX_CHUNK_BITS = 19;

    private final BlockFile file;
    private final ByteBuffer superblock;

    /** An inode; {@code location} is its first block, {@code mapOffset} the byte where inline data or a chunk map begins. */
    record RawInode(
            long nid,
            ImageEntry.Kind kind,
            int mode,
            long uid,
            long gid,
            Instant modified,
            long sizeBytes,
            long links,
            int layout,
            long location,
            long mapOffset) {}

    /** One name of a directory. */
    static final class RawEntry {
        private final byte[] name;
        private final long nid;
        private final int type;

        RawEntry(byte[] name, long nid, int type) {
            this.name = name;
            this.nid = nid;
            this.type = type;
        }

        byte[] name() {
            return name;
        }

        long nid() {
            return nid;
        }

        int type() {
            return type;
        }
    }

    /** Where a part of a file's data stands: in the file at {@code offset}, or nowhere, being zeros. */
    record Extent(Optional<Long> offset, int bytes) {}

    ErofsReader(BlockFile file) {
        this.file = file;
        byte[] first = file.read(0, ErofsFormat.BLOCK_BYTES, "the first block");
        this.superblock = little(Arrays.copyOfRange(
                first, ErofsFormat.SUPERBLOCK_OFFSET, ErofsFormat.SUPERBLOCK_OFFSET + ErofsFormat.SUPERBLOCK_BYTES));
        if (superblock.getInt(ErofsFormat.SB_MAGIC) != ErofsFormat.SUPERBLOCK_MAGIC) {
            throw file.bad("byte 1024 does not begin an EROFS superblock");
        }
        int stored = superblock.getInt(ErofsFormat.SB_CHECKSUM);
        int computed = ErofsFormat.superblockChecksum(first);
        if (stored != computed) {
            throw file.bad(
                    "the superblock's checksum is %08x where its content gives %08x".formatted(stored, computed));
        }
        int blockBits = superblock.get(ErofsFormat.SB_BLOCK_BITS);
        int incompatible = superblock.getInt(ErofsFormat.SB_FEATURE_INCOMPAT);
        if (blockBits != ErofsFormat.BLOCK_BITS
                || superblock.get(ErofsFormat.SB_EXTENSION_SLOTS) != 0
                || superblock.getInt(ErofsFormat.SB_META_BLOCK) != 0
                || (incompatible & ~ErofsFormat.INCOMPAT_CHUNKED_FILE) != 0) {
            throw file.bad("its superblock asks for features that images do not use (block bits %d, features %x)"
                    .formatted(blockBits, incompatible));
        }
        if (blocks() * ErofsFormat.BLOCK_BYTES != file.sizeBytes()) {
            throw file.bad("its superblock counts %d blocks of 4096 bytes, and the file has %d bytes"
                    .formatted(blocks(), file.sizeBytes()));
        }
    }

    long blocks() {
        return Integer.toUnsignedLong(superblock.getInt(ErofsFormat.SB_BLOCKS));
    }

    long rootNid() {
        return Short.toUnsignedLong(superblock.getShort(ErofsFormat.SB_ROOT_NID));
    }

    long inodeCount() {
        return superblock.getLong(ErofsFormat.SB_INODES);
    }

    byte[] uuid() {
        byte[] uuid = new byte[ErofsFormat.UUID_BYTES];
        superblock.get(ErofsFormat.SB_UUID, uuid);
        return uuid;
    }

    RawInode inode(long nid) {
        if (nid < 0 || nid > file.sizeBytes() / ErofsFormat.NID_BYTES) {
            throw file.bad("inode %d lies outside the file".formatted(nid));
        }
        long at = nid * ErofsFormat.NID_BYTES;
        String what = "inode " + nid;
        ByteBuffer raw = little(file.read(at, ErofsFormat.COMPACT_BYTES, what));
        int format = Short.toUnsignedInt(raw.getShort(0));
        boolean extended = (format & 1) != 0;
        int layout = format >> 1;
        if (raw.getShort(2) != 0) {
            throw file.bad("inode %d has extended attributes".formatted(nid));
        }
        int headerBytes = extended ? ErofsFormat.EXTENDED_BYTES : ErofsFormat.COMPACT_BYTES;
        if (extended) {
            raw = little(file.read(at, headerBytes, what));
        }
        int fileMode = Short.toUnsignedInt(raw.getShort(4));
        ImageEntry.Kind kind = switch (fileMode & ErofsFormat.MODE_FORMAT) {
            case ErofsFormat.MODE_FILE -> ImageEntry.Kind.FILE;
            case ErofsFormat.MODE_DIRECTORY -> ImageEntry.Kind.DIRECTORY;
            case ErofsFormat.MODE_LINK -> ImageEntry.Kind.LINK;
            default -> throw file.bad("inode %d has the mode 0%o".formatted(nid, fileMode));
        };
        long size = extended ? raw.getLong(8) : Integer.toUnsignedLong(raw.getInt(8));
        RawInode inode = new RawInode(
                nid,
                kind,
                fileMode & 07777,
                extended ? Integer.toUnsignedLong(raw.getInt(24)) : Short.toUnsignedLong(raw.getShort(24)),
                extended ? Integer.toUnsignedLong(raw.getInt(28)) : Short.toUnsignedLong(raw.getShort(26)),
                extended ? time(nid, raw.getLong(32), raw.getInt(40)) : Instant.EPOCH,
                size,
                extended ? Integer.toUnsignedLong(raw.getInt(44)) : Short.toUnsignedLong(raw.getShort(6)),
                layout,
                Integer.toUnsignedLong(raw.getInt(16)),
                at + headerBytes);
        requireSound(inode);
        return inode;
    }

    private Instant time(long nid, long seconds, int nanos) {
        try {
            return Instant.ofEpochSecond(seconds, Integer.toUnsignedLong(nanos));
        } catch (DateTimeException | ArithmeticException e) {
            ImageException bad = file.bad("inode %d has a time of %d s".formatted(nid, seconds));
            bad.initCause(e);
            throw bad;
        }
    }

    private void requireSound(RawInode inode) {
        long nid = inode.nid();
        long size = inode.sizeBytes();
        boolean small = switch (inode.kind()) {
            case FILE -> true;
            case DIRECTORY -> size > 0 && size <= MAX_DIRECTORY_BYTES;
            case LINK -> size > 0 && size <= Node.SymbolicLink.MAX_TARGET_BYTES;
        };
        if (size < 0 || !small) {
            throw file.bad("inode %d has a size of %d bytes".formatted(nid, size));
        }
        switch (inode.layout()) {
            case ErofsFormat.LAYOUT_PLAIN -> requireBlocks(inode, ErofsFormat.blocks(size));
            case ErofsFormat.LAYOUT_INLINE -> {
                int tail = (int) (size % ErofsFormat.BLOCK_BYTES);
                if (tail == 0 || inode.mapOffset() % ErofsFormat.BLOCK_BYTES + tail > ErofsFormat.BLOCK_BYTES) {
                    throw file.bad("inode %d has inline data that crosses a block boundary".formatted(nid));
                }
                requireInside(inode, inode.mapOffset(), tail);
                requireBlocks(inode, size / ErofsFormat.BLOCK_BYTES);
            }
            case ErofsFormat.LAYOUT_CHUNKED -> {
                boolean known = (inode.location() & ~ErofsFormat.CHUNK_BITS_MASK) == 0;
                int bits = (int) inode.location() & ErofsFormat.CHUNK_BITS_MASK;
                if (inode.kind() != ImageEntry.Kind.FILE || !known || bits > MAX_CHUNK_BITS) {
                    throw file.bad("inode %d has the chunk format %x".formatted(nid, inode.location()));
                }
                long chunkBytes = 1L << (bits + ErofsFormat.BLOCK_BITS);
                long chunks = size / chunkBytes + (size % chunkBytes == 0 ? 0 : 1);
                if (chunks > file.sizeBytes() / ErofsFormat.CHUNK_ENTRY_BYTES) {
                    throw file.bad("inode %d has %d chunks".formatted(nid, chunks));
                }
                requireInside(inode, inode.mapOffset(), chunks * ErofsFormat.CHUNK_ENTRY_BYTES);
            }
            default -> throw file.bad("inode %d has the data layout %d".formatted(nid, inode.layout()));
        }
    }

    private void requireBlocks(RawInode inode, long count) {
        requireInside(inode, inode.location() * ErofsFormat.BLOCK_BYTES, count * ErofsFormat.BLOCK_BYTES);
    }

    private void requireInside(RawInode inode, long offset, long bytes) {
        if (bytes > 0 && (bytes > file.sizeBytes() || offset > file.sizeBytes() - bytes)) {
            throw file.bad("the data of inode %d, %d bytes at byte %d, lies outside the file"
                    .formatted(inode.nid(), bytes, offset));
        }
    }

    /** Where the data from {@code at} on stands; at most {@code atMost} bytes, never across a block that lies elsewhere. */
    Extent extent(RawInode inode, long at, int atMost) {
        int bytes = (int) Math.min(atMost, inode.sizeBytes() - at);
        return switch (inode.layout()) {
            case ErofsFormat.LAYOUT_PLAIN ->
                new Extent(Optional.of(inode.location() * ErofsFormat.BLOCK_BYTES + at), bytes);
            case ErofsFormat.LAYOUT_INLINE -> {
                long inlineFrom = inode.sizeBytes() / ErofsFormat.BLOCK_BYTES * ErofsFormat.BLOCK_BYTES;
                yield at >= inlineFrom
                        ? new Extent(Optional.of(inode.mapOffset() + at - inlineFrom), bytes)
                        : new Extent(Optional.of(inode.location() * ErofsFormat.BLOCK_BYTES + at), (int)
                                Math.min(bytes, inlineFrom - at));
            }
            case ErofsFormat.LAYOUT_CHUNKED -> {
                int shift = ((int) inode.location() & ErofsFormat.CHUNK_BITS_MASK) + ErofsFormat.BLOCK_BITS;
                long chunk = at >> shift;
                long inChunk = at - (chunk << shift);
                int part = (int) Math.min(bytes, (1L << shift) - inChunk);
                byte[] raw = file.read(
                        inode.mapOffset() + chunk * ErofsFormat.CHUNK_ENTRY_BYTES,
                        ErofsFormat.CHUNK_ENTRY_BYTES,
                        "the chunk map of inode " + inode.nid());
                long entry = Integer.toUnsignedLong(little(raw).getInt());
                yield entry == ErofsFormat.HOLE
                        ? new Extent(Optional.empty(), part)
                        : new Extent(Optional.of(entry * ErofsFormat.BLOCK_BYTES + inChunk), part);
            }
            default -> throw new IllegalStateException("an inode's layout is checked when it is read");
        };
    }

    /** Reads {@code bytes} bytes of a file, directory or link from {@code at} on, all of them. */
    byte[] data(RawInode inode, long at, int bytes) {
        byte[] out = new byte[bytes];
        int done = 0;
        while (done < bytes) {
            Extent extent = extent(inode, at + done, bytes - done);
            if (extent.bytes() <= 0) {
                throw file.bad("inode %d ends before byte %d of its data".formatted(inode.nid(), at + bytes));
            }
            if (extent.offset().isPresent()) {
                byte[] read = file.read(extent.offset().get(), extent.bytes(), "the data of inode " + inode.nid());
                System.arraycopy(read, 0, out, done, extent.bytes());
            }
            done += extent.bytes();
        }
        return out;
    }

    /** A directory's entries in order, {@code .} and {@code ..} checked and left out. */
    List<RawEntry> entries(RawInode directory, long parentNid) {
        List<RawEntry> entries = new ArrayList<>();
        byte[] previous = new byte[0];
        int dots = 0;
        for (long at = 0; at < directory.sizeBytes(); at += ErofsFormat.BLOCK_BYTES) {
            int bytes = (int) Math.min(ErofsFormat.BLOCK_BYTES, directory.sizeBytes() - at);
            for (RawEntry entry : block(directory, at, data(directory, at, bytes))) {
                if (Arrays.compareUnsigned(previous, entry.name()) >= 0) {
                    throw bad(directory, at, "has the name '%s' out of order".formatted(FileName.show(entry.name())));
                }
                previous = entry.name();
                if (!FileName.isDots(entry.name())) {
                    entries.add(entry);
                    continue;
                }
                long expected = entry.name().length == 1 ? directory.nid() : parentNid;
                if (entry.nid() != expected || entry.type() != ErofsFormat.TYPE_DIRECTORY) {
                    throw bad(
                            directory,
                            at,
                            "has '%s' lead to inode %d".formatted(FileName.show(entry.name()), entry.nid()));
                }
                dots++;
            }
        }
        if (dots != 2) {
            throw bad(directory, 0, "lacks '.' or '..'");
        }
        return entries;
    }

    private List<RawEntry> block(RawInode directory, long at, byte[] data) {
        ByteBuffer block = little(data);
        int bytes = data.length;
        if (bytes < ErofsFormat.DIRENT_BYTES) {
            throw bad(directory, at, "has a block of %d bytes".formatted(bytes));
        }
        int namesFrom = Short.toUnsignedInt(block.getShort(8));
        int count = namesFrom / ErofsFormat.DIRENT_BYTES;
        if (count == 0 || namesFrom % ErofsFormat.DIRENT_BYTES != 0 || namesFrom > bytes) {
            throw bad(directory, at, "has its first name at %d".formatted(namesFrom));
        }
        List<RawEntry> entries = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int entry = i * ErofsFormat.DIRENT_BYTES;
            int from = Short.toUnsignedInt(block.getShort(entry + 8));
            int to = i + 1 < count
                    ? Short.toUnsignedInt(block.getShort(entry + ErofsFormat.DIRENT_BYTES + 8))
                    : endOfLastName(data, from);
            if (from < namesFrom || to > bytes || to <= from || to - from > FileName.MAX_BYTES) {
                throw bad(directory, at, "has a name at %d to %d".formatted(from, to));
            }
            byte[] name = Arrays.copyOfRange(data, from, to);
            for (byte b : name) {
                if (b == 0 || b == '/') {
                    throw bad(directory, at, "has the name '%s'".formatted(FileName.show(name)));
                }
            }
            entries.add(new RawEntry(name, block.getLong(entry), block.get(entry + 10)));
        }
        return entries;
    }

    private static int endOfLastName(byte[] block, int from) {
        int to = from;
        while (to < block.length && block[to] != 0) {
            to++;
        }
        return to;
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private ImageException bad(RawInode directory, long at, String why) {
        return file.bad("directory inode %d, from byte %d of its data, %s".formatted(directory.nid(), at, why));
    }
}
