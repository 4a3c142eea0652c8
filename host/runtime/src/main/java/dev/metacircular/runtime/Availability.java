package dev.metacircular.runtime;

/** Whether a backend can serve on this node. */
public sealed interface Availability {
    /**
     * @param version the backend's own version, such as {@code podman 4.3.1}
     * @param accelerator {@code kvm} or {@code emulation} for microVMs, empty for containers
     */
    record Available(String version, String accelerator) implements Availability {}

    /** @param reason what is missing, and what mends it */
    record Unavailable(String reason) implements Availability {}
}
