package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Watches over a stream from a thread of its own, and closes it when its reader would wait in vain. What counts is how long the reader
 * has waited for the peer: one that takes its time with what it has is not the peer's fault.
 */
final class StreamGuard implements AutoCloseable {
    private static final Duration ROUND = Duration.ofMillis(250);

    private final Exchange exchange;
    private final Duration idle;
    private final BooleanSupplier cancelled;
    private final Supplier<Boolean> whenIdle;
    private final Thread thread;
    private long askedNanos = System.nanoTime();

    private StreamGuard(Exchange exchange, Duration idle, BooleanSupplier cancelled, Supplier<Boolean> whenIdle) {
        this.exchange = exchange;
        this.idle = idle;
        this.cancelled = cancelled;
        this.whenIdle = whenIdle;
        this.thread = Thread.ofVirtual().name("podman-stream-guard").start(this::watch);
    }

    /** Ends the stream with this failure once nothing has arrived for so long. */
    static StreamGuard strict(Exchange exchange, Duration idle, RuntimeFailure failure) {
        return new StreamGuard(exchange, idle, () -> false, () -> {
            throw failure;
        });
    }

    /** Asks whenever nothing has arrived for so long, and ends the stream with the failure that asking ends with. */
    static StreamGuard asking(Exchange exchange, Duration idle, Runnable question) {
        return asking(exchange, idle, () -> false, () -> {
            question.run();
            return true;
        });
    }

    /**
     * @param cancelled asked four times a second; ends the stream without a failure
     * @param whenIdle whether there is still something to wait for; false ends the stream without a failure
     */
    static StreamGuard asking(Exchange exchange, Duration idle, BooleanSupplier cancelled, Supplier<Boolean> whenIdle) {
        return new StreamGuard(exchange, idle, cancelled, whenIdle);
    }

    private void watch() {
        try {
            while (true) {
                Thread.sleep(ROUND);
                if (cancelled.getAsBoolean()) {
                    exchange.close();
                    return;
                }
                OptionalLong waiting = exchange.waitingSinceNanos();
                if (waiting.isPresent()
                        && System.nanoTime() - Math.max(waiting.getAsLong(), askedNanos) > idle.toNanos()) {
                    if (!whenIdle.get()) {
                        exchange.close();
                        return;
                    }
                    askedNanos = System.nanoTime();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeFailure e) {
            exchange.abort(e);
        }
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
