package dev.metacircular.runtime.microvm;

import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.FileName;
import dev.metacircular.image.Node;
import dev.metacircular.oci.Sha256;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;

/** Puts layers over one another (OCI Image Specification, layer.md). */
final class LayerReader {
    private static final String WHITEOUT = ".wh.";
    private static final String OPAQUE = ".wh..wh..opq";
    private static final String WHITEOUT_META = ".wh..wh.";

    /** So often there is a look whether there is room. */
    private static final long LOOK_BYTES = 64L << 20;

    /** Of the year 9999. */
    private static final long MAX_SECONDS = 253_402_300_799L;

    private final RootTree tree;
    private final Spool spool;
    private final long maxBytes;
    private final LongConsumer room;
    private long bytes;
    private long looked;
    private int layer;

    /**
     * @param maxBytes of all layers together, unpacked
     * @param room told how many bytes come next at most; throws where there is no room for them
     */
    LayerReader(RootTree tree, Spool spool, long maxBytes, LongConsumer room) {
        this.tree = tree;
        this.spool = spool;
        this.maxBytes = maxBytes;
        this.room = room;
    }

    /** How many were read. */
    long bytes() {
        return bytes;
    }

    /**
     * Puts the next layer on top.
     *
     * @return the digest of the archive
     * @throws RootTree.BadTree if what is in it cannot be taken
     * @throws IOException if it is damaged or cannot be read
     */
    Sha256 add(InputStream archive) throws IOException {
        layer++;
        MessageDigest digest = Sha256.start();
        InputStream counted = new FilterInputStream(archive) {
            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
            }

            @Override
            public int read(byte[] buffer, int offset, int length) throws IOException {
                int read = in.read(buffer, offset, length);
                if (read > 0) {
                    bytes += read;
                    if (bytes > maxBytes) {
                        throw new RootTree.BadTree("its layers unpack to more than " + maxBytes + " bytes");
                    }
                    if (bytes > looked) {
                        room.accept(LOOK_BYTES);
                        looked = bytes + LOOK_BYTES;
                    }
                    digest.update(buffer, offset, read);
                }
                return read;
            }

            @Override
            public long skip(long wanted) throws IOException {
                byte[] buffer = new byte[(int) Math.min(wanted, 1 << 16)];
                return Math.max(0, read(buffer, 0, buffer.length));
            }
        };
        TarReader tar = new TarReader(counted);
        for (Optional<TarReader.Entry> entry = tar.next(); entry.isPresent(); entry = tar.next()) {
            add(tar, entry.get());
        }
        // The digest is of the padding behind the end, too.
        counted.transferTo(java.io.OutputStream.nullOutputStream());
        return Sha256.finish(digest);
    }

    private void add(TarReader tar, TarReader.Entry entry) throws IOException {
        List<FileName> path = RootTree.names(entry.path());
        String last = path.isEmpty() ? "" : new String(path.getLast().bytes(), StandardCharsets.ISO_8859_1);
        if (last.equals(OPAQUE)) {
            tree.whiteOutContent(path.subList(0, path.size() - 1), layer);
            return;
        }
        if (last.startsWith(WHITEOUT_META)) {
            return;
        }
        if (last.startsWith(WHITEOUT)) {
            byte[] name = last.substring(WHITEOUT.length()).getBytes(StandardCharsets.ISO_8859_1);
            List<FileName> hidden = new java.util.ArrayList<>(path.subList(0, path.size() - 1));
            hidden.addAll(RootTree.names(name));
            if (hidden.size() != path.size()) {
                throw new RootTree.BadTree("'%s' hides nothing".formatted(TarReader.show(entry.path())));
            }
            tree.whiteOut(hidden, layer);
            return;
        }
        Attributes attributes = attributes(entry);
        switch (entry.kind()) {
            case DIRECTORY -> tree.folder(path, attributes, layer);
            case FILE -> {
                Content content = spool.add(tar.content());
                tree.put(path, new Node.RegularFile(attributes, content), layer);
            }
            case SYMBOLIC_LINK -> tree.put(path, new Node.SymbolicLink(attributes, entry.target()), layer);
            case HARD_LINK -> tree.link(path, RootTree.names(entry.target()), layer);
            case SPECIAL -> {
                // Below /dev there is what the guest has.
                if (path.isEmpty() || !path.getFirst().equals(FileName.of("dev"))) {
                    throw new RootTree.BadTree("'%s' is a device or a pipe".formatted(TarReader.show(entry.path())));
                }
            }
        }
    }

    private static Attributes attributes(TarReader.Entry entry) {
        if (entry.uid() > 0xffff_ffffL || entry.gid() > 0xffff_ffffL) {
            throw new RootTree.BadTree(
                    "'%s' belongs to %d:%d".formatted(TarReader.show(entry.path()), entry.uid(), entry.gid()));
        }
        // CPython, for one, compares the times of its compiled files.
        Instant modified = Instant.ofEpochSecond(Math.min(entry.modifiedSeconds(), MAX_SECONDS));
        return new Attributes(entry.mode(), entry.uid(), entry.gid(), modified);
    }
}
