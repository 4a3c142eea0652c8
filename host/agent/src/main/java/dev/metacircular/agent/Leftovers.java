package dev.metacircular.agent;

import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;

/** What a sudden end of an agent leaves outside its registry: unfinished files, and runtimes' copies of secrets that no instance has. */
final class Leftovers {
    private static final Logger LOG = Logger.getLogger(Leftovers.class.getName());
    private static final Duration AGAIN = Duration.ofSeconds(30);
    private static final int TRIES = 20;

    private Leftovers() {}

    /**
     * Collects them, again and again where a runtime does not answer; for a thread of its own.
     *
     * @param unfinished the records of files that were there before this agent served
     */
    static void collect(Runtimes runtimes, FileTransfers transfers, List<Path> unfinished) {
        transfers.collectLeftovers(unfinished);
        for (Runtime runtime : runtimes.all()) {
            for (int i = 1; i <= TRIES; i++) {
                try {
                    runtime.collect();
                    break;
                } catch (RuntimeFailure e) {
                    LOG.log(i == TRIES ? Level.WARNING : Level.FINE, "leftovers are not collected: " + e.getMessage());
                }
                try {
                    Thread.sleep(AGAIN);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
        }
    }
}
