package dev.metacircular.registry;

import java.nio.file.Path;
import java.time.Instant;

/**
 * That a registry was found damaged when it was opened, and a snapshot took its place: what was written since is lost.
 *
 * @param damaged where the damaged file is kept
 * @param why it could not be used
 */
public record Restored(Snapshot snapshot, Path damaged, String why) {
    /** Since when what was written is lost. */
    public Instant lostSince() {
        return snapshot.takenAt();
    }
}
