package dev.metacircular.image;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Where everything of an image stands. The order is that of a walk in which a directory comes before its entries and they come
 * in the order of their names, so that equal trees have equal layouts.
 */
final class ErofsLayout {
    /** A file is stored in chunks when that saves at least this much. */
    static final long CHUNKED_GAIN_BYTES = 64 * 1024;

    /** EROFS counts blocks in 32 bits, and the highest number marks a hole. */
    static final long MAX_BLOCKS = 0xffff_fffeL;

    static final long MAX_COMPACT_LINKS = 0xffff;
    static final long MAX_COMPACT_OWNER = 0xffff;
    static final long MAX_COMPACT_BYTES = 0xffff_ffffL;

    private final List<Inode> inodes = new ArrayList<>();
    private final IdentityHashMap<Node, Inode> byNode = new IdentityHashMap<>();
    private final Map<Segment.Role, Long> segmentBlocks = new EnumMap<>(Segment.Role.class);
    private boolean anyChunked;
    private long metadataBlocks;

    private ErofsLayout() {}

    /**
     * Collects a tree's inodes and finds the size of every data segment.
     *
     * @param root holds {@code kernel}, which makes the kernel's segment, {@code manifest}, whose data belongs to the metadata,
     *     and {@code adapter}, which makes the adapter's
     */
    static ErofsLayout of(Node.Directory root) {
        ErofsLayout layout = new ErofsLayout();
        layout.collect(root);
        layout.inodes.forEach(layout::sizeAndForm);
        for (Inode inode : layout.inodes) {
            if (inode.segment != Segment.Role.METADATA) {
                inode.firstBlock = layout.blocksOf(inode.segment);
                layout.segmentBlocks.merge(inode.segment, inode.storedBlocks, Long::sum);
            }
        }
        return layout;
    }

    private record Pending(Inode inode, Node.Directory directory) {}

    private void collect(Node.Directory root) {
        Deque<Pending> pending = new ArrayDeque<>();
        Inode first = add(root, "/", Segment.Role.METADATA, Optional.empty());
        first.linkCount = 2;
        pending.push(new Pending(first, root));
        while (!pending.isEmpty()) {
            Pending next = pending.pop();
            Inode parent = next.inode();
            List<Inode> children = new ArrayList<>(next.directory().entries().size());
            List<Pending> directories = new ArrayList<>();
            for (Map.Entry<FileName, Node> entry : next.directory().entries().entrySet()) {
                Inode known = byNode.get(entry.getValue());
                if (known != null) {
                    if (entry.getValue() instanceof Node.Directory) {
                        throw new ImageException("The directory '%s' stands twice in the tree.".formatted(known.path));
                    }
                    known.linkCount++;
                    children.add(known);
                    continue;
                }
                String path = (parent.isRoot() ? "" : parent.path) + "/" + entry.getKey();
                Inode child = add(
                        entry.getValue(), path, segment(parent, entry.getKey(), entry.getValue()), Optional.of(parent));
                children.add(child);
                if (entry.getValue() instanceof Node.Directory directory) {
                    child.linkCount = 2;
                    parent.linkCount++;
                    directories.add(new Pending(child, directory));
                }
            }
            parent.children = children;
            directories.reversed().forEach(pending::push);
        }
    }

    private Inode add(Node node, String path, Segment.Role segment, Optional<Inode> parent) {
        Inode inode = new Inode(node, path, segment, parent, inodes.size() + 1);
        inodes.add(inode);
        byNode.put(node, inode);
        return inode;
    }

    private static Segment.Role segment(Inode parent, FileName name, Node node) {
        return switch (node) {
            case Node.Directory _, Node.SymbolicLink _ -> Segment.Role.METADATA;
            case Node.RegularFile _ -> {
                if (!parent.isRoot()) {
                    boolean ofAdapter = parent.path.equals("/adapter") || parent.path.startsWith("/adapter/");
                    yield ofAdapter ? Segment.Role.ADAPTER : Segment.Role.WORKLOAD;
                }
                yield switch (name.toString()) {
                    case "kernel" -> Segment.Role.KERNEL;
                    case "manifest" -> Segment.Role.METADATA;
                    default -> Segment.Role.WORKLOAD;
                };
            }
        };
    }

    private void sizeAndForm(Inode inode) {
        switch (inode.node) {
            case Node.Directory _ -> {
                inode.sizeBytes = ErofsDirectory.sizeBytes(inode.entries());
                inode.extended = needsExtended(inode);
                inlineWherePossible(inode);
            }
            case Node.SymbolicLink link -> {
                inode.sizeBytes = link.target().length;
                inode.extended = needsExtended(inode);
                inlineWherePossible(inode);
            }
            case Node.RegularFile file -> {
                inode.sizeBytes = file.content().sizeBytes();
                inode.extended = needsExtended(inode);
                inode.storedBlocks = ErofsFormat.blocks(inode.sizeBytes);
                if (inode.sizeBytes >= CHUNKED_GAIN_BYTES && inode.segment != Segment.Role.KERNEL) {
                    chunkWhereItPays(inode, file.content());
                }
            }
        }
    }

