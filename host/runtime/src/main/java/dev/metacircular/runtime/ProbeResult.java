package dev.metacircular.runtime;

/** The outcome of one try of a health check. */
public sealed interface ProbeResult {
    record Healthy() implements ProbeResult {}

    /** @param why such as {@code connection refused} or {@code HTTP status 503} */
    record Unhealthy(String why) implements ProbeResult {}
}
