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
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * A node's runtime in memory, which passes the conformance suite and can be told to fail ({@link #faults}). What is made on it
 * outlives {@link #close}, as instances outlive an agent: a test may go on with the same object under another agent.
 */
public final class FakeRuntime implements Runtime {
    private static final long IMAGE_BYTES = 4L << 20;

    private record Content(String id, FakeProgram program) {}

    private final Name node;
    private final RuntimeKind kind;
    private final FakeFaults faults = new FakeFaults();
    private final FakeEvents events = new FakeEvents();
    private final Map<String, Content> registry = new HashMap<>();
    private final Set<String> denied = new HashSet<>();
    private final Map<String, Content> images = new TreeMap<>();
    private final Map<String, Content> contents = new LinkedHashMap<>();
    private final Map<InstanceId, FakeInstance> instances = new LinkedHashMap<>();
    private final Set<Network> networks = new HashSet<>();
    private final List<PortMapping> taken = new ArrayList<>();
    private int serial;

    public FakeRuntime(Name node) {
        this(node, RuntimeKind.CONTAINER);
    }

    public FakeRuntime(Name node, RuntimeKind kind) {
        this.node = node;
        this.kind = kind;
    }

    /** Puts an image into the registry, from which it can be pulled; the same reference again moves the tag. */
    public synchronized void publish(String reference, FakeProgram program) {
        registry.put(ImageRef.parse(reference).toString(), new Content(nextId(), program));
    }

    /** Puts an image onto the node itself. */
    public synchronized Image install(String reference, FakeProgram program) {
        ImageRef parsed = ImageRef.parse(reference);
        have(parsed.toString(), new Content(nextId(), program));
        return image(parsed).orElseThrow();
    }

    private void have(String reference, Content content) {
        images.put(reference, content);
        contents.put(content.id, content);
    }

    /** Gives an image that the node has another name. */
    public synchronized void tag(String reference, String other) {
        images.put(other, Objects.requireNonNull(images.get(reference)));
    }

    /** Has the registry refuse the node's credentials for this image. */
    public synchronized void deny(String reference) {
        denied.add(ImageRef.parse(reference).toString());
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
        return instance.id;
    }

    /** Puts a running instance there as someone else would make it, from an image that {@link #install} put onto the node. */
    public InstanceId addForeign(String name, Component component) {
        InstanceId id;
        synchronized (this) {
            String image = component.image().toString();
            Identity none = new Identity(node, ComponentId.of("nobody", "nothing"), 0, "");
            InstanceSpec spec = new InstanceSpec(
                    none,
                    component,
                    Objects.requireNonNull(images.get(image)).id,
                    List.of(),
                    List.of(),
                    Map.of(),
                    false);
            id = new InstanceId(kind, nextId());
            FakeInstance instance = new FakeInstance(id, name, Optional.of(spec), image, spec.imageId());
            instance.labelled = false;
            instances.put(id, instance);
        }
        launch(id);
        return id;
    }

    @Override
    public Optional<Foreign> foreign() {
        return Optional.of(new FakeForeign(this::require, this::call));
    }

    private synchronized void call(InstanceId id, String name) {
        requireFree(name);
        require(id).name = name;
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
        return faults.apply(Operation.IMAGE, "look up " + reference, () -> found(reference));
    }

    private synchronized Optional<Image> found(ImageRef reference) {
        return Optional.ofNullable(images.get(reference.toString())).map(c -> view(c.id));
    }

    private Image view(String contentId) {
        List<String> references = images.entrySet().stream()
                .filter(e -> e.getValue().id.equals(contentId))
                .map(Map.Entry::getKey)
                .toList();
        boolean pulled = registry.values().stream().anyMatch(c -> c.id.equals(contentId));
        return new Image(contentId, references, pulled ? "sha256:" + contentId : "", IMAGE_BYTES);
    }

    @Override
    public List<Image> images() {
        return faults.apply(Operation.IMAGE, "list images", () -> {
            synchronized (this) {
                return contents.keySet().stream().map(this::view).toList();
            }
        });
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        Image image = faults.apply(Operation.PULL, "pull " + reference, () -> fetch(reference));
        listener.progress(reference.toString(), IMAGE_BYTES, IMAGE_BYTES);
        return image;
    }

    @Override
    public boolean removeImage(Image image) {
        return faults.apply(Operation.IMAGE, "remove image " + image.id(), () -> {
            synchronized (this) {
                if (instances.values().stream().anyMatch(i -> i.imageId.equals(image.id()))) {
                    return false;
                }
                image.references().forEach(images::remove);
                boolean named = images.values().stream().anyMatch(c -> c.id.equals(image.id()));
                if (!named) {
                    contents.remove(image.id());
                }
                return !named;
            }
        });
    }

    private synchronized Image fetch(ImageRef reference) {
        String text = reference.toString();
        if (denied.contains(text)) {
            throw new RuntimeFailure(Kind.DENIED, "cannot pull " + text + ": the registry refuses the credentials");
        }
        Content content = reference.isLocal() ? images.get(text) : registry.get(text);
        if (content == null) {
            throw new RuntimeFailure(Kind.NOT_FOUND, "cannot pull " + text + ": there is no such image");
        }
        have(text, content);
        return view(content.id);
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
        if (!contents.containsKey(spec.imageId())) {
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
        return id;
    }

    private void requireFree(String name) {
        if (instances.values().stream().anyMatch(i -> i.name.equals(name))) {
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
        FakeProgram program = Objects.requireNonNull(contents.get(instance.imageId)).program;
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
        return "%064x".formatted(serial);
    }

    /** A line of an instance's log so far; for assertions without the sink. */
    public synchronized List<String> logLines(InstanceId id) {
        List<Line> log = require(id).log;
        synchronized (log) {
            return log.stream().map(Line::text).toList();
        }
    }
}
