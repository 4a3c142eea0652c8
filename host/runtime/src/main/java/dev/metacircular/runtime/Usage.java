package dev.metacircular.runtime;

import java.time.Duration;

/**
 * What an instance takes.
 *
 * @param cpu processor time since it was started
 */
public record Usage(long memoryBytes, Duration cpu) {}
