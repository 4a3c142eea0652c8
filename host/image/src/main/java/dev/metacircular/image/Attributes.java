package dev.metacircular.image;

import java.time.Instant;

/**
 * What a file system keeps about a node besides its content.
 *
 * @param mode permission bits, 0 to 07777
 * @param uid owner, 0 to 2^32−1
 * @param gid group, 0 to 2^32−1
 * @param modified time of the last change, not before 1970
 */
public record Attributes(int mode, long uid, long gid, Instant modified) {
    /** What {@link #of} uses for the time: 1970-01-01T00:00:00Z. */
    public static final Instant NO_TIME = Instant.EPOCH;

    public Attributes {
        if (mode < 0 || mode > 07777) {
            throw new ImageException("Mode 0%o is outside 0 to 07777.".formatted(mode));
        }
        if (uid < 0 || uid > 0xffff_ffffL || gid < 0 || gid > 0xffff_ffffL) {
            throw new ImageException("Owner %d:%d is outside 0 to 4294967295.".formatted(uid, gid));
        }
        if (modified.isBefore(Instant.EPOCH)) {
            throw new ImageException("Time %s is before 1970, which an image cannot hold.".formatted(modified));
        }
    }

    /** These permission bits, owned by root, with no time. */
    public static Attributes of(int mode) {
        return new Attributes(mode, 0, 0, NO_TIME);
    }
}
