package dev.metacircular.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** The on-disk form of directories: blocks of entries followed by their names, each block by itself. */
final class ErofsDirectory {
    private ErofsDirectory() {}

    /** Size of a directory's data; all but its last block are full ones. */
    static long sizeBytes(List<Inode.Entry> entries) {
        long blocks = 0;
        int used = 0;
        for (Inode.Entry entry : entries) {
            int needed = ErofsFormat.DIRENT_BYTES + entry.name().length;
            if (used + needed > ErofsFormat.BLOCK_BYTES) {
                blocks++;
                used = 0;
            }
            used += needed;
        }
        return blocks * ErofsFormat.BLOCK_BYTES + used;
    }

    /** The blocks; the last one is as long as what it holds. */
    static List<byte[]> encode(List<Inode.Entry> entries) {
        List<byte[]> blocks = new ArrayList<>();
        int from = 0;
        while (from < entries.size()) {
            int used = 0;
            int to = from;
            while (to < entries.size()) {
                int needed = ErofsFormat.DIRENT_BYTES + entries.get(to).name().length;
                if (used + needed > ErofsFormat.BLOCK_BYTES) {
                    break;
                }
                used += needed;
                to++;
            }
            blocks.add(block(entries.subList(from, to), to == entries.size() ? used : ErofsFormat.BLOCK_BYTES));
            from = to;
        }
        return blocks;
    }

    private static byte[] block(List<Inode.Entry> entries, int bytes) {
        ByteBuffer out = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int nameOffset = entries.size() * ErofsFormat.DIRENT_BYTES;
        for (Inode.Entry entry : entries) {
            out.putLong(entry.inode().nid())
                    .putShort((short) nameOffset)
                    .put((byte) type(entry.inode().node))
                    .put((byte) 0);
            out.put(nameOffset, entry.name());
            nameOffset += entry.name().length;
        }
        return out.array();
    }

    private static int type(Node node) {
        return switch (node) {
            case Node.Directory _ -> ErofsFormat.TYPE_DIRECTORY;
            case Node.RegularFile _ -> ErofsFormat.TYPE_FILE;
            case Node.SymbolicLink _ -> ErofsFormat.TYPE_LINK;
        };
    }
}
