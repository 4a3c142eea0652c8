package dev.metacircular.registry;

import java.time.Instant;

/** Something that happened; {@code component} is empty for what is about the whole service, {@code service} for the node. */
public record RegistryEvent(Instant time, String service, String component, String kind, String message) {}
