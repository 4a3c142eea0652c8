package dev.metacircular.image;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * Writes images. Equal specifications give equal bytes. No file's content is held in memory, and none is read more often than
 * twice. The image appears under its name complete or not at all.
 */
public final class ImageWriter {
    private static final Digest NO_DIGEST = new Digest("0".repeat(64));
    private static final String KERNEL = "kernel";
    private static final String MANIFEST = "manifest";
    private static final String ADAPTER = "adapter";
    private static final int BUFFER_BYTES = 1 << 16;

    private ImageWriter() {}

    /**
     * Writes the image {@code out}, replacing one that is there.
     *
     * @throws ImageException if the specification cannot be packed, a source cannot be read or changes meanwhile, or the file
     *     cannot be written; then {@code out} is as it was
     */
    public static WrittenImage write(ImageSpec spec, Path out) {
        Path absolute = out.toAbsolutePath();
        Path temporary = absolute.resolveSibling(
                "." + absolute.getFileName() + "." + ProcessHandle.current().pid() + "." + System.nanoTime());
        try {
            try {
                WrittenImage written = writeTo(spec, temporary);
                Files.move(temporary, absolute, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
                return written;
            } finally {
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot write the image '%s': %s. Check that its folder exists, is writable and has room."
                            .formatted(out, reason(e)),
                    e);
        }
    }

    private static WrittenImage writeTo(ImageSpec spec, Path file) throws IOException {
        KernelElf kernel = KernelElf.parse(KERNEL, spec.kernel());
        Node.RegularFile kernelNode = new Node.RegularFile(Attributes.of(0755), spec.kernel());
        Node.Directory root = new Node.Directory(spec.workload().attributes());
        root.add(KERNEL, kernelNode);
        spec.adapter().ifPresent(adapter -> root.add(ADAPTER, adapter));
        for (String reserved : List.of(KERNEL, MANIFEST, ADAPTER)) {
            if (spec.workload().entries().containsKey(FileName.of(reserved))) {
                throw new ImageException(
                        "The workload has a file '/%s', a name that the image keeps for itself: rename it."
                                .formatted(reserved));
            }
        }
        spec.workload().entries().forEach(root::add);

        Node.RegularFile manifestNode = new Node.RegularFile(Attributes.of(0644), Content.of(new byte[0]));
        root.add(MANIFEST, manifestNode);

        ErofsLayout layout = ErofsLayout.of(root);
        Inode manifestInode = layout.inodeOf(manifestNode);
        Manifest provisional = manifest(spec, layout, Map.of(), NO_DIGEST);
        manifestInode.sizeBytes = provisional.toBytes().length;
        manifestInode.storedBlocks = ErofsFormat.blocks(manifestInode.sizeBytes);
        layout.place();

        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            return write(spec, kernel, layout, layout.inodeOf(kernelNode), manifestInode, channel);
        }
    }

    private static WrittenImage write(
            ImageSpec spec,
            KernelElf kernel,
            ErofsLayout layout,
            Inode kernelInode,
            Inode manifestInode,
            FileChannel channel)
            throws IOException {
        MessageDigest kernelDigest = Digest.sha256();
        Map<Segment.Role, Digest> digests = new EnumMap<>(Segment.Role.class);
        for (Segment.Role role : Manifest.DATA_SEGMENTS) {
            MessageDigest digest = Digest.sha256();
            BlockSink sink = new BlockSink(channel, layout.firstBlockOf(role) * ErofsFormat.BLOCK_BYTES, digest);
            for (Inode inode : layout.inodes()) {
                if (inode.segment == role && inode.node instanceof Node.RegularFile file) {
                    copy(inode, file.content(), sink, inode == kernelInode ? List.of(kernelDigest) : List.of());
                }
            }
            sink.flush();
            digests.put(role, Digest.finish(digest));
        }

        Manifest manifest = manifest(spec, layout, digests, Digest.finish(kernelDigest));
        byte[] manifestBytes = manifest.toBytes();
        if (manifestBytes.length != manifestInode.sizeBytes) {
            throw new IllegalStateException("the manifest's length changed while the image was written");
        }
        UUID uuid = writeMetadata(kernel, layout, kernelInode, manifestInode, manifestBytes, channel);
        long bytes = layout.totalBlocks() * ErofsFormat.BLOCK_BYTES;
        extend(channel, bytes);
        List<Segment> segments = new ArrayList<>();
        segments.add(new Segment(
                Segment.Role.METADATA,
                0,
                layout.firstBlockOf(Segment.Role.KERNEL) * ErofsFormat.BLOCK_BYTES,
                digest(channel, layout.firstBlockOf(Segment.Role.KERNEL))));
        digests.forEach((role, digest) -> segments.add(new Segment(
                role,
                layout.firstBlockOf(role) * ErofsFormat.BLOCK_BYTES,
                layout.blocksOf(role) * ErofsFormat.BLOCK_BYTES,
                digest)));
        return new WrittenImage(bytes, uuid, segments, manifest);
    }

