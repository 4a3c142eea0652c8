package dev.metacircular.registry;

import java.time.Instant;

/**
 * A copy of the registry beside it.
 *
 * @param name of its file in the folder {@code snapshots}
 */
public record Snapshot(String name, Instant takenAt, long sizeBytes) {}
