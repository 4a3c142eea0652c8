package dev.metacircular.vm;

import java.util.Optional;

/** What the drivers' common part asks of a running VMM. */
interface VmmControl {
    /**
     * Why the VMM stands still over an error of its own; empty when it does not, or cannot be asked just now.
     */
    Optional<String> failure(StateDirectory directory) throws InterruptedException;
}
