package dev.metacircular.registry;

import java.time.Instant;

/** The last alert of a component; {@code service} and {@code component} are empty for the node's. */
public record AlertSent(String service, String component, int urgency, Instant time) {}
