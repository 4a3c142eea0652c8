package dev.metacircular.registry;

/**
 * An event with its number.
 *
 * @param id grows with each event and is never given twice, also where the clock was set back
 */
public record StoredEvent(long id, RegistryEvent event) {}
