package dev.metacircular.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * An image that is read. Nothing in the file is trusted: whatever its bytes, every method either answers or throws an {@link
 * ImageException} that names the place; none hangs, and none reads outside the file.
 */
public final class Image implements AutoCloseable {
    /** Longest chain of directories that is followed. */
    public static final int MAX_DEPTH = 4096;

    /** Most names that a walk visits. */
    public static final int MAX_ENTRIES = 1 << 24;

    private static final int BUFFER_BYTES = 1 << 16;

    private final Path path;
    private final FileChannel channel;
    private final BlockFile file;
    private final ErofsReader reader;
    private final ErofsReader.RawInode root;
    private final Manifest manifest;
    private final long kernelOffset;

    private Image(Path path, FileChannel channel) throws IOException {
        this.path = path;
        this.channel = channel;
        this.file = new BlockFile(path, channel);
        this.reader = new ErofsReader(file);
        this.root = reader.inode(reader.rootNid());
        if (root.kind() != ImageEntry.Kind.DIRECTORY) {
            throw file.bad("its root is not a directory");
        }
        ErofsReader.RawInode manifestInode = regular("manifest");
        if (manifestInode.sizeBytes() > TextForm.MAX_BYTES) {
            throw file.bad("'/manifest' has %d bytes".formatted(manifestInode.sizeBytes()));
        }
        this.manifest = Manifest.parse(reader.data(manifestInode, 0, (int) manifestInode.sizeBytes()));
        ErofsReader.RawInode kernel = regular("kernel");
        if (kernel.layout() != ErofsFormat.LAYOUT_PLAIN || kernel.sizeBytes() == 0) {
            throw file.bad("'/kernel' is not stored plain and contiguous");
        }
        this.kernelOffset = kernel.location() * ErofsFormat.BLOCK_BYTES;
    }

