package dev.metacircular.agent;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * What the agent does by itself from time to time. Each chore has a thread and an interval of its own, so that one that hangs or fails holds up no other;
 * a failure is an event once, until the chore has gone well again.
 */
final class Housekeeping implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(Housekeeping.class.getName());

    private final EventLog events;
    private final List<Thread> threads = new ArrayList<>();

    /**
     * @param name what it is, for the event of its failure
     * @param first how long after the agent's start
     * @param every how long after its end it is done again
     */
    record Chore(String name, Duration first, Duration every, Work work) {
        interface Work {
            void run() throws Exception;
        }
    }

    Housekeeping(EventLog events, List<Chore> chores) {
        this.events = events;
        for (Chore chore : chores) {
            threads.add(Thread.ofVirtual().name(chore.name()).start(() -> run(chore)));
        }
    }

    private void run(Chore chore) {
        boolean failed = false;
        try {
            Thread.sleep(chore.first());
            while (true) {
                failed = !done(chore, failed);
                Thread.sleep(chore.every());
            }
        } catch (InterruptedException e) {
            LOG.fine(() -> chore.name() + " ends");
        }
    }

    private boolean done(Chore chore, boolean failedBefore) throws InterruptedException {
        try {
            chore.work().run();
            return true;
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            if (Thread.currentThread().isInterrupted()) {
                throw new InterruptedException();
            }
            String why = chore.name() + " failed: " + e.getMessage();
            LOG.log(Level.WARNING, why);
            if (!failedBefore) {
                tell(why);
            }
            return false;
        }
    }

    private void tell(String why) {
        try {
            events.node(EventLog.Kind.HOUSEKEEPING_FAILED, why);
        } catch (RuntimeException e) {
            LOG.log(Level.WARNING, "the event of it cannot be recorded: " + e.getMessage());
        }
    }

    @Override
    public void close() {
        threads.forEach(Thread::interrupt);
        try {
            for (Thread thread : threads) {
                thread.join(Duration.ofSeconds(2));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
