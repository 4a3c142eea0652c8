package dev.metacircular.registry;

import java.util.OptionalLong;

/**
 * What setting desired states came to.
 *
 * @param generation of the service after it
 * @param event the number of the event that was recorded with it; empty if nothing changed
 */
public record DesiredChange(long generation, OptionalLong event) {}
