package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.LogLine;
import dev.metacircular.contract.v1.LogsRequest;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Target;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.RuntimeFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Reads the logs of one or several components, merged by time. */
final class LogService {
    private static final int MAX_TAIL = 100_000;
    private static final Duration POLL = Duration.ofMillis(500);
    /** How often a follow looks for components that have started since. */
    private static final Duration JOIN_EVERY = Duration.ofSeconds(1);

    private static final LogOptions FOLLOW_ALL = new LogOptions(true, Optional.empty(), OptionalInt.empty());

    private final NodeView view;
    private final Runtimes runtimes;
    private final PreviousLogs previous;

    LogService(NodeView view, Runtimes runtimes, PreviousLogs previous) {
        this.view = view;
        this.runtimes = runtimes;
        this.previous = previous;
    }

    /** @param instance empty for what was kept of one that a deploy removed */
    private record Source(ComponentId id, Optional<Instance> instance) {}

    void read(LogsRequest request, Receiver<LogLine> receiver) throws InterruptedException {
        read(
                new Target(
                        Messages.name(request.getService(), "service"),
                        Messages.optionalName(request.getComponent(), "component")),
                request,
                receiver);
    }

    /**
     * Delivers until the end of all logs, or, following, until the receiver is cancelled or nothing of the target exists any more. A
     * component that starts later joins.
     */
    void read(Target target, LogsRequest request, Receiver<LogLine> receiver) throws InterruptedException {
        List<Source> sources = sources(target, request.getPrevious());
        LogOptions options = new LogOptions(
                request.getFollow(),
                request.getSinceMs() > 0 ? Optional.of(Instant.ofEpochMilli(request.getSinceMs())) : Optional.empty(),
                request.hasTail()
                        ? OptionalInt.of((int) Math.min(MAX_TAIL, Integer.toUnsignedLong(request.getTail())))
                        : OptionalInt.empty());
        LogReaders readers = new LogReaders(runtimes, request.getFollow());
        for (Source s : sources) {
            s.instance()
                    .ifPresentOrElse(
                            i -> readers.open(s.id(), i.id(), options),
                            () -> readers.deliver(previous.read(s.id(), options)));
        }
        boolean joins = request.getFollow() && !request.getPrevious();
        try {
            long looked = System.nanoTime();
            while (!receiver.isCancelled()) {
                Optional<LogLine> line = readers.poll(POLL);
                if (line.isPresent()) {
                    receiver.accept(line.get());
                } else if (readers.isDone() && !joins) {
                    break;
                }
                if (joins && System.nanoTime() - looked >= JOIN_EVERY.toNanos()) {
                    looked = System.nanoTime();
                    if (!join(target, readers) && readers.isDone()) {
                        break;
                    }
                } else if (joins && line.isEmpty() && readers.isDone()) {
                    Thread.sleep(POLL);
                }
            }
        } finally {
            readers.close();
        }
        readers.failure().ifPresent(problem -> {
            throw problem.exception();
        });
    }

    /** Opens what runs and is not read; returns whether anything of the target exists. */
    private boolean join(Target target, LogReaders readers) {
        try {
            for (Source s : sources(target, false)) {
                s.instance().filter(Instances::isRunning).ifPresent(i -> readers.open(s.id(), i.id(), FOLLOW_ALL));
            }
            return true;
        } catch (ProblemException e) {
            // While the runtime cannot be asked, what is read goes on.
            return e.problem().kind() != Problem.Kind.NOT_FOUND
                    || view.service(target.service()).isPresent();
        }
    }

    private List<Source> sources(Target target, boolean before) {
        Name service = target.service();
        List<Instance> instances;
        try {
            instances = runtimes.list(service);
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(target.toString()).exception();
        }
        Optional<KnownService> registered = view.service(service);
        List<ComponentId> ids = instances.stream()
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
            if (!before) {
                sources.add(new Source(id, Optional.of(chosen)));
                continue;
            }
            Optional<Instance> earlier = before(instances, id, chosen);
            if (earlier.isPresent() || previous.has(id)) {
                sources.add(new Source(id, earlier));
            }
        }
        if (sources.isEmpty()) {
            throw Problem.of(
                            Problem.Kind.NOT_FOUND,
                            "there is no log of an instance before the present one: none was removed by a deploy, or it wrote"
                                    + " nothing; a restart goes on with the same instance and log")
                    .at(target.toString())
                    .next("leave out --previous")
                    .exception();
        }
        return sources;
    }

    private static Optional<Instance> before(List<Instance> instances, ComponentId id, Instance chosen) {
        return Instances.of(instances, id).stream()
                .filter(i -> !i.id().equals(chosen.id()))
                .max(Comparator.comparing(Instance::createdAt));
    }
}