    private static UUID writeMetadata(
            KernelElf kernel,
            ErofsLayout layout,
            Inode kernelInode,
            Inode manifestInode,
            byte[] manifestBytes,
            FileChannel channel)
            throws IOException {
        ErofsMetadata metadata = new ErofsMetadata(layout);
        byte[] firstBlock = metadata.firstBlock(kernel.header(kernelInode.firstBlock * ErofsFormat.BLOCK_BYTES));
        MessageDigest digest = Digest.sha256();
        digest.update(firstBlock);
        metadata.write(new BlockSink(channel, ErofsFormat.BLOCK_BYTES, digest), manifestInode, manifestBytes);
        byte[] uuid = ErofsFormat.uuid(digest.digest());
        System.arraycopy(
                uuid, 0, firstBlock, ErofsFormat.SUPERBLOCK_OFFSET + ErofsFormat.SB_UUID, ErofsFormat.UUID_BYTES);
        ByteBuffer first = ByteBuffer.wrap(firstBlock).order(ByteOrder.LITTLE_ENDIAN);
        first.putInt(
                ErofsFormat.SUPERBLOCK_OFFSET + ErofsFormat.SB_CHECKSUM, ErofsFormat.superblockChecksum(firstBlock));
        long at = 0;
        while (first.hasRemaining()) {
            at += channel.write(first, at);
        }
        ByteBuffer big = ByteBuffer.wrap(uuid);
        return new UUID(big.getLong(), big.getLong());
    }

    private static Manifest manifest(
            ImageSpec spec, ErofsLayout layout, Map<Segment.Role, Digest> digests, Digest kernel) {
        Map<Segment.Role, Manifest.SegmentLine> lines = new EnumMap<>(Segment.Role.class);
        for (Segment.Role role : Manifest.DATA_SEGMENTS) {
            Digest digest = digests.getOrDefault(role, NO_DIGEST);
            lines.put(role, new Manifest.SegmentLine(layout.blocksOf(role), digest));
        }
        Map<String, Digest> packed = new LinkedHashMap<>();
        packed.put(KERNEL, kernel);
        spec.manifest().digests().forEach(packed::putIfAbsent);
        return spec.manifest().with(lines, packed);
    }

    private static void copy(Inode inode, Content content, BlockSink sink, List<MessageDigest> digests) {
        try {
            if (inode.chunks.isPresent()) {
                copyChunks(inode, content, inode.chunks.get(), sink);
            } else {
                try (InputStream in = content.open()) {
                    copyBytes(in, inode.sizeBytes, sink, digests);
                    if (in.read() >= 0) {
                        throw new EOFException("it grew meanwhile");
                    }
                }
            }
            sink.zerosTo(ErofsFormat.alignUp(sink.position(), ErofsFormat.BLOCK_BYTES));
            content.requireUnchanged();
        } catch (IOException e) {
            throw new ImageException(
                    "Cannot put '%s' into the image: %s. Let nothing change the files while they are packed, and pack again."
                            .formatted(inode.path, reason(e)),
                    e);
        }
    }

    private static void copyChunks(Inode inode, Content content, SparseMap map, BlockSink sink) throws IOException {
        int shift = inode.chunkBits + ErofsFormat.BLOCK_BITS;
        try (InputStream in = content.open()) {
            long[] at = {0};
            map.forEachChunkWithData(inode.chunkBits, chunk -> {
                long start = chunk << shift;
                long end = Math.min(inode.sizeBytes, (chunk + 1) << shift);
                in.skipNBytes(start - at[0]);
                copyBytes(in, end - start, sink, List.of());
                at[0] = end;
            });
        }
    }

    private static void copyBytes(InputStream in, long bytes, BlockSink sink, List<MessageDigest> digests)
            throws IOException {
        byte[] buffer = new byte[(int) Math.min(BUFFER_BYTES, Math.max(bytes, 1))];
        long left = bytes;
        while (left > 0) {
            int read = in.read(buffer, 0, (int) Math.min(buffer.length, left));
            if (read < 0) {
                throw new EOFException("it shrank meanwhile");
            }
            sink.write(buffer, 0, read);
            digests.forEach(digest -> digest.update(buffer, 0, read));
            left -= read;
        }
    }

    private static void extend(FileChannel channel, long bytes) throws IOException {
        if (channel.size() < bytes) {
            channel.write(ByteBuffer.allocate(1), bytes - 1);
        }
    }

    private static Digest digest(FileChannel channel, long blocks) throws IOException {
        MessageDigest digest = Digest.sha256();
        ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
        long end = blocks * ErofsFormat.BLOCK_BYTES;
        for (long at = 0; at < end; ) {
            buffer.clear().limit((int) Math.min(BUFFER_BYTES, end - at));
            int read = channel.read(buffer, at);
            if (read < 0) {
                throw new EOFException("the image was cut while it was written");
            }
            digest.update(buffer.flip());
            at += read;
        }
        return Digest.finish(digest);
    }

    static String reason(IOException e) {
        String kind = e.getClass().getSimpleName();
        String message = e.getMessage();
        if (message == null) {
            return kind;
        }
        return e instanceof FileSystemException ? kind + " " + message : message;
    }
}
