package dev.metacircular.runtime.podman;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.Exec;
import dev.metacircular.runtime.Foreign;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.Usage;
import dev.metacircular.runtime.UserIds;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Containers of a rootless podman, 4.3 or newer. They run under podman's own service and outlive this process. Start
 * and end times are exact to the second, as podman lists them.
 *
 * <p>Or instances of another kind, each carried by a container ({@link #carrying}). Images, measuring on a node with cgroups v1 and running
 * commands are then for whoever makes the carriages; everything else is as with containers. A runtime lists instances of its own kind
 * only; but a name is given once on a node, and {@link #named} of containers finds who has it, whatever the kind.
 */
public final class PodmanRuntime implements Runtime {
    private static final Duration AVAILABILITY = Duration.ofSeconds(2);
    private static final Duration MEASURING = Duration.ofSeconds(2);

    private final PodmanOptions options;
    private final Optional<Carriage.Maker> carriages;
    private final Kinds kinds;
    private final Libpod libpod;
    private final NodeInfo.Cache node;
    private final Containers containers;
    private final Images images;
    private final MountSources mounts;
    private final Networks networks;
    private final Secrets secrets;
    private final Logs logs;
    private final PodmanExec exec;
    private final PodmanEvents events;
    private final Prober prober;
    private final ContainerUser users;
    private final ContainerNames names;
    /** Listings cost podman much, and changes of many services at once would each ask for several. */
    private final SharedQuestion<List<Instance>> ours;

    private final SharedQuestion<List<Instance>> everything;
    private final SharedQuestion<List<Instance>> shown;
    private final SharedQuestion<List<Instance>> allShown;
    /** Services deployed together are often made from one image. */
    private final Map<ImageRef, SharedQuestion<Optional<Image>>> lookUps = new ConcurrentHashMap<>();

    private final ForeignContainers foreign;

    public PodmanRuntime(PodmanOptions options) {
        this(options, Optional.empty());
    }

    /** A runtime of the maker's kind over the same podman, which the node's containers may be run by too. */
    public static PodmanRuntime carrying(PodmanOptions options, Carriage.Maker maker) {
        if (maker.kind() == RuntimeKind.CONTAINER) {
            throw new IllegalArgumentException("a container carries no container");
        }
        return new PodmanRuntime(options, Optional.of(maker));
    }

    private PodmanRuntime(PodmanOptions options, Optional<Carriage.Maker> carriages) {
        this.options = options;
        this.carriages = carriages;
        this.kinds = new Kinds(carriages.map(Carriage.Maker::kind).orElse(RuntimeKind.CONTAINER));
        this.libpod = new Libpod(new UnixHttp(options.socket()), options.deadlines());
        this.node = new NodeInfo.Cache(libpod);
        this.containers = new Containers(libpod, kinds);
        this.images = new Images(libpod, new RegistryAccess(options));
        this.mounts = new MountSources(containers);
        this.networks = new Networks(libpod, options.node());
        this.secrets = new Secrets(libpod, options.node());
        this.logs = new Logs(libpod, containers);
        this.exec = new PodmanExec(libpod);
        this.events = new PodmanEvents(libpod, options.socket(), kinds);
        this.names = new ContainerNames(libpod, node);
        this.users = new ContainerUser(libpod, containers);
        this.prober = new Prober(containers, exec, carriages.isPresent());
        String labelled =
                Labels.filter(ofKind(Map.of(Labels.NODE, options.node().value())));
        String all = carriages.isPresent() ? Labels.filter(ofKind(Map.of())) : "{}";
        this.ours = listing("list instances", labelled);
        this.everything = listing("list containers", all);
        this.shown = listing("list instances", labelled);
        this.allShown = listing("list containers", all);
        this.foreign = new ForeignContainers(libpod, containers);
    }

    /** With the label that podman can be asked for; there is none that says that something is not carried. */
    private Map<String, String> ofKind(Map<String, String> labels) {
        Map<String, String> all = new LinkedHashMap<>(labels);
        carriages.ifPresent(m -> all.put(Labels.RUNTIME, m.kind().toString()));
        return all;
    }

    private SharedQuestion<List<Instance>> listing(String purpose, String filters) {
        return new SharedQuestion<>(containers.repeated(purpose, filters)::ask);
    }

    @Override
    public RuntimeKind kind() {
        return kinds.own();
    }

    @Override
    public Availability availability() {
        return node.availability(AVAILABILITY);
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        if (carriages.isPresent()) {
            return Optional.empty();
        }
        SharedQuestion<Optional<Image>> lookUp =
                lookUps.computeIfAbsent(reference, r -> new SharedQuestion<>(() -> images.find(r)));
        try {
            return lookUp.ask();
        } finally {
            // Those who share it have it; who comes now puts a question of his own.
            lookUps.remove(reference, lookUp);
        }
    }

    @Override
    public List<Image> images() {
        return carriages.isPresent() ? List.of() : images.all();
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        if (carriages.isPresent()) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "podman has no images of a " + kind() + ": " + reference);
        }
        return images.pull(reference, listener);
    }

    @Override
    public boolean removeImage(Image image) {
        return carriages.isEmpty() && images.remove(image);
    }

    @Override
    public void ensureNetwork(Network network) {
        networks.ensure(network);
    }

    @Override
    public void removeNetwork(Network network) {
        networks.remove(network);
    }

    @Override
    public InstanceId create(InstanceSpec spec) {
        Identity identity = spec.identity();
        String purpose = "create " + identity.component();
        // Under its canonical name, podman itself refuses a second one; under the other one, nothing would.
        if (carriages.isPresent()
                || !spec.secrets().isEmpty()
                || containers.named(asideName(identity)).isPresent()) {
            Optional<InstanceId> same = find(purpose, identity);
            if (same.isPresent()) {
                return same.get();
            }
        }
        if (carriages.isPresent()) {
            Carriage carriage = carriages.get().of(spec);
            return create(spec, purpose, Map.of(), ContainerSpec.carrying(spec, kind(), carriage), carriage.mounts());
        }
        boolean limits = canLimit(spec);
        Map<String, String> stored = secrets.store(identity, spec.secrets());
        try {
            return create(spec, purpose, stored, ContainerSpec.of(spec, stored, limits), spec.volumes());
        } finally {
            secrets.settled(stored);
        }
    }

    private InstanceId create(
            InstanceSpec spec,
            String purpose,
            Map<String, String> stored,
            Map<String, Object> document,
            List<InstanceSpec.Mount> mounted) {
        Identity identity = spec.identity();
        Request request =
                Request.post(purpose, Libpod.path("/containers/create")).json(document);
        Answer answer = libpod.change(request, options.deadlines().work());
        if (answer.isSuccess()) {
            InstanceId made = new InstanceId(kind(), answer.json().path("Id").asText());
            kinds.know(made);
            mounts.created(made, mounted);
            return made;
        }
        RuntimeFailure failure = Libpod.failure(request, answer);
        // Another caller may have made the same instance in the meantime.
        boolean taken = failure.kind() == Kind.CONFLICT;
        if (taken) {
            containers.awaitHolder(identity.component().canonicalName());
        }
        Optional<InstanceId> rival = taken ? find(purpose, identity) : Optional.empty();
        if (rival.isEmpty()) {
            secrets.discard(stored, failure);
            throw failure;
        }
        return rival.get();
    }

    private Optional<InstanceId> find(String purpose, Identity identity) {
        return containers.list(purpose, Labels.filter(ofKind(Labels.of(identity)))).stream()
                .map(Instance::id)
                .findFirst();
    }

    private boolean canLimit(InstanceSpec spec) {
        if (ContainerSpec.controllers(spec.component()).isEmpty()) {
            return false;
        }
        Optional<String> lacking = unenforceable(spec.component());
        if (lacking.isPresent() && spec.enforceLimits()) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, spec.identity().component() + ": " + lacking.get());
        }
        return lacking.isEmpty();
    }

    @Override
    public Optional<String> unenforceable(Component component) {
        List<String> wanted = carriages.isPresent() ? List.of() : ContainerSpec.controllers(component);
        if (wanted.isEmpty()) {
            return Optional.empty();
        }
        return node.get(options.deadlines().call()).unenforceable(wanted);
    }

    @Override
    public void start(InstanceId instance) {
        mounts.requireUnmoved(instance);
        names.beforeStart();
        try {
            change(
                    instance,
                    "start ",
                    Libpod.path("/containers/{}/start", instance.value()),
                    options.deadlines().work());
        } catch (RuntimeFailure e) {
            names.afterFailedStart(e);
            throw e;
        }
        names.afterStart();
    }

    @Override
    public void stop(InstanceId instance, Duration grace) {
        long seconds = grace.plusMillis(999).toSeconds();
        change(
                instance,
                "stop ",
                Libpod.path("/containers/{}/stop?timeout=" + seconds, instance.value()),
                Duration.ofSeconds(seconds).plus(options.deadlines().stopMargin()));
    }

    @Override
    public void remove(InstanceId instance) {
        mounts.removed(instance);
        String purpose = "remove " + Containers.shortly(instance);
        JsonNode container;
        try {
            container = containers.inspect(purpose, instance);
            purpose = "remove " + container.path("Name").asText(Containers.shortly(instance));
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return;
            }
            throw e;
        }
        // First, so that a crash in between leaves a container to be removed rather than secrets that nobody names.
        secrets.removeOf(container.path("Config").path("Labels"));
        Request request = Request.delete(
                purpose, Libpod.path("/containers/{}?force=true&v=true&timeout=0&ignore=true", instance.value()));
        Answer answer = libpod.change(request, options.deadlines().work());
        boolean gone = answer.status() == 404
                || (!answer.isSuccess() && containers.find(instance).isEmpty());
        if (!answer.isSuccess() && !gone) {
            throw Libpod.failure(request, answer);
        }
        if (answer.isSuccess() && answer.status() != 204) {
            String error = answer.json().path(0).path("Err").asText("");
            if (!error.isEmpty() && !error.equals("null")) {
                throw new RuntimeFailure(Kind.FAILED, "cannot " + purpose + ": " + OneLine.of(error));
            }
        }
    }

    @Override
    public void setAside(InstanceId instance) {
        rename(instance, "set aside ", true);
    }

    @Override
    public void bringBack(InstanceId instance) {
        rename(instance, "bring back ", false);
    }

    private void rename(InstanceId id, String verb, boolean aside) {
        Instance instance = containers
                .find(id)
                .orElseThrow(() -> new RuntimeFailure(
                        Kind.NOT_FOUND, "cannot " + verb + Containers.shortly(id) + ": it does not exist"));
        Identity identity = instance.identity()
                .orElseThrow(() -> new RuntimeFailure(
                        Kind.UNSUPPORTED, "cannot " + verb + instance.name() + ": it bears no labels of this system"));
        String canonical = identity.component().canonicalName();
        String name = aside ? asideName(identity) : canonical;
        if (!instance.name().equals(name)) {
            change(Request.post(
                    verb + identity.component(), Libpod.path("/containers/{}/rename?name={}", id.value(), name)));
        }
    }

    private static String asideName(Identity identity) {
        return identity.component().canonicalName() + ".g" + identity.generation();
    }

    private void change(Request request) {
        Answer answer = libpod.change(request, options.deadlines().call());
        if (isRefused(answer)) {
            throw Libpod.failure(request, answer);
        }
    }

    /** Of what is refused the container's name is told, which is asked for only then. */
    private void change(InstanceId instance, String verb, String target, Duration deadline) {
        Answer answer = libpod.change(Request.post(verb + Containers.shortly(instance), target), deadline);
        if (isRefused(answer)) {
            throw Libpod.failure(Request.post(verb + containers.name(instance), target), answer);
        }
    }

    private static boolean isRefused(Answer answer) {
        // 304: it is so already.
        return !answer.isSuccess() && answer.status() != 304;
    }

    @Override
    public Optional<Instance> inspect(InstanceId instance) {
        return containers.find(instance);
    }

    /**
     * The labels of the container that is, or carries, this instance.
     *
     * @throws RuntimeFailure {@code NOT_FOUND}
     */
    public Map<String, String> labels(InstanceId instance) {
        return containers.labels("inspect " + Containers.shortly(instance), instance);
    }

    @Override
    public List<Instance> list() {
        return ours(ours.ask());
    }

    private static List<Instance> ours(List<Instance> labelled) {
        return labelled.stream().filter(i -> i.identity().isPresent()).toList();
    }

    @Override
    public List<Instance> list(Name service) {
        // Podman looks at a container that is starting or stopping only when it is done.
        String filter =
                Labels.filter(ofKind(Map.of(Labels.NODE, options.node().value(), Labels.SERVICE, service.value())));
        return containers.list("list instances of " + service, filter).stream()
                .filter(i -> i.identity()
                        .filter(d -> d.component().service().equals(service))
                        .isPresent())
                .toList();
    }

    @Override
    public Optional<Instance> named(String name) {
        return containers.named(name).filter(i -> carriages.isEmpty() || i.id().runtime() == kind());
    }

    @Override
    public List<Instance> listAll() {
        return everything.ask();
    }

    @Override
    public List<Instance> look() {
        return ours(shown.ask());
    }

    @Override
    public List<Instance> lookAll() {
        return allShown.ask();
    }

    @Override
    public void logs(InstanceId instance, LogOptions options, LogSink sink) {
        logs.read(instance, options, sink);
    }

    @Override
    public Optional<UserIds> user(InstanceId instance) {
        return carriages.isPresent() ? Optional.empty() : users.of(instance);
    }

    @Override
    public Map<InstanceId, Usage> usage() {
        if (!node.get(options.deadlines().call()).cgroupV2()) {
            throw new RuntimeFailure(
                    Kind.UNSUPPORTED, "the node has cgroups v1, where an ordinary user's containers are not measured");
        }
        Request request = Request.get("measure containers", Libpod.path("/containers/stats?stream=false"));
        return Stats.of(libpod.read(request, MEASURING), kinds);
    }

    @Override
    public List<Obstacle> obstacles() {
        if (carriages.isPresent()) {
            return List.of();
        }
        List<Obstacle> all =
                new ArrayList<>(node.get(options.deadlines().call()).obstacles());
        names.fault().ifPresent(all::add);
        return all;
    }

    @Override
    public ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        return prober.probe(instance, check, timeout);
    }

    @Override
    public Optional<Exec> exec() {
        return Optional.<Exec>of(exec).filter(_ -> carriages.isEmpty());
    }

    @Override
    public Optional<Foreign> foreign() {
        return Optional.<Foreign>of(foreign).filter(_ -> carriages.isEmpty());
    }

    @Override
    public Optional<Events> events() {
        return Optional.of(events);
    }

    @Override
    public void collect() {
        if (carriages.isEmpty()) {
            secrets.sweep(Instant.MAX);
        }
    }

    @Override
    public List<String> heal() {
        return carriages.isEmpty() ? names.heal() : names.told();
    }

    @Override
    public void close() {
        events.close();
        libpod.close();
    }
}
