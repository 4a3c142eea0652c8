package dev.metacircular.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.List;

/** Encodes superblock and inodes of a layout that has been placed. */
final class ErofsMetadata {
    private final ErofsLayout layout;

    ErofsMetadata(ErofsLayout layout) {
        this.layout = layout;
    }

    /** The first block with UUID and checksum zero. */
    byte[] firstBlock(byte[] elfHeader) {
        byte[] block = new byte[ErofsFormat.BLOCK_BYTES];
        System.arraycopy(elfHeader, 0, block, 0, elfHeader.length);
        int at = ErofsFormat.SUPERBLOCK_OFFSET;
        ByteBuffer.wrap(block)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(at + ErofsFormat.SB_MAGIC, ErofsFormat.SUPERBLOCK_MAGIC)
                .putInt(at + ErofsFormat.SB_FEATURE_COMPAT, ErofsFormat.COMPAT_CHECKSUM | ErofsFormat.COMPAT_MTIME)
                .put(at + ErofsFormat.SB_BLOCK_BITS, (byte) ErofsFormat.BLOCK_BITS)
                .putShort(at + ErofsFormat.SB_ROOT_NID, (short)
                        layout.inodes().getFirst().nid())
                .putLong(at + ErofsFormat.SB_INODES, layout.inodes().size())
                .putInt(at + ErofsFormat.SB_BLOCKS, (int) layout.totalBlocks())
                .putInt(
                        at + ErofsFormat.SB_FEATURE_INCOMPAT,
                        layout.anyChunked() ? ErofsFormat.INCOMPAT_CHUNKED_FILE : 0);
        return block;
    }

    /** Writes inodes, directories and the manifest: all of the metadata segment but its first block. */
    void write(BlockSink sink, Inode manifest, byte[] manifestBytes) throws IOException {
        for (Inode inode : layout.inodes()) {
            sink.zerosTo(inode.position);
            sink.write(header(inode));
            if (inode.layout == ErofsFormat.LAYOUT_INLINE) {
                sink.write(blocks(inode).getLast());
            } else if (inode.chunks.isPresent()) {
                writeChunks(sink, inode, inode.chunks.get());
            }
        }
        for (Inode inode : layout.inodes()) {
            if (inode.segment != Segment.Role.METADATA || inode.storedBlocks == 0) {
                continue;
            }
            sink.zerosTo(inode.firstBlock * ErofsFormat.BLOCK_BYTES);
            if (inode == manifest) {
                sink.write(manifestBytes);
            } else {
                List<byte[]> blocks = blocks(inode);
                for (int block = 0; block < inode.storedBlocks; block++) {
                    sink.write(blocks.get(block));
                }
            }
        }
        sink.zerosTo(layout.firstBlockOf(Segment.Role.KERNEL) * ErofsFormat.BLOCK_BYTES);
        sink.flush();
    }

    private static List<byte[]> blocks(Inode inode) {
        return switch (inode.node) {
            case Node.Directory _ -> ErofsDirectory.encode(inode.entries());
            case Node.SymbolicLink link -> List.of(link.target());
            case Node.RegularFile _ -> throw new IllegalStateException("a file's data is not metadata");
        };
    }

    private static byte[] header(Inode inode) {
        ByteBuffer out = ByteBuffer.allocate(inode.headerBytes()).order(ByteOrder.LITTLE_ENDIAN);
        Attributes attributes = inode.node.attributes();
        out.putShort(0, (short) ((inode.extended ? 1 : 0) | inode.layout << 1));
        out.putShort(4, (short) (type(inode.node) | attributes.mode()));
        out.putInt(16, location(inode));
        out.putInt(20, inode.number);
        if (inode.extended) {
            Instant time = attributes.modified();
            out.putLong(8, inode.sizeBytes)
                    .putInt(24, (int) attributes.uid())
                    .putInt(28, (int) attributes.gid())
                    .putLong(32, time.getEpochSecond())
                    .putInt(40, time.getNano())
                    .putInt(44, (int) inode.linkCount);
        } else {
            out.putShort(6, (short) inode.linkCount)
                    .putInt(8, (int) inode.sizeBytes)
                    .putShort(24, (short) attributes.uid())
                    .putShort(26, (short) attributes.gid());
        }
        return out.array();
    }

    private static int location(Inode inode) {
        if (inode.layout == ErofsFormat.LAYOUT_CHUNKED) {
            return inode.chunkBits;
        }
        return inode.storedBlocks > 0 ? (int) inode.firstBlock : 0;
    }

    private static int type(Node node) {
        return switch (node) {
            case Node.Directory _ -> ErofsFormat.MODE_DIRECTORY;
            case Node.RegularFile _ -> ErofsFormat.MODE_FILE;
            case Node.SymbolicLink _ -> ErofsFormat.MODE_LINK;
        };
    }

    private static void writeChunks(BlockSink sink, Inode inode, SparseMap map) throws IOException {
        long[] nextChunk = {0};
        long[] nextBlock = {inode.firstBlock};
        byte[] entry = new byte[ErofsFormat.CHUNK_ENTRY_BYTES];
        ByteBuffer entryBuffer = ByteBuffer.wrap(entry).order(ByteOrder.LITTLE_ENDIAN);
        map.forEachChunkWithData(inode.chunkBits, chunk -> {
            holes(sink, chunk - nextChunk[0], entry, entryBuffer);
            entryBuffer.putInt(0, (int) nextBlock[0]);
            sink.write(entry);
            nextBlock[0] += 1L << inode.chunkBits;
            nextChunk[0] = chunk + 1;
        });
        holes(sink, map.chunks(inode.chunkBits) - nextChunk[0], entry, entryBuffer);
    }

    private static void holes(BlockSink sink, long count, byte[] entry, ByteBuffer entryBuffer) throws IOException {
        entryBuffer.putInt(0, (int) ErofsFormat.HOLE);
        for (long i = 0; i < count; i++) {
            sink.write(entry);
        }
    }
}
