package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Plan;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.EventStore;
import dev.metacircular.registry.Registry;
import dev.metacircular.runtime.FakeRuntime;
import dev.metacircular.runtime.Instance;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An agent without its server on a runtime in memory, which can be restarted and spoiled. */
final class TestNode implements AutoCloseable {
    static final Name NODE = Name.of("alpha");

    final FakeRuntime fake = new FakeRuntime(NODE);
    /** Of a node that has VMs too. */
    final FakeRuntime vms = new FakeRuntime(fake, RuntimeKind.UNIKERNEL);

    final TestClock clock = new TestClock();
    private final Path directory;
    private final boolean hasVms;
    Steps steps = new Steps();
    Registry registry;
    NodeView view;
    Runtimes runtimes;
    ServiceLocks locks;
    Recovery recovery;
    DeployService deploys;
    OperatorActions actions;
    AdoptionService adoption;
    Supervisor supervisor;
    StatusService status;
    Lifecycle lifecycle;
    PreviousLogs previous;
    SecretStore secrets;

    /** The machine's clock, which can be put forward. */
    static final class TestClock extends Clock {
        private Duration ahead = Duration.ZERO;

        void advance(Duration by) {
            ahead = ahead.plus(by);
        }

        /** As a monotonic clock tells it. */
        long nanos() {
            return System.nanoTime() + ahead.toNanos();
        }

        @Override
        public ZoneOffset getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(java.time.ZoneId zone) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Instant instant() {
            return Instant.now().plus(ahead);
        }
    }

    TestNode(Path directory) {
        this(directory, false);
    }

    TestNode(Path directory, boolean booting) {
        this(directory, booting, false);
    }

    static TestNode withVms(Path directory) {
        return new TestNode(directory, false, true);
    }

    @SuppressWarnings("NullAway.Init")
    private TestNode(Path directory, boolean booting, boolean hasVms) {
        this.directory = directory;
        this.hasVms = hasVms;
        registry = Registry.open(directory, clock);
        wire(booting);
    }

    private void wire(boolean booting) {
        steps = new Steps();
        Ledger ledger = steps.watch(new RegistryLedger(registry));
        Runtimes plain =
                new Runtimes(hasVms ? List.of(steps.watch(fake), steps.watch(vms)) : List.of(steps.watch(fake)));
        EventLog events = new EventLog(ledger, clock);
        view = new NodeView(NODE, registry, ledger, clock::nanos);
        runtimes = plain.adopting(NODE, view);
        locks = new ServiceLocks(clock);
        VolumeDirectories volumes = new VolumeDirectories(directory.resolve("services"), List.of());
        secrets = secretStore();
        previous = new PreviousLogs(directory.resolve("previous-logs"));
        lifecycle = new Lifecycle(NODE, runtimes, view, volumes, secrets, previous, true);
        EventStore stored = registry.events();
        Tracks tracks = new Tracks(events, stored.states(), clock);
        recovery = new Recovery(runtimes, ledger, view, lifecycle, locks, tracks);
        recovery.blockPending();
        DeployPlanner planner = new DeployPlanner(
                runtimes, view, lifecycle, new DeployChecks(NODE, runtimes, view, volumes, secrets, true), secrets);
        deploys = new DeployService(runtimes, ledger, view, lifecycle, locks, planner, recovery, tracks, clock);
        supervisor = new Supervisor(new Supervisor.Parts(
                runtimes,
                view,
                lifecycle,
                locks,
                recovery,
                events,
                tracks,
                stored.unavailableRuntimes(),
                stored::dropStates,
                clock,
                booting));
        actions = new OperatorActions(registry, runtimes, view, lifecycle, locks, volumes, tracks, events);
        adoption = new AdoptionService(NODE, registry, runtimes, view, locks, volumes, events);
        status = new StatusService(
                NODE,
                registry,
                view,
                new Observations(runtimes),
                locks,
                supervisor,
                secrets,
                new ComponentLimits(runtimes, true));
    }

    private SecretStore secretStore() {
        try {
            return new SecretStore(directory.resolve("secrets"), clock);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Another agent takes over after this one's death. */
    void restart() {
        restart(false);
    }

    void restart(boolean booting) {
        registry.close();
        registry = Registry.open(directory, clock);
        wire(booting);
    }

    /** Does something to the registry's file between two agents. */
    interface Harm {
        void to(Path file) throws java.io.IOException;
    }

    void restartWith(Harm harm) throws java.io.IOException {
        registry.close();
        harm.to(directory.resolve("registry.db"));
        registry = Registry.open(directory, clock);
        wire(false);
    }

    /** Looks and acts until nothing is left to do. */
    void settle() throws InterruptedException {
        for (int i = 0; i < 4; i++) {
            supervisor.pass().join();
        }
    }

    /** A component that serves at once, and is healthy as soon as it does. */
    static Component.Builder serving(String name, String image) {
        return Component.builder(name, image).health(new HealthCheck.Tcp(80, Duration.ofSeconds(2)));
    }

    static Service service(String name, Component... components) {
        return new Service(
                Name.of(name),
                NODE,
                true,
                Optional.empty(),
                Map.of(),
                Arrays.stream(components)
                        .map(c -> new Service.Entry(c, Desired.RUNNING))
                        .toList());
    }

    Outcome deploy(Service service) {
        return deploy(service, new Recording());
    }

    Outcome deploy(Service service, DeployListener listener) {
        return deploys.deploy(
                "tester",
                service,
                new Target(service.name(), Optional.empty()),
                generation(service.name()),
                _ -> true,
                listener);
    }

    Outcome deployComponent(Service service, String component) {
        return deploys.deploy(
                "tester",
                service,
                new Target(service.name(), Optional.of(Name.of(component))),
                generation(service.name()),
                _ -> true,
                new Recording());
    }

    long generation(Name service) {
        return view.service(service).map(KnownService::generation).orElse(0L);
    }

    /** What the runtimes have of a component, asked past every fault. */
    List<Instance> instances(ComponentId id) {
        List<Instance> all = new ArrayList<>(fake.listAll());
        all.addAll(vms.listAll());
        return Instances.of(all, id);
    }

    Instance only(ComponentId id) {
        List<Instance> all = instances(id);
        if (all.size() != 1) {
            throw new AssertionError(id + " has " + all.size() + " instances: " + all);
        }
        return all.getFirst();
    }

    static Instant startedAt(Instance instance) {
        if (instance.state() instanceof InstanceState.Running(Instant at)) {
            return at;
        }
        throw new AssertionError(instance + " does not run");
    }

    List<String> eventKinds() {
        return registry.events().latest(EventQuery.ALL, 0, 1000).stream()
                .map(e -> e.event().kind())
                .toList();
    }

    /** What a listener was told, one line a call. */
    static final class Recording implements DeployListener {
        final List<String> lines = new ArrayList<>();

        @Override
        public synchronized void plan(Plan plan) {
            lines.add("plan of " + plan.operations().size());
        }

        @Override
        public synchronized void progress(ComponentId id, String what, long doneBytes, long totalBytes) {
            lines.add("progress " + id);
        }

        @Override
        public synchronized void operation(int index, Operation operation, Status status, String message) {
            lines.add(index + " " + operation.op() + " " + status);
        }
    }

    @Override
    public void close() {
        registry.close();
        fake.close();
        vms.close();
    }
}
