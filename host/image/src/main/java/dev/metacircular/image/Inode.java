package dev.metacircular.image;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;

/** A node's place in an image; {@link ErofsLayout} fills it in. */
final class Inode {
    final Node node;
    /** How messages call it: its first path. */
    final String path;

    final Segment.Role segment;
    final Inode parent;
    /** Serial number from 1. */
    final int number;

    long linkCount = 1;
    long sizeBytes;
    boolean extended;
    int layout = ErofsFormat.LAYOUT_PLAIN;
    /** Byte offset in the image. */
    long position;
    /** First block of its data; until segments are placed, counted from the start of its segment. */
    long firstBlock;

    long storedBlocks;
    /** Only for a chunk-based file. */
    Optional<SparseMap> chunks = Optional.empty();

    int chunkBits;
    /** Only for a directory: its entries' inodes. */
    List<Inode> children = List.of();

    Inode(Node node, String path, Segment.Role segment, Optional<Inode> parent, int number) {
        this.node = node;
        this.path = path;
        this.segment = segment;
        this.parent = parent.orElse(this);
        this.number = number;
    }

    boolean isRoot() {
        return parent == this;
    }

    long nid() {
        return position / ErofsFormat.NID_BYTES;
    }

    int headerBytes() {
        return extended ? ErofsFormat.EXTENDED_BYTES : ErofsFormat.COMPACT_BYTES;
    }

    /** Bytes that stand right behind the inode: the last partial block of an inline node. */
    int inlineBytes() {
        return layout == ErofsFormat.LAYOUT_INLINE ? (int) (sizeBytes % ErofsFormat.BLOCK_BYTES) : 0;
    }

    /** The entry of a directory under construction. */
    static final class Entry {
        private final byte[] name;
        private final Inode inode;

        Entry(byte[] name, Inode inode) {
            this.name = name;
            this.inode = inode;
        }

        byte[] name() {
            return name;
        }

        Inode inode() {
            return inode;
        }
    }

    /** A directory's entries with {@code .} and {@code ..}, in the order of their bytes. */
    List<Entry> entries() {
        SortedMap<FileName, Node> named = ((Node.Directory) node).entries();
        List<Entry> entries = new ArrayList<>(named.size() + 2);
        Entry[] dots = {new Entry(new byte[] {'.'}, this), new Entry(new byte[] {'.', '.'}, parent)};
        int dot = 0;
        int child = 0;
        for (Map.Entry<FileName, Node> entry : named.entrySet()) {
            byte[] name = entry.getKey().bytes();
            while (dot < dots.length && Arrays.compareUnsigned(dots[dot].name(), name) < 0) {
                entries.add(dots[dot++]);
            }
            entries.add(new Entry(name, children.get(child++)));
        }
        while (dot < dots.length) {
            entries.add(dots[dot++]);
        }
        return entries;
    }
}
