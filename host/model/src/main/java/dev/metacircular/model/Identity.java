package dev.metacircular.model;

/**
 * What every instance bears as labels, and the only thing by which one is known.
 *
 * @param generation the service's generation that made it
 * @param documentDigest SHA-256 (hex) of the component's document that it was made from
 */
public record Identity(Name node, ComponentId component, long generation, String documentDigest) {
    /** Stands for the digest of an instance that was taken over: it was made from no document, so that it differs from every one. */
    public static final String ADOPTED = "adopted";

    /** Whether it bears no labels, and belongs to the component until its first deploy all the same. */
    public boolean isAdopted() {
        return documentDigest.equals(ADOPTED);
    }
}
