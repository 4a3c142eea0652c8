package dev.metacircular.agent;

import dev.metacircular.definition.Address;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.definition.AgentConfigFile;
import dev.metacircular.model.Name;
import dev.metacircular.registry.EventStore;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.registry.Restored;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.logging.Level;
import java.util.logging.Logger;

/** A running agent: everything put together, over one directory. */
final class Agent implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(Agent.class.getName());
    private static final String CLOCK_OFFSET = "metacircular.clock.offset";
    private static final Duration DEPLOY_GRACE = Duration.ofSeconds(10);
    private static final Duration SNAPSHOT_EVERY = Duration.ofHours(1);
    private static final Duration LOOK_EVERY = Duration.ofMinutes(1);
    private static final Duration CERTIFICATES_EVERY = Duration.ofHours(6);
    private static final Duration GONE_FIRST = Duration.ofMinutes(10);
    private static final Duration GONE_EVERY = Duration.ofHours(6);
    private static final Duration IMAGES_FIRST = Duration.ofMinutes(10);
    private static final Duration IMAGES_EVERY = Duration.ofHours(6);

    private final DirectoryLock lock;
    private final Name node;
    private final Address listen;
    private final Registry registry;
    private final Runtimes runtimes;
    private final ServiceLocks locks;
    private final AuditLog audit;
    private final SupervisorLoop loop;
    private final Optional<Alerts> alerts;
    private final AgentServer server;
    private final Housekeeping housekeeping;
    private final CompletableFuture<RegistryException> failure = new CompletableFuture<>();

    /** What an agent works on besides its directory. */
    interface Backends {
        /** @param revive set by the backends that the agent can bring back */
        record Made(Runtimes runtimes, Runnable revive, Path socket) {}

        Made make(Path directory, AgentConfig config);

        /** How services' files are read and written. */
        default FileProcess.Starter files() {
            return FileProcess::inUserNamespace;
        }
    }

    /** Starts on an initialised directory with this node's backends; serves when it returns. */
    static Agent start(Path directory) throws IOException {
        return start(directory, new NodeBackends(), clock());
    }

    static Agent start(Path directory, Backends backends, Clock clock) throws IOException {
        DirectoryLock lock = DirectoryLock.take(directory);
        try {
            AgentConfig config = new AgentConfigFile(directory).read().orThrow();
            Workspace.prepare(directory);
            return new Agent(lock, directory, config, backends, clock);
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        }
    }

    private Agent(DirectoryLock lock, Path directory, AgentConfig config, Backends backends, Clock clock)
            throws IOException {
        this.lock = lock;
        this.node = config.node();
        this.listen = config.listen();
        Pki pki = new Pki(directory);
        boolean renewed = pki.renewIfDue(node, clock.instant());
        registry = Registry.open(directory, clock, r -> told(config, clock, r));
        registry.onDamage(failure::complete);
        Ledger ledger = new RegistryLedger(registry);
        EventLog events = new EventLog(ledger, clock);
        NodeView view = new NodeView(node, registry, ledger, System::nanoTime);
        locks = new ServiceLocks(clock);
        Backends.Made made = backends.make(directory, config);
        runtimes = made.runtimes().adopting(node, view);
        VolumeDirectories volumes = new VolumeDirectories(config.services(), config.allowedHostPaths());
        boolean enforceLimits = config.limits() == AgentConfig.LimitMode.ENFORCE;
        SecretStore secrets = new SecretStore(directory.resolve("secrets"), clock);
        ComponentLimits limits = new ComponentLimits(runtimes, enforceLimits);
        PreviousLogs previous = new PreviousLogs(directory.resolve("previous-logs"));
        Lifecycle lifecycle = new Lifecycle(node, runtimes, view, volumes, secrets, previous, enforceLimits);
        EventStore stored = registry.events();
        alerts = config.alert().map(a -> new Alerts(node, a, stored, events, clock));
        Tracks tracks = new Tracks(events, stored.states(), clock);
        Recovery recovery = new Recovery(runtimes, ledger, view, lifecycle, locks, tracks);
        recovery.blockPending();
        Path bootFile = directory.resolve("boot_id");
        Supervisor supervisor = new Supervisor(new Supervisor.Parts(
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
                SupervisorLoop.hasBooted(bootFile)));
        DeployPlanner planner = new DeployPlanner(
                runtimes,
                view,
                lifecycle,
                new DeployChecks(node, runtimes, view, volumes, secrets, enforceLimits),
                secrets);
        DeployService deploys =
                new DeployService(runtimes, ledger, view, lifecycle, locks, planner, recovery, tracks, clock);
        Tokens tokens = new Tokens(registry, clock);
        Outcomes outcomes = new Outcomes(registry);
        Observations observations = new Observations(runtimes);
        FileTransfers transfers =
                new FileTransfers(config.services(), directory, config.maxFileBytes(), backends.files());
        audit = new AuditLog(directory);
        ImageCollection images = new ImageCollection(runtimes, registry.images(), locks, events, clock);
        AgentService service = new AgentService(new AgentService.Parts(
                node,
                new TokenService(tokens, outcomes),
                outcomes,
                deploys,
                new OperatorActions(registry, runtimes, view, lifecycle, locks, volumes, tracks, events),
                new AdoptionService(node, registry, runtimes, view, locks, volumes, events),
                new StatusService(node, registry, view, observations, locks, supervisor, secrets, limits),
                new LogService(view, runtimes, previous),
                new ExecService(view, runtimes, outcomes),
                new FileService(transfers, outcomes),
                new SecretService(secrets, view),
                new BackupService(registry.backups(), view, locks, events),
                images,
                new NodeFacts(
                        node, config.services(), observations, registry, view, limits, new ComponentUsage(runtimes)),
                new EventService(stored, events),
                new Doctor(config.services(), made.socket(), pki, observations, runtimes)));
        ServerIdentity identity = new ServerIdentity(pki.shown());
        // Before anything is served: what comes later is under way, and nobody's leftover.
        List<Path> unfinished = transfers.leftovers();
        server = new AgentServer(listen, identity, service, new AuthInterceptor(node, tokens, audit, clock));
        loop = new SupervisorLoop(supervisor, runtimes, locks, made.revive(), bootFile, clock);
        CertificateWatch certificates = new CertificateWatch(node, pki, identity, events, clock);
        housekeeping = new Housekeeping(
                events,
                List.of(
                        new Housekeeping.Chore(
                                "the registry's snapshot",
                                Duration.ZERO,
                                LOOK_EVERY,
                                () -> registry.backups().takeIfOlderThan(SNAPSHOT_EVERY)),
                        new Housekeeping.Chore(
                                "the look at the certificates", LOOK_EVERY, CERTIFICATES_EVERY, certificates::look),
                        new Housekeeping.Chore(
                                "the look for what was removed elsewhere",
                                GONE_FIRST,
                                GONE_EVERY,
                                () -> dropGone(view, runtimes)),
                        new Housekeeping.Chore(
                                "the look for what a backend left",
                                Duration.ZERO,
                                LOOK_EVERY,
                                () -> heal(runtimes, events)),
                        new Housekeeping.Chore(
                                "the collection of images", IMAGES_FIRST, IMAGES_EVERY, () -> images.collect(false))));
        Thread.startVirtualThread(observations::refreshAvailability);
        Thread.startVirtualThread(() -> Leftovers.collect(runtimes, transfers, unfinished));
        events.node(EventLog.Kind.AGENT_STARTED, "version " + Version.TEXT);
        if (renewed) {
            events.node(EventLog.Kind.CERTIFICATE_RENEWED, "the server's certificate now ends on " + pki.serverEnds());
        }
    }

    private static RegistryEvent told(AgentConfig config, Clock clock, Restored r) {
        String message = r.why() + "; " + r.snapshot().name() + " took its place: what was changed since "
                + r.lostSince() + " is lost, revoked tokens included; the damaged file is " + r.damaged()
                + "; nothing is stopped for what the old rows say until mcp sync, deploy, start or stop of the service";
        LOG.severe(message);
        return EventLog.event(
                clock, config.alert().isPresent(), EventLog.Entry.ofNode(EventLog.Kind.REGISTRY_RESTORED, message));
    }

    private static void heal(Runtimes runtimes, EventLog events) {
        for (Runtime runtime : runtimes.all()) {
            try {
                runtime.heal().forEach(what -> events.node(EventLog.Kind.RUNTIME_MENDED, what));
            } catch (RuntimeFailure e) {
                // That it cannot be asked is an event of its own.
                if (e.kind() != RuntimeFailure.Kind.UNREACHABLE && e.kind() != RuntimeFailure.Kind.DEADLINE) {
                    throw e;
                }
            }
        }
    }

    /** In this order: what was asked to end and is in no later listing is gone. */
    static void dropGone(NodeView view, Runtimes runtimes) {
        Set<String> asked = new HashSet<>(view.stopRequests());
        if (asked.isEmpty()) {
            return;
        }
        try {
            runtimes.listAll().forEach(i -> asked.remove(i.id().value()));
        } catch (RuntimeFailure _) {
            // Nothing is known to be gone; that the runtime does not answer is an event of its own.
            return;
        }
        asked.forEach(view::clearStop);
    }

    /** The machine's, put on or back by a property that tests of a stepped clock set. */
    private static Clock clock() {
        return Clock.offset(Clock.systemUTC(), Duration.parse(System.getProperty(CLOCK_OFFSET, "PT0S")));
    }

    Name node() {
        return node;
    }

    /** Where it listens, with the port that was bound. */
    Address address() {
        return new Address(listen.host(), server.port());
    }

    /** Completed when the agent can do its work no longer until it is started anew. */
    CompletableFuture<RegistryException> failure() {
        return failure;
    }

    /** Ends the agent and nothing else: deploys under way get ten seconds, what is left of them is recovered at the next start. */
    @Override
    public void close() {
        server.drain();
        if (!locks.awaitIdle(DEPLOY_GRACE)) {
            LOG.warning("an operation is cut short; it is recovered at the next start");
        }
        loop.close();
        housekeeping.close();
        alerts.ifPresent(Alerts::close);
        server.close();
        runtimes.close();
        registry.close();
        audit.close();
        try {
            lock.close();
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot release the directory: " + Main.describe(e));
        }
    }
}