    /**
     * Opens an image and reads its manifest.
     *
     * @throws ImageException if there is no such file, or it is no image
     */
    public static Image open(Path path) {
        try {
            FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
            try {
                return new Image(path, channel);
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
        } catch (NoSuchFileException e) {
            throw new ImageException(
                    "There is no image '%s'. Pack one (ukernel pack), or check the path.".formatted(path), e);
        } catch (IOException e) {
            throw new ImageException("Cannot read the image '%s': %s.".formatted(path, ImageWriter.reason(e)), e);
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new ImageException("Cannot close the image '%s': %s.".formatted(path, ImageWriter.reason(e)), e);
        }
    }

    private ErofsReader.RawInode regular(String name) {
        byte[] wanted = FileName.of(name).bytes();
        ErofsReader.RawInode inode = reader.entries(root, root.nid()).stream()
                .filter(entry -> Arrays.equals(entry.name(), wanted))
                .findFirst()
                .map(entry -> reader.inode(entry.nid()))
                .orElseThrow(() -> file.bad("it has no '/%s'".formatted(name)));
        if (inode.kind() != ImageEntry.Kind.FILE) {
            throw file.bad("'/%s' is not a regular file".formatted(name));
        }
        return inode;
    }

    /** The file's length. */
    public long sizeBytes() {
        return file.sizeBytes();
    }

    /** The name of the whole content, as the file states it; {@link #verify} says whether it is true. */
    public UUID uuid() {
        ByteBuffer uuid = ByteBuffer.wrap(reader.uuid());
        return new UUID(uuid.getLong(), uuid.getLong());
    }

    /** The manifest. */
    public Manifest manifest() {
        return manifest;
    }

    /**
     * The four parts of the file. The metadata's digest is computed, the others' are those that the manifest states.
     *
     * @throws ImageException if the manifest's parts are not the file's
     */
    public List<Segment> segments() {
        List<Segment> segments = new ArrayList<>();
        segments.add(new Segment(
                Segment.Role.METADATA, 0, kernelOffset, Digest.finish(digest(0, kernelOffset, Digest.sha256()))));
        long at = kernelOffset;
        for (Segment.Role role : Manifest.DATA_SEGMENTS) {
            Manifest.SegmentLine line = manifest.segments().get(role);
            if (line == null) {
                throw file.bad("its manifest does not describe the segment '%s'".formatted(role));
            }
            long bytes = line.blocks() * ErofsFormat.BLOCK_BYTES;
            segments.add(new Segment(role, at, bytes, line.digest()));
            at += bytes;
        }
        if (at != file.sizeBytes()) {
            throw file.bad(
                    "the segments of its manifest end at byte %d, and the file has %d".formatted(at, file.sizeBytes()));
        }
        return List.copyOf(segments);
    }

    /**
     * Checks every byte of the file against the digests that it carries, and the ELF header against the kernel.
     *
     * @throws ImageException naming the first part that is not what it should be
     */
    public void verify() {
        MessageDigest digest = Digest.sha256();
        byte[] first = file.read(0, ErofsFormat.BLOCK_BYTES, "the first block");
        byte[] nameless = first.clone();
        int superblock = ErofsFormat.SUPERBLOCK_OFFSET;
        Arrays.fill(
                nameless,
                superblock + ErofsFormat.SB_UUID,
                superblock + ErofsFormat.SB_UUID + ErofsFormat.UUID_BYTES,
                (byte) 0);
        Arrays.fill(nameless, superblock + ErofsFormat.SB_CHECKSUM, superblock + ErofsFormat.SB_CHECKSUM + 4, (byte) 0);
        digest.update(nameless);
        byte[] computed = ErofsFormat.uuid(
                digest(ErofsFormat.BLOCK_BYTES, kernelOffset, digest).digest());
        if (!Arrays.equals(computed, reader.uuid())) {
            throw file.bad("its metadata is not what its UUID %s stands for".formatted(uuid()));
        }
        for (Segment segment : segments()) {
            if (segment.role() != Segment.Role.METADATA) {
                Digest actual = Digest.finish(
                        digest(segment.offset(), segment.offset() + segment.sizeBytes(), Digest.sha256()));
                if (!actual.equals(segment.digest())) {
                    throw file.bad("the bytes of its segment '%s' are %s where the manifest says %s"
                            .formatted(segment.role(), actual, segment.digest()));
                }
            }
        }
        byte[] header = kernelHeader();
        if (!Arrays.equals(header, 0, header.length, first, 0, header.length)) {
            throw file.bad("its ELF header does not lead into '/kernel'");
        }
    }

    private byte[] kernelHeader() {
        ErofsReader.RawInode kernel = regular("kernel");
        Content content = new Content() {
            @Override
            public long sizeBytes() {
                return kernel.sizeBytes();
            }

            @Override
            public InputStream open() {
                return new EntryStream(reader, kernel);
            }

            @Override
            public void requireUnchanged() {}
        };
        try {
            return KernelElf.parse(path + "/kernel", content).header(kernelOffset);
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot read '/kernel' of the image '%s': %s.".formatted(path, ImageWriter.reason(e)), e);
        }
    }

    private MessageDigest digest(long from, long to, MessageDigest digest) {
        for (long at = from; at < to; ) {
            int bytes = (int) Math.min(BUFFER_BYTES, to - at);
            digest.update(file.read(at, bytes, "a segment"));
            at += bytes;
        }
        return digest;
    }

    /** Gets entries one by one. */
    @FunctionalInterface
    public interface Visitor {
        void visit(ImageEntry entry);
    }

    private record Pending(ErofsReader.RawInode directory, long parentNid, String path, int depth) {}

    /** Visits everything below the root, a directory before its entries, those in the order of their names. */
    public void walk(Visitor visitor) {
        Set<Long> directories = new HashSet<>();
        directories.add(root.nid());
        Deque<Pending> pending = new ArrayDeque<>();
        pending.push(new Pending(root, root.nid(), "", 0));
        int visited = 0;
        while (!pending.isEmpty()) {
            Pending next = pending.pop();
            List<Pending> below = new ArrayList<>();
            for (ErofsReader.RawEntry raw : reader.entries(next.directory(), next.parentNid())) {
                String childPath = next.path() + "/" + FileName.show(raw.name());
                ErofsReader.RawInode inode = reader.inode(raw.nid());
                ImageEntry entry = entry(childPath, raw, inode);
                if (++visited > MAX_ENTRIES) {
                    throw file.bad("it has more than %d names".formatted(MAX_ENTRIES));
                }
                visitor.visit(entry);
                if (inode.kind() == ImageEntry.Kind.DIRECTORY) {
                    if (!directories.add(inode.nid())) {
                        throw file.bad("the directory '%s' stands in the tree a second time".formatted(childPath));
                    }
                    if (next.depth() + 1 > MAX_DEPTH) {
                        throw file.bad("'%s' is more than %d directories deep".formatted(childPath, MAX_DEPTH));
                    }
                    below.add(new Pending(inode, next.directory().nid(), childPath, next.depth() + 1));
                }
            }
            below.reversed().forEach(pending::push);
        }
    }

    private ImageEntry entry(String entryPath, ErofsReader.RawEntry raw, ErofsReader.RawInode inode) {
        int type = switch (inode.kind()) {
            case FILE -> ErofsFormat.TYPE_FILE;
            case DIRECTORY -> ErofsFormat.TYPE_DIRECTORY;
            case LINK -> ErofsFormat.TYPE_LINK;
        };
        if (raw.type() != type) {
            throw file.bad("the directory entry '%s' has type %d, its inode %d is a %s"
                    .formatted(entryPath, raw.type(), inode.nid(), inode.kind()));
        }
        Optional<String> target = inode.kind() == ImageEntry.Kind.LINK
                ? Optional.of(FileName.show(reader.data(inode, 0, (int) inode.sizeBytes())))
                : Optional.empty();
        return new ImageEntry(
                entryPath,
                inode.kind(),
                inode.mode(),
                inode.uid(),
                inode.gid(),
                inode.modified(),
                inode.sizeBytes(),
                inode.links(),
                inode.nid(),
                target);
    }

    /** All entries that {@link #walk} visits. */
    public List<ImageEntry> entries() {
        List<ImageEntry> entries = new ArrayList<>();
        walk(entries::add);
        return entries;
    }

    /**
     * The content of a regular file.
     *
     * @param entry one of this image's
     */
    public InputStream read(ImageEntry entry) {
        ErofsReader.RawInode inode = reader.inode(entry.nid());
        if (inode.kind() != ImageEntry.Kind.FILE) {
            throw new ImageException("'%s' in the image '%s' is not a regular file.".formatted(entry.path(), path));
        }
        return new EntryStream(reader, inode);
    }
}
