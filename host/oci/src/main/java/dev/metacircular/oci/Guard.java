package dev.metacircular.oci;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Cuts off a transfer that stands still or takes too long, whatever the other side does. */
final class Guard implements AutoCloseable {
    private final AtomicLong last = new AtomicLong(System.nanoTime());
    private final long idleNanos;
    private final long end;
    private final Runnable cut;
    private final Thread thread;
    private volatile String reason = "";

    /** @param end when it must be over, as {@link System#nanoTime} counts */
    Guard(Duration idle, long end, Runnable cut) {
        this.idleNanos = idle.toNanos();
        this.end = end;
        this.cut = cut;
        this.thread = Thread.ofVirtual().name("oci-guard").start(this::watch);
    }

    private void watch() {
        try {
            while (true) {
                long now = System.nanoTime();
                long untilIdle = last.get() + idleNanos - now;
                long untilEnd = end - now;
                if (untilIdle <= 0 || untilEnd <= 0) {
                    reason = untilEnd <= 0
                            ? "it has taken too long"
                            : "nothing has moved for "
                                    + Duration.ofNanos(idleNanos).toMillis() / 1000.0 + " s";
                    cut.run();
                    return;
                }
                Thread.sleep(Duration.ofNanos(Math.min(untilIdle, untilEnd) + 1_000_000));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void progress() {
        last.set(System.nanoTime());
    }

    /** Why it was cut off; empty if it was not. */
    String reason() {
        return reason;
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
