package dev.metacircular.registry;

import java.time.Instant;

/**
 * A copy of the registry beside it.
 *
 * @param name by which it is restored
 * @param takenAt of one that was uploaded, when it was
 */
public record Snapshot(String name, Instant takenAt, long sizeBytes) {}
