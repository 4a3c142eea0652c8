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

/** Has the supervisor look every two seconds, when something is due, and soon after a backend tells of a change. */
final class SupervisorLoop implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(SupervisorLoop.class.getName());
    private static final Duration INTERVAL = Duration.ofSeconds(2);
    /** Changes come in bursts: one look serves for all that come within so long. */
    private static final Duration SETTLE = Duration.ofMillis(100);
    /** A deploy makes changes itself, and wants the backend for itself. */
    private static final Duration SETTLE_WHILE_BUSY = Duration.ofSeconds(1);

    private static final Duration REVIVE_INTERVAL = Duration.ofSeconds(10);
    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    private final Supervisor supervisor;
    private final ServiceLocks locks;
    private final Runnable revive;
    private final Path bootFile;
    private final Clock clock;
    private final List<Events.Subscription> subscriptions = new ArrayList<>();
    private final Thread thread;
    private boolean changed;
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
                            wake();
                        }

                        @Override
                        public void gap() {
                            wake();
                        }
                    })));
        }
        thread.start();
    }

    private synchronized void wake() {
        changed = true;
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
                Supervisor.Pass pass = supervisor.pass();
                if (pass.next().isPresent()) {
                    pause = min(
                            pause, Duration.between(clock.instant(), pass.next().get()));
                }
                if (supervisor.isBooting() && pass.complete()) {
                    pass.join();
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

    /** Waits for the time or a change that has settled; returns whether to go on. */
    private synchronized boolean await(Duration pause) {
        long until = System.nanoTime() + pause.toNanos();
        boolean settling = false;
        try {
            while (!closed) {
                if (changed && !settling) {
                    settling = true;
                    until = System.nanoTime() + (locks.isBusy() ? SETTLE_WHILE_BUSY : SETTLE).toNanos();
                }
                long leftMillis = (until - System.nanoTime()) / 1_000_000;
                if (leftMillis <= 0) {
                    break;
                }
                wait(leftMillis);
            }
            changed = false;
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
