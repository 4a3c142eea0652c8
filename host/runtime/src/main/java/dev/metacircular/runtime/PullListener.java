package dev.metacircular.runtime;

/** Is told how a pull goes on. */
@FunctionalInterface
public interface PullListener {
    /**
     * @param totalBytes what is known of the whole so far, 0 if nothing is
     */
    void progress(String what, long doneBytes, long totalBytes);
}
