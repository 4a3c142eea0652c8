package dev.metacircular.image;

import java.time.Instant;
import java.util.Optional;

/**
 * A file, directory or link of an image.
 *
 * @param path absolute path; control characters, {@code \} and bytes that are not UTF-8 are written {@code \xXX}
 * @param kind what it is
 * @param mode permission bits
 * @param uid owner
 * @param gid group
 * @param modified time of the last change
 * @param sizeBytes length of a file's content or of a link's target, of a directory what the file system needs for it
 * @param links number of names
 * @param nid number of its inode; equal for names of one file
 * @param target where a link leads, written as {@code path}; present for links alone
 */
public record ImageEntry(
        String path,
        Kind kind,
        int mode,
        long uid,
        long gid,
        Instant modified,
        long sizeBytes,
        long links,
        long nid,
        Optional<String> target) {
    /** What an entry is. */
    public enum Kind {
        FILE,
        DIRECTORY,
        LINK
    }
}
