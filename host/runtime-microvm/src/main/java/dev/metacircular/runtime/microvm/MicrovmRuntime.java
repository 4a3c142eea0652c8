package dev.metacircular.runtime.microvm;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.Exec;
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
import dev.metacircular.runtime.podman.PodmanOptions;
import dev.metacircular.runtime.podman.PodmanRuntime;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * MicroVMs, each carried by a container of rootless podman whose only program is the VMM: podman gives it its networks, its name, its
 * published ports, its log and its events, and the VM takes over the container's address. It outlives this process as the container does.
 *
 * <p>An exit status is the guest's own, or 125 where there was no VM or it ended without one, or above 128 where a signal ended it.
 */
public final class MicrovmRuntime implements Runtime {
    private static final System.Logger LOG = System.getLogger(MicrovmRuntime.class.getName());
    /** State directories that a crash left go at this interval at the latest. */
    private static final Duration SWEEP = Duration.ofMinutes(15);
    /** Of the two seconds that {@link #availability} may take. */
    private static final Duration AVAILABILITY = Duration.ofMillis(1_800);

    private final GuestImageStore images;
    private final Machinery machinery;
    private final StateDirectories directories;
    private final PodmanRuntime podman;
    private final Endings endings;
    private final Set<Making> underWay = ConcurrentHashMap.newKeySet();
    private final Map<InstanceId, Optional<String>> keys = new ConcurrentHashMap<>();
    private volatile Instant nextSweep = Instant.now().plus(SWEEP);

    /** @param podman carries the VMs; its deadlines hold here */
    public MicrovmRuntime(MicrovmOptions options, PodmanOptions podman, GuestImageStore images) {
        this.images = images;
        this.directories = new StateDirectories(options.directory());
        KvmTrial trial = new KvmTrial(options.directory());
        this.machinery = new Machinery(options, new VmmPrograms(options.searchPath()), trial);
        this.podman = PodmanRuntime.carrying(podman, new Carrier(directories, images, machinery));
        this.endings = new Endings();
        trial.by(new KvmTrial.Carrying(this.podman, podman.node(), underWay));
    }

    @Override
    public RuntimeKind kind() {
        return RuntimeKind.UNIKERNEL;
    }

    @Override
    public Availability availability() {
        long end = System.nanoTime() + AVAILABILITY.toNanos();
        return switch (podman.availability()) {
            case Availability.Unavailable(String reason) -> new Availability.Unavailable(reason);
            case Availability.Available(String version, String _) ->
                images.fault()
                        .<Availability>map(Availability.Unavailable::new)
                        .orElseGet(() -> machinery.availability(version, Duration.ofNanos(end - System.nanoTime())));
        };
    }

    @Override
    public Optional<Image> image(ImageRef reference) {
        return images.image(reference);
    }

    @Override
    public List<Image> images() {
        return images.images();
    }

    @Override
    public Image pull(ImageRef reference, PullListener listener) {
        return images.pull(reference, listener);
    }

    @Override
    public boolean removeImage(Image image) {
        return podman.listAll().stream().noneMatch(i -> i.imageId().equals(image.id())) && images.remove(image);
    }

    @Override
    public void ensureNetwork(Network network) {
        podman.ensureNetwork(network);
    }

    @Override
    public void removeNetwork(Network network) {
        podman.removeNetwork(network);
    }

    @Override
    public Optional<String> refusal(Component component) {
        return component.kernel().filter(Kernel.NANOS::equals).flatMap(_ -> machinery.whyNot(component));
    }

    @Override
    public InstanceId create(InstanceSpec spec) {
        sweepIfDue();
        Making making = new Making();
        underWay.add(making);
        try {
            InstanceId id = ScopedValue.where(Making.NOW, making).call(() -> podman.create(spec));
            making.key().filter(made -> !key(id).equals(Optional.of(made))).ifPresent(directories::remove);
            return id;
        } catch (RuntimeFailure e) {
            // Where podman may have made the carrier, it is looked at later.
            if (!e.leavesUnknown()) {
                making.key().ifPresent(directories::remove);
            }
            throw e;
        } finally {
            underWay.remove(making);
        }
    }

