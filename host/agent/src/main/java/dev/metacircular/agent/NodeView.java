package dev.metacircular.agent;

import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Component;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.registry.RegisteredService;
import dev.metacircular.registry.Registry;
import dev.metacircular.runtime.InstanceId;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;

/**
 * The registry in memory, every document read once. Whoever changes a service's rows calls {@link #refresh}; stop requests are written
 * through it. Safe for any number of threads; a service is seen as it was before or after a change, never in between.
 */
final class NodeView {
    private final Registry registry;
    private final Ledger ledger;
    private final Map<Name, KnownService> services = new ConcurrentSkipListMap<>();
    private final Set<String> stopRequests = ConcurrentHashMap.newKeySet();

    NodeView(Registry registry, Ledger ledger) {
        this.registry = registry;
        this.ledger = ledger;
        registry.services().forEach(this::put);
        stopRequests.addAll(registry.stopRequests());
    }

    /** Takes a service's rows from the registry anew. */
    void refresh(Name service) {
        Optional<RegisteredService> row = registry.service(service);
        if (row.isPresent()) {
            put(row.get());
        } else {
            services.remove(service);
        }
    }

    private void put(RegisteredService row) {
        Optional<KnownService> before = Optional.ofNullable(services.get(row.name()));
        List<KnownService.Member> members = row.components().stream()
                .map(c ->
                        new KnownService.Member(c, read(c, before), c.desired().under(row.active())))
                .toList();
        services.put(row.name(), new KnownService(row.name(), row.generation(), row.active(), members));
    }

    private static Component read(RegisteredComponent row, Optional<KnownService> before) {
        return before.flatMap(s -> s.find(row.id().component()))
                .filter(m -> m.row().documentDigest().equals(row.documentDigest()))
                .map(KnownService.Member::component)
                .orElseGet(() -> ComponentDocuments.read(row.documentVersion(), row.document()));
    }

    /** In the order of their names. */
    Collection<KnownService> services() {
        return List.copyOf(services.values());
    }

    Optional<KnownService> service(Name name) {
        return Optional.ofNullable(services.get(name));
    }

    /** @throws dev.metacircular.model.ProblemException {@code NOT_FOUND} if it is not registered */
    KnownService require(Name name) {
        return service(name)
                .orElseThrow(() -> Problem.of(Problem.Kind.NOT_FOUND, "the service is not registered on this node")
                        .at(name.value())
                        .next("mcp deploy " + name)
                        .exception());
    }

    /** Writes down that an instance's end is asked for; to be called before it is. */
    void requestStop(InstanceId instance) {
        ledger.recordStopRequest(instance.value());
        stopRequests.add(instance.value());
    }

    /** Forgets it; costs nothing where there is none. */
    void clearStop(InstanceId instance) {
        if (stopRequests.contains(instance.value())) {
            ledger.clearStopRequest(instance.value());
            stopRequests.remove(instance.value());
        }
    }

    boolean stopRequested(InstanceId instance) {
        return stopRequests.contains(instance.value());
    }
}
