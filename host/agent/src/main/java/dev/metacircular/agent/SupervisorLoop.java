package dev.metacircular.agent;

import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Runtime;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Has the supervisor look every two seconds (less often where a look takes long), when something is due, and when a backend tells of a
 * change: at once, unless a deploy makes that change.
 */
final class SupervisorLoop implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(SupervisorLoop.class.getName());
    private static final Duration INTERVAL = Duration.ofSeconds(2);
    private static final Duration LONGEST_INTERVAL = Duration.ofSeconds(30);
    /** Of the time, looking takes at most one part in so many. */
    private static final int SHARE = 20;
    /** Changes come in bursts: between two looks lies at least so long. */
    private static final Duration SPACING = Duration.ofMillis(100);
    /** What is changed by a deploy, which wants the backend for itself, can wait. */
    private static final Duration SETTLE_WHILE_BUSY = Duration.ofSeconds(1);

    private static final Duration REVIVE_INTERVAL = Duration.ofSeconds(10);
    private static final Duration BOOT_LIMIT = Duration.ofMinutes(5);
    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    private final Supervisor supervisor;
    private final ServiceLocks locks;
    private final Runnable revive;
    private final Path bootFile;
    private final Clock clock;
    private final List<Events.Subscription> subscriptions = new ArrayList<>();
    private final Thread thread;
    private final long begunNanos = System.nanoTime();
    private boolean changed;
    private boolean urgent;
    private boolean closed;
    private long revivedNanos = System.nanoTime() - REVIVE_INTERVAL.toNanos();

    /** @param revive brings an unreachable backend back, where the agent can */
    SupervisorLoop(
            Supervisor supervisor, Runtimes runtimes, ServiceLocks locks, Runnable revive, Path bootFile, Clock clock) {
        this.supervisor = supervisor;
        this.locks = locks;
        this.revive = revive;
        this.bootFile = bootFile;
        this.clock = clock;
        this.thread = Thread.ofVirtual().name("supervisor").unstarted(this::run);
        for (Runtime runtime : runtimes.all()) {
            runtime.events()
                    .ifPresent(e -> subscriptions.add(e.subscribe(new Events.Listener() {
                        @Override
                        public void changed(InstanceId instance) {
                            wake(!supervisor.isBeingChanged(instance.value()));
                        }

                        @Override
                        public void gap() {
                            wake(false);
                        }
                    })));
        }
        thread.start();
    }

    /** @param urgent whether the change is nobody's who holds its service */
    private synchronized void wake(boolean urgent) {
        changed = true;
        this.urgent |= urgent;
        notifyAll();
    }

    /** Whether the node has booted since the file was written; a node that cannot tell has not. */
    static boolean hasBooted(Path bootFile) {
        try {
            return !Files.exists(bootFile) || !Files.readString(bootFile).equals(Files.readString(BOOT_ID));
        } catch (IOException e) {
            return false;
        }
    }

    private void run() {
        while (true) {
            Duration pause = INTERVAL;
            try {
                long begun = System.nanoTime();
                Supervisor.Pass pass = supervisor.pass();
                Duration took = Duration.ofNanos(System.nanoTime() - begun);
                if (pass.complete() && took.multipliedBy(SHARE).compareTo(INTERVAL) > 0) {
                    pause = min(LONGEST_INTERVAL, took.multipliedBy(SHARE));
                }
                if (pass.next().isPresent()) {
                    pause = min(
                            pause, Duration.between(clock.instant(), pass.next().get()));
                }
                if (supervisor.isBooting() && pass.complete() && (pass.join() || bootedLongAgo())) {
                    supervisor.bootDone();
                    rememberBoot();
                }
                if (supervisor.isAnythingUnavailable()) {
                    tryRevive();
                }
            } catch (RuntimeException e) {
                LOG.log(Level.SEVERE, "the supervisor's look failed", e);
            } catch (InterruptedException e) {
                return;
            }
            if (!await(pause)) {
                return;
            }
        }
    }

    /** What cannot be done for so long does not hold up that ends count as the components' own. */
    private boolean bootedLongAgo() {
        return System.nanoTime() - begunNanos >= BOOT_LIMIT.toNanos();
    }

    private void tryRevive() {
        if (System.nanoTime() - revivedNanos >= REVIVE_INTERVAL.toNanos()) {
            revivedNanos = System.nanoTime();
            Thread.startVirtualThread(revive);
        }
    }

    private static Duration min(Duration a, Duration b) {
        Duration smaller = a.compareTo(b) <= 0 ? a : b;
        return smaller.compareTo(Duration.ofMillis(10)) < 0 ? Duration.ofMillis(10) : smaller;
    }

    /** Waits for the time or a change; returns whether to go on. */
    private synchronized boolean await(Duration pause) {
        long began = System.nanoTime();
        long until = began + pause.toNanos();
        boolean settling = false;
        try {
            while (!closed) {
                if (urgent) {
                    until = Math.min(until, began + SPACING.toNanos());
                } else if (changed && !settling) {
                    settling = true;
                    Duration settle = locks.isBusy() ? SETTLE_WHILE_BUSY : SPACING;
                    until = Math.min(until, System.nanoTime() + settle.toNanos());
                }
                long left = until - System.nanoTime();
                if (left <= 0) {
                    break;
                }
                wait(left / 1_000_000, (int) (left % 1_000_000));
            }
            changed = false;
            urgent = false;
        } catch (InterruptedException e) {
            return false;
        }
        return !closed;
    }

    private void rememberBoot() {
        try {
            if (Files.exists(BOOT_ID)) {
                Files.writeString(bootFile, Files.readString(BOOT_ID));
            }
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot write " + bootFile + ": " + Main.describe(e));
        }
    }

    @Override
    public void close() {
        subscriptions.forEach(Events.Subscription::close);
        synchronized (this) {
            closed = true;
            notifyAll();
        }
    }
}