    /** The name of the state directory; empty where there is no such instance. */
    private Optional<String> key(InstanceId id) {
        Optional<String> known = keys.get(id);
        if (known != null) {
            return known;
        }
        try {
            Optional<String> key =
                    Optional.ofNullable(podman.labels(id).get(Carrier.LABEL)).filter(StateDirectories::isKey);
            keys.put(id, key);
            return key;
        } catch (RuntimeFailure e) {
            if (e.kind() == Kind.NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    @Override
    public void start(InstanceId instance) {
        podman.start(instance);
    }

    @Override
    public void stop(InstanceId instance, Duration grace) {
        podman.stop(instance, grace);
    }

    @Override
    public void remove(InstanceId instance) {
        Optional<String> key = key(instance);
        podman.remove(instance);
        keys.remove(instance);
        endings.forget(instance);
        key.ifPresent(directories::remove);
    }

    @Override
    public void setAside(InstanceId instance) {
        podman.setAside(instance);
    }

    @Override
    public void bringBack(InstanceId instance) {
        podman.bringBack(instance);
    }

    @Override
    public Optional<Instance> inspect(InstanceId instance) {
        return podman.inspect(instance).map(this::told);
    }

    @Override
    public List<Instance> list() {
        return told(podman.list());
    }

    @Override
    public List<Instance> list(Name service) {
        return told(podman.list(service));
    }

    @Override
    public Optional<Instance> named(String name) {
        return podman.named(name).map(this::told);
    }

    @Override
    public List<Instance> listAll() {
        return told(podman.listAll());
    }

    @Override
    public List<Instance> look() {
        return told(podman.look());
    }

    @Override
    public List<Instance> lookAll() {
        return told(podman.lookAll());
    }

    private List<Instance> told(List<Instance> carriers) {
        return carriers.stream().filter(i -> !KvmTrial.is(i)).map(this::told).toList();
    }

    /** Podman knows how the carrier ended; how the guest did stands in its channel. */
    private Instance told(Instance carrier) {
        if (!(carrier.state() instanceof InstanceState.Ended ended)) {
            return carrier;
        }
        InstanceState.Ended told =
                endings.of(carrier.id(), ended, () -> key(carrier.id()).map(directories::at));
        return told.equals(ended)
                ? carrier
                : new Instance(
                        carrier.id(),
                        carrier.name(),
                        carrier.identity(),
                        carrier.image(),
                        carrier.imageId(),
                        told,
                        carrier.createdAt(),
                        carrier.ports(),
                        carrier.setAside());
    }

    @Override
    public void logs(InstanceId instance, LogOptions options, LogSink sink) {
        podman.logs(instance, options, sink);
    }

    @Override
    public Map<InstanceId, Usage> usage() {
        Map<String, InstanceId> names = new HashMap<>();
        for (Instance instance : podman.look()) {
            if (instance.state() instanceof InstanceState.Running) {
                key(instance.id()).ifPresent(key -> names.put(key, instance.id()));
            }
        }
        return VmmUsage.of(names);
    }

    @Override
    public ProbeResult probe(InstanceId instance, HealthCheck check, Duration timeout) {
        return podman.probe(instance, check, timeout);
    }

    /** None: a VM runs its one program. */
    @Override
    public Optional<Exec> exec() {
        return Optional.empty();
    }

    @Override
    public Optional<Events> events() {
        return podman.events();
    }

    /** Of its own: what stops podman's containers, podman's own backend tells. */
    @Override
    public List<Obstacle> obstacles() {
        return machinery.obstacle().stream().toList();
    }

    private void sweepIfDue() {
        Instant now = Instant.now();
        if (!now.isBefore(nextSweep)) {
            nextSweep = now.plus(SWEEP);
            try {
                collect();
            } catch (RuntimeFailure e) {
                LOG.log(System.Logger.Level.WARNING, "what VMs left behind is not collected: {0}", e.getMessage());
            }
        }
    }

    @Override
    public void collect() {
        // In this order: what is there and neither under way nor named by a carrier was left behind.
        List<String> there = directories.keys();
        Set<String> used = new HashSet<>();
        underWay.forEach(making -> making.key().ifPresent(used::add));
        List<InstanceId> carriers = podman.listAll().stream().map(Instance::id).toList();
        carriers.forEach(id -> key(id).ifPresent(used::add));
        keys.keySet().retainAll(carriers);
        endings.retain(carriers);
        there.stream().filter(key -> !used.contains(key)).forEach(directories::remove);
    }

    @Override
    public List<String> heal() {
        return podman.heal();
    }

    @Override
    public void close() {
        podman.close();
    }
}
