package dev.metacircular.oci;

import java.time.Duration;

/**
 * How long is waited.
 *
 * @param connect for a connection
 * @param answer for the beginning of an answer
 * @param idle for the next bytes of one
 * @param total for all calls of a {@link RegistryClient} together, from its making on
 */
public record Deadlines(Duration connect, Duration answer, Duration idle, Duration total) {
    public static final Deadlines DEFAULT =
            new Deadlines(Duration.ofSeconds(10), Duration.ofSeconds(60), Duration.ofSeconds(60), Duration.ofHours(1));
}
