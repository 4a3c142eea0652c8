package dev.metacircular.registry;

import java.time.Instant;

/**
 * Something that happened; {@code component} is empty for what is about the whole service, {@code service} for the node.
 *
 * @param net whether it stands for all that happened while nobody looked
 * @param alert whether its alert is still to be raised
 */
public record RegistryEvent(
        Instant time, String service, String component, String kind, String message, boolean net, boolean alert) {}
