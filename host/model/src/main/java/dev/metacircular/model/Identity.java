package dev.metacircular.model;

/**
 * What every instance bears as labels, and the only thing by which one is known.
 *
 * @param generation the service's generation that made it
 * @param documentDigest SHA-256 (hex) of the component's document that it was made from
 */
public record Identity(Name node, ComponentId component, long generation, String documentDigest) {}
