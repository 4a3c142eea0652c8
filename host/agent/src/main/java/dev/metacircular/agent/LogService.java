package dev.metacircular.agent;

import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** Reads the logs of one or several components, merged by time as far as they have come in. */
final class LogService {
    private static final int QUEUE_LINES = 256;
    private static final int MAX_TAIL = 100_000;
    /** Lines that arrive within so long of each other are sorted by their times. */
    private static final Duration SETTLE = Duration.ofMillis(50);

    private static final int MERGE_LINES = 2_000;

    private final NodeView view;
    private final Runtimes runtimes;

    LogService(NodeView view, Runtimes runtimes) {
        this.view = view;
        this.runtimes = runtimes;
    }

    /** Takes the lines; {@link #isCancelled} is asked at least once a second. */
    interface Receiver {
        void line(LogLine line) throws InterruptedException;

        boolean isCancelled();
    }

    private record Source(ComponentId id, Instance instance) {}

    /** Delivers until the end of all logs, or, following, until the receiver is cancelled or every instance has ended. */
    void read(Target target, LogsRequest request, Receiver receiver) throws InterruptedException {
        List<Source> sources = sources(target, request.getPrevious());
        LogOptions options = new LogOptions(
                request.getFollow(),
                request.getSinceMs() > 0 ? Optional.of(Instant.ofEpochMilli(request.getSinceMs())) : Optional.empty(),
                request.hasTail()
                        ? OptionalInt.of((int) Math.min(MAX_TAIL, Integer.toUnsignedLong(request.getTail())))
                        : OptionalInt.empty());
        BlockingQueue<LogLine> queue = new ArrayBlockingQueue<>(QUEUE_LINES);
        AtomicInteger open = new AtomicInteger(sources.size());
        AtomicBoolean cancelled = new AtomicBoolean();
        List<Problem> failures = new ArrayList<>();
        for (Source source : sources) {
            Thread.startVirtualThread(() -> {
                try {
                    runtimes.of(source.instance().id())
                            .logs(source.instance().id(), options, new QueueSink(source.id(), queue, cancelled));
                } catch (RuntimeFailure e) {
                    synchronized (failures) {
                        failures.add(Runtimes.problem(e).at(source.id().toString()));
                    }
                } finally {
                    open.decrementAndGet();
                }
            });
        }
        try {
            deliver(queue, open, receiver);
        } finally {
            cancelled.set(true);
            queue.clear();
        }
        synchronized (failures) {
            if (!failures.isEmpty()) {
                throw failures.getFirst().exception();
            }
        }
    }

    private static void deliver(BlockingQueue<LogLine> queue, AtomicInteger open, Receiver receiver)
            throws InterruptedException {
        List<LogLine> batch = new ArrayList<>();
        while (!receiver.isCancelled()) {
            boolean ended = open.get() == 0;
            LogLine line = queue.poll(ended ? 0 : SETTLE.toMillis(), TimeUnit.MILLISECONDS);
            if (line != null) {
                batch.add(line);
            }
            if (line == null || batch.size() >= MERGE_LINES) {
                batch.sort(Comparator.comparingLong(LogLine::getTimeMs));
                for (LogLine l : batch) {
                    receiver.line(l);
                }
                batch.clear();
                if (line == null && ended) {
                    return;
                }
            }
        }
    }

    private List<Source> sources(Target target, boolean previous) {
        Name service = target.service();
        List<Instance> instances;
        try {
            instances = runtimes.list();
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(target.toString()).exception();
        }
        Optional<KnownService> registered = view.service(service);
        List<ComponentId> ids = instances.stream()
                .filter(i -> Instances.belongsTo(i, service))
                .map(i -> i.identity().orElseThrow().component())
                .filter(id -> target.includes(id.component()))
                .distinct()
                .sorted()
                .toList();
        if (ids.isEmpty()) {
            boolean known = registered
                    .filter(s -> target.component().isEmpty()
                            || s.find(target.component().get()).isPresent())
                    .isPresent();
            throw Problem.of(
                            Problem.Kind.NOT_FOUND,
                            known ? "it has no instance, so there is no log" : "it is not registered on this node")
                    .at(target.toString())
                    .next(known ? "mcp start " + target : "mcp deploy " + target)
                    .exception();
        }
        long generation = registered.map(KnownService::generation).orElse(Long.MAX_VALUE);
        List<Source> sources = new ArrayList<>();
        for (ComponentId id : ids) {
            Instance chosen = Instances.chosen(instances, id, generation).orElseThrow();
            if (previous) {
                before(instances, id, chosen).ifPresent(i -> sources.add(new Source(id, i)));
            } else {
                sources.add(new Source(id, chosen));
            }
        }
        if (sources.isEmpty()) {
            throw Problem.of(
                            Problem.Kind.NOT_FOUND,
                            "the instance before the present one is not kept: a deploy that succeeds removes it, and a restart"
                                    + " goes on with the same instance and log")
                    .at(target.toString())
                    .next("leave out --previous; a failed deploy's message has the failed instance's last lines")
                    .exception();
        }
        return sources;
    }

    private static Optional<Instance> before(List<Instance> instances, ComponentId id, Instance chosen) {
        return Instances.of(instances, id).stream()
                .filter(i -> !i.id().equals(chosen.id()))
                .max(Comparator.comparing(Instance::createdAt));
    }

    private record QueueSink(ComponentId id, BlockingQueue<LogLine> queue, AtomicBoolean cancelled) implements LogSink {
        @Override
        public void line(Instant time, Stream stream, String text) {
            LogLine line = LogLine.newBuilder()
                    .setComponent(id.component().value())
                    .setTimeMs(time.toEpochMilli())
                    .setStream(stream == Stream.OUT ? "out" : "err")
                    .setText(text)
                    .build();
            try {
                while (!cancelled.get() && !queue.offer(line, 1, TimeUnit.SECONDS)) {
                    Thread.onSpinWait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public boolean isCancelled() {
            return cancelled.get() || Thread.currentThread().isInterrupted();
        }
    }
}
