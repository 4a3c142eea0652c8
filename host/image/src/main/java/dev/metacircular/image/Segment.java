package dev.metacircular.image;

import java.util.Locale;

/**
 * One of the four consecutive parts of an image; together they are every byte of the file.
 *
 * @param role which part
 * @param offset first byte in the file, a multiple of 4,096
 * @param sizeBytes number of bytes, a multiple of 4,096, 0 for an empty one
 * @param digest SHA-256 of its bytes
 */
public record Segment(Role role, long offset, long sizeBytes, Digest digest) {
    /** The parts in the order of the file. */
    public enum Role {
        METADATA,
        KERNEL,
        ADAPTER,
        WORKLOAD;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }
}
