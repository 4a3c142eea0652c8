package dev.metacircular.agent;

/** Takes what a stream delivers. */
interface Receiver<T> {
    void accept(T item) throws InterruptedException;

    /** Whether nothing more is wanted; asked at least once a second. */
    boolean isCancelled();
}
