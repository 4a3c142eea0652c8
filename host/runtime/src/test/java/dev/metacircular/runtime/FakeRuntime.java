package dev.metacircular.runtime;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProcess.Line;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A node's runtime in memory, which passes the conformance suite and can be told to fail ({@link #faults}). What is made on it
 * outlives {@link #close}, as instances outlive an agent: a test may go on with the same object under another agent.
 */
public final class FakeRuntime implements Runtime {
    private final Name node;
    private final RuntimeKind kind;
    private final FakeFaults faults = new FakeFaults();
    private final FakeEvents events = new FakeEvents();
    private final FakeImages images = new FakeImages();
    private final Map<InstanceId, FakeInstance> instances = new LinkedHashMap<>();
    private final Set<Network> networks = new HashSet<>();
    private final Map<InstanceId, Usage> usage = new LinkedHashMap<>();
    private final List<PortMapping> taken = new ArrayList<>();
    private Optional<UserIds> user = Optional.empty();
    /** A name is given once on a node, whatever the kind. */
    private final Map<InstanceId, String> names;

    private int serial;

    public FakeRuntime(Name node) {
        this(node, RuntimeKind.CONTAINER);
    }

    public FakeRuntime(Name node, RuntimeKind kind) {
        this.node = node;
        this.kind = kind;
        this.names = new ConcurrentHashMap<>();
    }

    /** Another kind on the same node as the other. */
    public FakeRuntime(FakeRuntime other, RuntimeKind kind) {
        this.node = other.node;
        this.kind = kind;
        this.names = other.names;
    }

    /** Puts an image into the registry, from which it can be pulled; the same reference again moves the tag. */
    public void publish(String reference, FakeProgram program) {
        images.publish(reference, nextId(), program);
    }

    /** Puts an image onto the node itself. */
    public Image install(String reference, FakeProgram program) {
        return images.install(reference, nextId(), program);
    }

    /** Gives an image that the node has another name. */
    public void tag(String reference, String other) {
        images.tag(reference, other);
    }

    /** Has the registry refuse the node's credentials for this image. */
    public void deny(String reference) {
        images.deny(reference);
    }

    /** Has something else on the node hold a port. */
    public synchronized void takePort(PortMapping port) {
        taken.add(port);
    }

    /** Puts a running instance there that this system did not make. */
    public synchronized InstanceId addForeign(String name, String image) {
        FakeInstance instance =
                new FakeInstance(new InstanceId(kind, nextId()), name, Optional.empty(), image, nextId());
        instance.state = new InstanceState.Running(Instant.now());
        instances.put(instance.id, instance);
        names.put(instance.id, name);
        return instance.id;
    }

    /** Puts a running instance there as someone else would make it, from an image that {@link #install} put onto the node. */
    public InstanceId addForeign(String name, Component component) {
        InstanceId id;
        synchronized (this) {
            String imageId = images.find(component.image()).orElseThrow().id();
            Identity none = new Identity(node, ComponentId.of("nobody", "nothing"), 0, "");
            InstanceSpec spec = new InstanceSpec(none, component, imageId, List.of(), List.of(), Map.of(), false);
            id = new InstanceId(kind, nextId());
            FakeInstance instance = new FakeInstance(
                    id, name, Optional.of(spec), component.image().toString(), imageId);
            instance.labelled = false;
            instances.put(id, instance);
            names.put(id, name);
        }
        launch(id);
        return id;
    }

    @Override
    public Optional<Foreign> foreign() {
        if (kind == RuntimeKind.UNIKERNEL) {
            return Optional.empty();
        }
        return Optional.of(new FakeForeign(this::require, this::call));
    }

    private synchronized void call(InstanceId id, String name) {
        requireFree(name);
        require(id).name = name;
        names.put(id, name);
    }

    /** Who every command runs as from now on. */
    public synchronized void runAs(UserIds ids) {
        user = Optional.of(ids);
    }

    @Override
    public Optional<UserIds> user(InstanceId instance) {
        return faults.apply(Operation.USER, "ask for the user of " + instance, () -> userOf(instance));
    }

    private synchronized Optional<UserIds> userOf(InstanceId instance) {
        require(instance);
        return user;
    }

    /** Has an instance measured so from now on. */
    public synchronized void measure(InstanceId id, Usage taken) {
        usage.put(id, taken);
    }

    /** Nothing is measured on this node until {@link #measure} was called. */
    @Override
    public synchronized Map<InstanceId, Usage> usage() {
        if (usage.isEmpty()) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "nothing is measured here");
        }
        return Map.copyOf(usage);
    }

    /** Ends an instance from outside with this status, as a crash would. */
    public synchronized void crash(InstanceId id, int status) {
        FakeInstance instance = require(id);
        FakeProcess process = instance.process;
        Thread thread = instance.thread;
        if (process != null && thread != null) {
            ended(instance, process, status);
            thread.interrupt();
        }
    }

    /** Ends everything that runs, as a node's restart does. */
    public synchronized void reboot() {
        instances.values().stream().filter(FakeInstance::isRunning).forEach(i -> crash(i.id, FakeInstance.KILLED));
    }

    public FakeFaults faults() {
        return faults;
    }

    /** Tells every listener that it may have missed something. */
    public void missEvents() {
        events.gap();
    }

    public synchronized Set<Network> networks() {
        return Set.copyOf(networks);
    }

    @Override
    public RuntimeKind kind() {
        return kind;
    }

    @Override
    public Availability availability() {
        try {
            return faults.apply(
                    Operation.AVAILABILITY, "ask", () -> new Availability.Available("fake 1", accelerator()));
        } catch (RuntimeFailure e) {
            return new Availability.Unavailable(Objects.requireNonNullElse(e.getMessage(), "unknown"));
        }
    }

    private String accelerator() {
        return kind == RuntimeKind.UNIKERNEL ? "emulation" : "";
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        return faults.apply(Operation.IMAGE, "look up " + reference, () -> images.find(reference));
    }

    @Override
    public List<Image> images() {
        return faults.apply(Operation.IMAGE, "list images", images::all);
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        Image image = faults.apply(Operation.PULL, "pull " + reference, () -> images.fetch(reference));
        listener.progress(reference.toString(), FakeImages.BYTES, FakeImages.BYTES);
        return image;
    }

    @Override
    public boolean removeImage(Image image) {
        return faults.apply(Operation.IMAGE, "remove image " + image.id(), () -> {
            synchronized (this) {
                if (instances.values().stream().anyMatch(i -> i.imageId.equals(image.id()))) {
                    return false;
                }
                return images.remove(image);
            }
        });
    }

    @Override
    public void ensureNetwork(Network network) {
        faults.apply(Operation.NETWORK, "make network " + network.name(), () -> {
            synchronized (this) {
                return networks.add(network);
            }
        });
    }

    @Override
    public void removeNetwork(Network network) {
        faults.apply(Operation.NETWORK, "remove network " + network.name(), () -> {
            synchronized (this) {
                boolean used = instances.values().stream()
                        .flatMap(i -> i.spec.stream())
                        .flatMap(s -> s.networks().stream())
                        .anyMatch(a -> a.network().equals(network));
                return !used && networks.remove(network);
            }
        });
    }

    @Override
    public InstanceId create(InstanceSpec spec) {
        String name = spec.identity().component().canonicalName();
        return faults.apply(Operation.CREATE, "create " + name, () -> make(spec, name));
    }

    private synchronized InstanceId make(InstanceSpec spec, String name) {
        Optional<FakeInstance> same = instances.values().stream()
                .filter(i -> i.identity().equals(Optional.of(spec.identity())))
                .findFirst();
        if (same.isPresent()) {
            return same.get().id;
        }
        requireFree(name);
        if (!images.has(spec.imageId())) {
            throw new RuntimeFailure(Kind.NOT_FOUND, "cannot create " + name + ": there is no image " + spec.imageId());
        }
        spec.networks().stream()
                .map(InstanceSpec.Attachment::network)
                .filter(n -> !networks.contains(n))
                .findFirst()
                .ifPresent(n -> {
                    throw new RuntimeFailure(
                            Kind.NOT_FOUND, "cannot create " + name + ": there is no network " + n.name());
                });
        InstanceId id = new InstanceId(kind, nextId());
        String image = spec.component().image().toString();
        instances.put(id, new FakeInstance(id, name, Optional.of(spec), image, spec.imageId()));
        names.put(id, name);
        return id;
    }

    private void requireFree(String name) {
        if (names.containsValue(name)) {
            throw new RuntimeFailure(Kind.CONFLICT, "the name " + name + " is taken by another instance");
        }
    }

    @Override
    public void start(InstanceId instance) {
        faults.apply(Operation.START, "start " + instance, () -> {
            launch(instance);
            return true;
        });
    }

    private synchronized void launch(InstanceId id) {
        FakeInstance instance = require(id);
        if (instance.isRunning()) {
            return;
        }
        for (PortMapping port : instance.ports()) {
            boolean held = taken.stream().anyMatch(port::conflictsWith)
                    || instances.values().stream()
                            .filter(FakeInstance::isRunning)
                            .flatMap(i -> i.ports().stream())
                            .anyMatch(port::conflictsWith);
            if (held) {
                throw new RuntimeFailure(
                        Kind.PORT_TAKEN, "cannot start " + instance.name + ": port " + port + " is taken");
            }
        }
        FakeProcess process = new FakeProcess(instance.spec.orElseThrow(), instance.log);
        FakeProgram program = images.program(instance.imageId);
        instance.process = process;
        instance.state = new InstanceState.Running(Instant.now());
        instance.thread = Thread.ofVirtual().name("fake-" + instance.name).start(() -> {
            int status;
            try {
                status = program.run(process);
            } catch (InterruptedException e) {
                status = FakeInstance.KILLED;
            }
            ended(instance, process, status);
        });
        events.changed(id);
    }

    private synchronized void ended(FakeInstance instance, FakeProcess process, int status) {
        if (instance.process == process && instance.state instanceof InstanceState.Running(Instant startedAt)) {
            instance.state = new InstanceState.Ended(status, startedAt, Instant.now());
            instance.process = null;
            synchronized (instance.log) {
                instance.log.notifyAll();
            }
            events.changed(instance.id);
            notifyAll();
        }
    }

    @Override
    public void stop(InstanceId instance, Duration grace) {
        faults.apply(Operation.STOP, "stop " + instance, () -> {
            halt(instance, grace);
            return true;
        });
    }

    private synchronized void halt(InstanceId id, Duration grace) {
        FakeInstance instance = require(id);
        FakeProcess process = instance.process;
        if (process != null) {
            process.terminate();
            long end = System.nanoTime() + grace.toNanos();
            try {
                long left = grace.toMillis();
                while (instance.process == process && left > 0) {
                    wait(left);
                    left = (end - System.nanoTime()) / 1_000_000;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new RuntimeFailure(Kind.DEADLINE, "interrupted", e);
            }
            crash(id, FakeInstance.KILLED);
        }
    }

    @Override
    public void remove(InstanceId instance) {
        faults.apply(Operation.REMOVE, "remove " + instance, () -> {
            synchronized (this) {
                if (instances.containsKey(instance)) {
                    crash(instance, FakeInstance.KILLED);
                    instances.remove(instance);
                    names.remove(instance);
                    events.changed(instance);
                }
                return true;
            }
        });
    }

    @Override
    public void setAside(InstanceId instance) {
        faults.apply(Operation.SET_ASIDE, "set aside " + instance, () -> rename(instance, true));
    }

    @Override
    public void bringBack(InstanceId instance) {
        faults.apply(Operation.BRING_BACK, "bring back " + instance, () -> rename(instance, false));
    }

    private synchronized boolean rename(InstanceId id, boolean aside) {
        FakeInstance instance = require(id);
        Identity identity = instance.identity().orElseThrow();
        ComponentId component = identity.component();
        String name = component.canonicalName() + (aside ? ".g" + identity.generation() : "");
        if (!instance.name.equals(name)) {
            requireFree(name);
            instance.name = name;
            names.put(id, name);
        }
        return true;
    }

    @Override
    public Optional<Instance> inspect(InstanceId instance) {
        return faults.apply(Operation.INSPECT, "inspect " + instance, () -> {
            synchronized (this) {
                return Optional.ofNullable(instances.get(instance)).map(FakeInstance::view);
            }
        });
    }

    @Override
    public List<Instance> list() {
        return listAll().stream()
                .filter(i -> i.identity().filter(d -> d.node().equals(node)).isPresent())
                .toList();
    }

    @Override
    public List<Instance> listAll() {
        return faults.apply(Operation.LIST, "list", () -> {
            synchronized (this) {
                return instances.values().stream().map(FakeInstance::view).toList();
            }
        });
    }

    @Override
    public void logs(InstanceId instance, LogOptions options, LogSink sink) {
        FakeInstance found = faults.apply(Operation.LOGS, "read the log of " + instance, () -> require(instance));
        new FakeLog(found.log, () -> isRunning(instance)).deliver(options, sink);
    }

    private synchronized boolean isRunning(InstanceId id) {
        FakeInstance instance = instances.get(id);
        return instance != null && instance.isRunning();
    }

    @Override
    public ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        return faults.apply(Operation.PROBE, "probe " + instance, () -> {
            synchronized (this) {
                FakeProcess process = require(instance).process;
                return process == null ? new ProbeResult.Unhealthy("it is not running") : probe(process, check);
            }
        });
    }

    private static ProbeResult probe(FakeProcess process, HealthCheck check) {
        return switch (check) {
            case HealthCheck.Tcp _ -> process.probeTcp();
            case HealthCheck.Http http -> process.probeHttp(http.path());
            case HealthCheck.Command(List<String> command, Duration _) -> {
                int status = FakeExec.run(command, Optional.empty()).exitStatus();
                yield status == 0 ? new ProbeResult.Healthy() : new ProbeResult.Unhealthy("exit status " + status);
            }
        };
    }

    @Override
    public Optional<Exec> exec() {
        if (kind == RuntimeKind.UNIKERNEL) {
            return Optional.empty();
        }
        return Optional.of((instance, command, terminal) -> faults.apply(Operation.EXEC, "exec in " + instance, () -> {
            require(instance);
            if (!isRunning(instance)) {
                throw new RuntimeFailure(Kind.CONFLICT, "cannot run a command in " + instance + ": it is not running");
            }
            return FakeExec.run(command, terminal);
        }));
    }

    @Override
    public Optional<Events> events() {
        return Optional.of(events);
    }

    @Override
    public void close() {
        events.close();
    }

    private synchronized FakeInstance require(InstanceId id) {
        FakeInstance instance = instances.get(id);
        if (instance == null) {
            throw new RuntimeFailure(Kind.NOT_FOUND, "there is no instance " + id);
        }
        return instance;
    }

    private synchronized String nextId() {
        serial++;
        // No two of a node's instances share one, whatever the kind.
        return (kind == RuntimeKind.CONTAINER ? "0" : "f") + "%063x".formatted(serial);
    }

    /** A line of an instance's log so far; for assertions without the sink. */
    public synchronized List<String> logLines(InstanceId id) {
        List<Line> log = require(id).log;
        synchronized (log) {
            return log.stream().map(Line::text).toList();
        }
    }
}
