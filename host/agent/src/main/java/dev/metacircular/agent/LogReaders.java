package dev.metacircular.agent;

import dev.metacircular.contract.TimeMerge;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Problem;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;

/** The logs of several instances, each read on a thread of its own, as one stream in the order of time. */
final class LogReaders implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMillis(100);
    private static final Duration FIRST_PATIENCE = Duration.ofSeconds(1);
    /** The end of a log that is not followed is certain to come. */
    private static final Duration WHOLE = Duration.ofMinutes(1);

    private final Runtimes runtimes;
    private final TimeMerge<LogLine> merge;
    private final Set<InstanceId> reading = ConcurrentHashMap.newKeySet();
    /** The last line of each instance that was ever read; one that is started again goes on in the same log. */
    private final Map<InstanceId, Instant> last = new ConcurrentHashMap<>();

    private final Queue<Problem> failures = new ConcurrentLinkedQueue<>();
    private volatile boolean closed;

    LogReaders(Runtimes runtimes, boolean follow) {
        this.runtimes = runtimes;
        this.merge = new TimeMerge<>(LogLine::getTimeMs, follow ? PATIENCE : WHOLE, follow ? FIRST_PATIENCE : WHOLE);
    }

    /** Begins to read; an instance that was read before goes on after its last line, one that is being read is left alone. */
    void open(ComponentId id, InstanceId instance, LogOptions options) {
        if (!reading.add(instance)) {
            return;
        }
        Optional<Instant> before = Optional.ofNullable(last.get(instance));
        LogOptions wanted =
                before.isPresent() ? new LogOptions(options.follow(), before, OptionalInt.empty()) : options;
        TimeMerge<LogLine>.Source source = merge.add();
        Thread.startVirtualThread(() -> {
            try (source) {
                runtimes.of(instance).logs(instance, wanted, new Sink(id, instance, before, source));
            } catch (RuntimeFailure e) {
                // What is followed may be removed, as a deploy does.
                if (!options.follow() || e.kind() != RuntimeFailure.Kind.NOT_FOUND) {
                    failures.add(Runtimes.problem(e).at(id.toString()));
                }
            } finally {
                last.putIfAbsent(instance, Instant.now());
                reading.remove(instance);
            }
        });
    }

    /** Delivers lines that are there already. */
    void deliver(List<LogLine> lines) {
        TimeMerge<LogLine>.Source source = merge.add();
        Thread.startVirtualThread(() -> {
            try (source) {
                for (LogLine line : lines) {
                    if (!source.put(line)) {
                        return;
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    Optional<LogLine> poll(Duration limit) throws InterruptedException {
        return merge.poll(limit);
    }

    boolean isDone() {
        return merge.isDone();
    }

    /** Why a log could not be read to its end. */
    Optional<Problem> failure() {
        return failures.stream().findFirst();
    }

    @Override
    public void close() {
        closed = true;
        merge.close();
    }

    private final class Sink implements LogSink {
        private final ComponentId id;
        private final InstanceId instance;
        private final Optional<Instant> after;
        private final TimeMerge<LogLine>.Source source;

        Sink(ComponentId id, InstanceId instance, Optional<Instant> after, TimeMerge<LogLine>.Source source) {
            this.id = id;
            this.instance = instance;
            this.after = after;
            this.source = source;
        }

        @Override
        public void line(Instant time, Stream stream, String text) {
            if (after.isPresent() && !time.isAfter(after.get())) {
                return;
            }
            last.put(instance, time);
            try {
                source.put(LogLine.newBuilder()
                        .setComponent(id.component().value())
                        .setTimeMs(time.toEpochMilli())
                        .setStream(stream == Stream.OUT ? "out" : "err")
                        .setText(text)
                        .build());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public boolean isCancelled() {
            return closed || Thread.currentThread().isInterrupted();
        }
    }
}
