package dev.metacircular.oci;

/** Is told how a transfer goes on. */
@FunctionalInterface
public interface Progress {
    /** Tells nobody. */
    Progress NONE = (_, _) -> {};

    void bytes(long done, long total);
}
