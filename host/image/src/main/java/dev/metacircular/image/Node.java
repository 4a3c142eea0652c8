package dev.metacircular.image;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * A node of the tree that goes into an image. Nodes are told apart by identity: the same file or link object under several names
 * is one inode with several names (a hard link).
 */
public sealed interface Node {
    /** Permissions, owner, time. */
    Attributes attributes();

    /** A directory, filled by {@link #add}; it must stand in a tree once only. */
    final class Directory implements Node {
        private final Attributes attributes;
        private final SortedMap<FileName, Node> entries = new TreeMap<>();

        public Directory(Attributes attributes) {
            this.attributes = attributes;
        }

        @Override
        public Attributes attributes() {
            return attributes;
        }

        /** The entries in the order of their names' bytes. */
        public SortedMap<FileName, Node> entries() {
            return Collections.unmodifiableSortedMap(entries);
        }

        /**
         * Adds an entry.
         *
         * @return this directory
         * @throws ImageException if the name is taken
         */
        public Directory add(FileName name, Node node) {
            if (entries.putIfAbsent(name, node) != null) {
                throw new ImageException("The name '%s' stands twice in one directory.".formatted(name));
            }
            return this;
        }

        /** Adds an entry whose name is text. */
        public Directory add(String name, Node node) {
            return add(FileName.of(name), node);
        }
    }

    /** A regular file. */
    final class RegularFile implements Node {
        private final Attributes attributes;
        private final Content content;

        public RegularFile(Attributes attributes, Content content) {
            this.attributes = attributes;
            this.content = content;
        }

        @Override
        public Attributes attributes() {
            return attributes;
        }

        /** The bytes. */
        public Content content() {
            return content;
        }
    }

    /** A symbolic link; its target is 1 to 4,095 bytes, none of them zero. */
    final class SymbolicLink implements Node {
        /** The longest target in bytes that Linux takes. */
        public static final int MAX_TARGET_BYTES = 4095;

        private final Attributes attributes;
        private final byte[] target;

        public SymbolicLink(Attributes attributes, byte[] target) {
            if (target.length == 0 || target.length > MAX_TARGET_BYTES) {
                throw new ImageException("A symbolic link to '%s' has %d bytes; an image takes 1 to %d."
                        .formatted(FileName.show(target), target.length, MAX_TARGET_BYTES));
            }
            for (byte b : target) {
                if (b == 0) {
                    throw new ImageException(
                            "A symbolic link to '%s' holds a zero byte.".formatted(FileName.show(target)));
                }
            }
            this.attributes = attributes;
            this.target = Arrays.copyOf(target, target.length);
        }

        /** A link to a path given as text, with the usual permissions of a link (0777). */
        public static SymbolicLink to(String target) {
            return new SymbolicLink(Attributes.of(0777), target.getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public Attributes attributes() {
            return attributes;
        }

        /** How many bytes the target has. */
        public int targetBytes() {
            return target.length;
        }

        /** The target's bytes, a copy. */
        public byte[] target() {
            return target.clone();
        }
    }
}
