package dev.metacircular.runtime;

import dev.metacircular.runtime.FakeProcess.Line;
import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** Reads the log of an instance of a {@link FakeRuntime}. */
final class FakeLog {
    private static final Duration LOOK_AGAIN = Duration.ofMillis(100);

    private final List<Line> log;
    private final BooleanSupplier running;

    FakeLog(List<Line> log, BooleanSupplier running) {
        this.log = log;
        this.running = running;
    }

    void deliver(LogOptions options, LogSink sink) {
        int at = 0;
        List<Line> lines;
        synchronized (log) {
            at = log.size();
            Stream<Line> since = options.since().isPresent()
                    ? log.stream()
                            .filter(l -> !l.time().isBefore(options.since().get()))
                    : log.stream();
            List<Line> all = since.toList();
            int tail = Math.min(all.size(), options.tail().orElse(all.size()));
            lines = List.copyOf(all.subList(all.size() - tail, all.size()));
        }
        while (true) {
            for (Line line : lines) {
                if (sink.isCancelled()) {
                    return;
                }
                sink.line(line.time(), line.stream(), line.text());
            }
            if (!options.follow() || sink.isCancelled()) {
                return;
            }
            boolean last = !running.getAsBoolean();
            synchronized (log) {
                if (log.size() == at) {
                    if (last || !await()) {
                        return;
                    }
                }
                lines = List.copyOf(log.subList(at, log.size()));
                at = log.size();
            }
        }
    }

    private boolean await() {
        try {
            log.wait(LOOK_AGAIN.toMillis());
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
