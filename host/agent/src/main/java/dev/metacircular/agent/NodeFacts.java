package dev.metacircular.agent;

import dev.metacircular.contract.v1.ComponentResources;
import dev.metacircular.contract.v1.RegistryFacts;
import dev.metacircular.contract.v1.RegistryLoss;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.ShowNodeResponse;
import dev.metacircular.model.Component;
import dev.metacircular.model.Name;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.Snapshot;
import dev.metacircular.runtime.Availability;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** What the node has, as the kernel tells it. */
final class NodeFacts {
    private static final long KIB = 1024;

    private final Name node;
    private final Path services;
    private final Observations observations;
    private final Registry registry;
    private final NodeView view;
    private final ComponentLimits limits;
    private final Path meminfo;
    private final ComponentUsage usage;

    NodeFacts(
            Name node,
            Path services,
            Observations observations,
            Registry registry,
            NodeView view,
            ComponentLimits limits,
            ComponentUsage usage) {
        this(node, services, observations, registry, view, limits, usage, Path.of("/proc/meminfo"));
    }

    NodeFacts(
            Name node,
            Path services,
            Observations observations,
            Registry registry,
            NodeView view,
            ComponentLimits limits,
            ComponentUsage usage,
            Path meminfo) {
        this.meminfo = meminfo;
        this.node = node;
        this.services = services;
        this.observations = observations;
        this.registry = registry;
        this.view = view;
        this.limits = limits;
        this.usage = usage;
    }

    ShowNodeResponse show() {
        ShowNodeResponse.Builder response = ShowNodeResponse.newBuilder()
                .setName(node.value())
                .setVersion(Version.TEXT)
                .setCpus(Runtime.getRuntime().availableProcessors());
        try {
            response.setMemoryBytes(memory("MemTotal:")).setMemoryFreeBytes(memory("MemAvailable:"));
        } catch (IOException e) {
            response.clearMemoryBytes().setMemoryReason("cannot be measured: " + Main.describe(e));
        }
        try {
            FileStore store = Files.getFileStore(services);
            response.setDiskBytes(store.getTotalSpace()).setDiskFreeBytes(store.getUsableSpace());
        } catch (IOException e) {
            response.clearDiskBytes().setDiskReason("that of " + services + " cannot be measured: " + Main.describe(e));
        }
        Map<RuntimeKind, Availability> available = observations.refreshAvailability();
        for (RuntimeKind kind : RuntimeKind.values()) {
            response.addRuntimes(state(
                    kind,
                    available.getOrDefault(
                            kind, new Availability.Unavailable("this agent has no backend for it yet"))));
        }
        Map<RuntimeKind, ComponentUsage.Answer> measured = new EnumMap<>(RuntimeKind.class);
        for (RuntimeKind kind : RuntimeKind.values()) {
            measured.put(
                    kind,
                    available.get(kind) instanceof Availability.Unavailable(String reason)
                            ? new ComponentUsage.Answer.NotMeasured(reason)
                            : usage.of(kind));
        }
        view.services().stream()
                .flatMap(known -> known.components().stream())
                .sorted(Comparator.comparing(KnownService.Member::id))
                .forEach(m -> response.addComponents(resources(
                        m,
                        available.get(m.component().runtime()) instanceof Availability.Available,
                        Objects.requireNonNull(measured.get(m.component().runtime())))));
        return response.setRegistry(registry()).build();
    }

    /**
     * @param available whether its runtime can be asked
     * @param usage what its runtime has measured
     */
    private ComponentResources resources(KnownService.Member m, boolean available, ComponentUsage.Answer usage) {
        Component component = m.component();
        ComponentResources.Builder resources = ComponentResources.newBuilder()
                .setService(m.id().service().value())
                .setComponent(m.id().component().value());
        switch (usage) {
            case ComponentUsage.Answer.NotMeasured(String reason) -> resources.setReason(reason);
            case ComponentUsage.Answer.Measured(var measured) ->
                Optional.ofNullable(measured.get(m.id()))
                        .ifPresentOrElse(
                                u -> resources
                                        .setMemoryBytes(u.memoryBytes())
                                        .setCpuNs(u.cpu().toNanos()),
                                () -> resources.setReason("it does not run"));
        }
        component.memoryMb().ifPresent(mb -> resources.setMemoryLimitBytes((long) mb << 20));
        component.cpus().ifPresent(resources::setCpuLimit);
        component.vcpus().ifPresent(resources::setCpuLimit);
        if (available) {
            limits.notEnforced(component).ifPresent(resources::setNotEnforced);
        }
        return resources.build();
    }

    private RegistryFacts registry() {
        RegistryFacts.Builder facts = RegistryFacts.newBuilder();
        List<Snapshot> snapshots = registry.backups().list();
        facts.setSnapshots(snapshots.size());
        if (!snapshots.isEmpty()) {
            facts.setSnapshotAtMs(snapshots.getFirst().takenAt().toEpochMilli());
        }
        registry.loss()
                .ifPresent(l -> facts.setLoss(RegistryLoss.newBuilder()
                        .setNoticedAtMs(l.noticedAt().toEpochMilli())
                        .setLostSinceMs(l.restored().lostSince().toEpochMilli())
                        .setSnapshot(l.restored().snapshot().name())
                        .setDamaged(l.restored().damaged().toString())
                        .setWhy(l.restored().why())));
        view.unconfirmed().forEach(n -> facts.addUnconfirmed(n.value()));
        return facts.build();
    }

    static RuntimeState state(RuntimeKind kind, Availability availability) {
        RuntimeState.Builder state = RuntimeState.newBuilder().setName(kind.toString());
        return switch (availability) {
            case Availability.Available(String version, String accelerator) ->
                state.setAvailable(true)
                        .setVersion(version)
                        .setAccelerator(accelerator)
                        .build();
            case Availability.Unavailable(String reason) ->
                state.setAvailable(false).setReason(reason).build();
        };
    }

    private long memory(String key) throws IOException {
        try (Stream<String> lines = Files.lines(meminfo)) {
            return lines.filter(l -> l.startsWith(key))
                    .findFirst()
                    .map(l -> Long.parseLong(l.replaceAll("[^0-9]", "")) * KIB)
                    .orElseThrow(() -> new IOException(meminfo + " has no " + key));
        }
    }
}
