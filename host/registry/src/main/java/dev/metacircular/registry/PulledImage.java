package dev.metacircular.registry;

import java.time.Instant;

/**
 * An image that the agent brought to the node.
 *
 * @param image the runtime's ID of its content
 * @param reference by which it was asked for
 */
public record PulledImage(String image, String reference, String runtime, Instant pulledAt) {}
