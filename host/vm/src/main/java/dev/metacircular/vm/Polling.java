package dev.metacircular.vm;

import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/** Waiting with a deadline, at intervals that grow from 1 to 20 ms. */
final class Polling {
    private Polling() {}

    /** Tries until there is a result or the time is over; tries at least once, and once more at the end. */
    static <T> Optional<T> until(Duration time, Supplier<Optional<T>> attempt) throws InterruptedException {
        long startNanos = System.nanoTime();
        long limitNanos = nanos(time);
        long intervalNanos = Limits.POLL_INTERVAL_MIN.toNanos();
        while (true) {
            Optional<T> result = attempt.get();
            long leftNanos = limitNanos - (System.nanoTime() - startNanos);
            if (result.isPresent() || leftNanos <= 0) {
                return result;
            }
            Thread.sleep(Duration.ofNanos(Math.min(intervalNanos, leftNanos)));
            intervalNanos = Math.min(intervalNanos * 2, Limits.POLL_INTERVAL_MAX.toNanos());
        }
    }

    private static long nanos(Duration time) {
        try {
            return Math.max(0, time.toNanos());
        } catch (ArithmeticException centuries) {
            return Long.MAX_VALUE;
        }
    }
}