    private static boolean needsExtended(Inode inode) {
        Attributes attributes = inode.node.attributes();
        return inode.sizeBytes > MAX_COMPACT_BYTES
                || inode.linkCount > MAX_COMPACT_LINKS
                || attributes.uid() > MAX_COMPACT_OWNER
                || attributes.gid() > MAX_COMPACT_OWNER
                || !attributes.modified().equals(Attributes.NO_TIME);
    }

    private static void inlineWherePossible(Inode inode) {
        long tail = inode.sizeBytes % ErofsFormat.BLOCK_BYTES;
        boolean fits = tail > 0 && inode.headerBytes() + tail <= ErofsFormat.BLOCK_BYTES;
        inode.layout = fits ? ErofsFormat.LAYOUT_INLINE : ErofsFormat.LAYOUT_PLAIN;
        inode.storedBlocks = fits ? inode.sizeBytes / ErofsFormat.BLOCK_BYTES : ErofsFormat.blocks(inode.sizeBytes);
    }

    private void chunkWhereItPays(Inode inode, Content content) {
        SparseMap map;
        try {
            map = SparseMap.of(content);
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot read '%s' for the image: %s. Make it readable, or take it out."
                            .formatted(inode.path, ImageWriter.reason(e)),
                    e);
        }
        int bits = map.bestChunkBits(CHUNKED_GAIN_BYTES);
        if (bits >= 0) {
            inode.layout = ErofsFormat.LAYOUT_CHUNKED;
            inode.chunkBits = bits;
            inode.storedBlocks = map.storedBlocks(bits);
            inode.chunks = Optional.of(map);
            anyChunked = true;
        }
    }

    /** Number of blocks of a data segment. */
    long blocksOf(Segment.Role role) {
        return segmentBlocks.getOrDefault(role, 0L);
    }

    /** Places inodes, directories and the manifest, and behind them the data segments; to be called once. */
    void place() {
        long position = ErofsFormat.BLOCK_BYTES;
        for (Inode inode : inodes) {
            int together = inode.headerBytes() + inode.inlineBytes();
            if (position % ErofsFormat.BLOCK_BYTES + together > ErofsFormat.BLOCK_BYTES) {
                position = ErofsFormat.alignUp(position, ErofsFormat.BLOCK_BYTES);
            }
            inode.position = position;
            position += together;
            if (inode.chunks.isPresent()) {
                position += inode.chunks.get().chunks(inode.chunkBits) * ErofsFormat.CHUNK_ENTRY_BYTES;
            }
            position = ErofsFormat.alignUp(position, ErofsFormat.NID_BYTES);
        }
        long block = ErofsFormat.blocks(position);
        for (Inode inode : inodes) {
            if (inode.segment == Segment.Role.METADATA && inode.storedBlocks > 0) {
                inode.firstBlock = block;
                block += inode.storedBlocks;
            }
        }
        metadataBlocks = block;
        for (Inode inode : inodes) {
            if (inode.segment != Segment.Role.METADATA && inode.storedBlocks > 0) {
                inode.firstBlock += firstBlockOf(inode.segment);
            }
        }
        if (totalBlocks() > MAX_BLOCKS) {
            throw new ImageException("The image would have %d blocks of 4096 bytes; EROFS takes %d: pack less."
                    .formatted(totalBlocks(), MAX_BLOCKS));
        }
    }

    /** First block of a segment. */
    long firstBlockOf(Segment.Role role) {
        return switch (role) {
            case METADATA -> 0;
            case KERNEL -> metadataBlocks;
            case ADAPTER -> metadataBlocks + blocksOf(Segment.Role.KERNEL);
            case WORKLOAD -> metadataBlocks + blocksOf(Segment.Role.KERNEL) + blocksOf(Segment.Role.ADAPTER);
        };
    }

    long totalBlocks() {
        return firstBlockOf(Segment.Role.WORKLOAD) + blocksOf(Segment.Role.WORKLOAD);
    }

    boolean anyChunked() {
        return anyChunked;
    }

    /** All inodes in ascending order of position; the root first. */
    List<Inode> inodes() {
        return inodes;
    }

    Inode inodeOf(Node node) {
        Inode inode = byNode.get(node);
        if (inode == null) {
            throw new IllegalArgumentException("the node is not in the tree");
        }
        return inode;
    }
}
