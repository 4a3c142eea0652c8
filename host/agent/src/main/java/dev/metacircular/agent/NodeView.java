package dev.metacircular.agent;

import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.AdoptedInstance;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.registry.RegisteredService;
import dev.metacircular.registry.Registry;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * The registry in memory, every document read once. Whoever changes a service's rows calls {@link #refresh}; stop requests are written
 * through it. Safe for any number of threads; a service is seen as it was before or after a change, never in between.
 */
final class NodeView {
    /** A runtime takes so much longer at most to carry out a stop than the grace that it gives. */
    private static final Duration STOP_MARGIN = Duration.ofSeconds(50);

    private static final Duration LONGEST_STOP = Lifecycle.GRACE.plus(STOP_MARGIN);

    private final Name node;
    private final Registry registry;
    private final Ledger ledger;
    private final Map<Name, KnownService> services = new ConcurrentSkipListMap<>();
    /** With when they were made, or taken over from an agent that died. */
    private final Map<String, Long> stopRequests = new ConcurrentHashMap<>();

    private final LongSupplier nanos;
    /** The generations of services whose rows came from a snapshot. */
    private final Map<Name, Long> restored = new ConcurrentHashMap<>();
    /** Adopted instances by their IDs. */
    private final Map<String, AdoptedInstance> adopted = new ConcurrentHashMap<>();

    /** @param nanos a monotonic clock, as {@link System#nanoTime} */
    NodeView(Name node, Registry registry, Ledger ledger, LongSupplier nanos) {
        this.nanos = nanos;
        this.node = node;
        this.registry = registry;
        this.ledger = ledger;
        registry.services().forEach(this::put);
        registry.stopRequests().forEach(i -> stopRequests.put(i, nanos.getAsLong()));
        refreshAdopted();
        restored.putAll(registry.restoredServices());
    }

    /** Takes everything but the stop requests from the registry anew. */
    void reload() {
        List<RegisteredService> rows = registry.services();
        rows.forEach(this::put);
        services.keySet().retainAll(rows.stream().map(RegisteredService::name).collect(Collectors.toSet()));
        refreshAdopted();
        Map<Name, Long> unconfirmed = registry.restoredServices();
        restored.putAll(unconfirmed);
        restored.keySet().retainAll(unconfirmed.keySet());
    }

    /** Services of which nothing is ended, for their rows came from a snapshot; in the order of their names. */
    List<Name> unconfirmed() {
        return services.values().stream()
                .filter(this::isRestored)
                .map(KnownService::name)
                .toList();
    }

    /** Takes the adopted instances from the registry anew. */
    void refreshAdopted() {
        List<AdoptedInstance> rows = registry.adopted();
        rows.forEach(a -> adopted.put(a.instance(), a));
        adopted.keySet().retainAll(rows.stream().map(AdoptedInstance::instance).collect(Collectors.toSet()));
    }

    boolean hasAdopted() {
        return !adopted.isEmpty();
    }

    /** What an instance without labels is, if it was taken over. */
    Optional<Identity> adopted(InstanceId instance) {
        return Optional.ofNullable(adopted.get(instance.value()))
                .map(a -> new Identity(node, a.component(), a.generation(), Identity.ADOPTED));
    }

    /** Whether the component was taken over and not deployed since. */
    boolean isAdopted(ComponentId id) {
        return adopted.values().stream().anyMatch(a -> a.component().equals(id));
    }

    /** Whether its rows came from a snapshot and nobody has said since what should be: then nothing of it is ended. */
    boolean isRestored(KnownService service) {
        return Long.valueOf(service.generation()).equals(restored.get(service.name()));
    }

    /** An operator has said what should be. */
    void confirmRestored(Name service) {
        if (restored.containsKey(service)) {
            registry.confirmRestored(service);
            restored.remove(service);
        }
    }

    /** Remembers that the agent itself brought this image to the node. */
    void recordPulled(RuntimeKind runtime, String image, ImageRef reference) {
        String repository = reference.registry() + "/" + reference.repository();
        String name = reference
                .digest()
                .map(digest -> repository + "@" + digest)
                .orElseGet(() -> repository + ":" + reference.tag().orElse("latest"));
        registry.images().recordPulled(runtime.toString(), image, name);
    }

    /** Forgets it; costs nothing where there is none. */
    void dropAdopted(InstanceId instance) {
        if (adopted.containsKey(instance.value())) {
            registry.dropAdopted(instance.value());
            adopted.remove(instance.value());
        }
    }

    /** Forgets those of a runtime that are gone and whose component has another instance now, or is of another runtime. */
    void dropReplaced(RuntimeKind runtime, List<Instance> everything) {
        for (AdoptedInstance a : List.copyOf(adopted.values())) {
            if (!a.runtime().equals(runtime.toString())) {
                continue;
            }
            List<Instance> own = Instances.of(everything, a.component());
            boolean moved = service(a.component().service())
                    .flatMap(s -> s.find(a.component().component()))
                    .filter(m -> m.component().runtime() != runtime)
                    .isPresent();
            if ((moved || !own.isEmpty())
                    && own.stream().noneMatch(i -> i.id().value().equals(a.instance()))) {
                registry.dropAdopted(a.instance());
                adopted.remove(a.instance());
            }
        }
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
        stopRequests.put(instance.value(), nanos.getAsLong());
    }

    /** Forgets it; costs nothing where there is none. */
    void clearStop(InstanceId instance) {
        clearStop(instance.value());
    }

    void clearStop(String instance) {
        if (stopRequests.containsKey(instance)) {
            ledger.clearStopRequest(instance);
            stopRequests.remove(instance);
        }
    }

    /** Whose end was asked for; those that somebody else removed since too. */
    Set<String> stopRequests() {
        return Set.copyOf(stopRequests.keySet());
    }

    boolean stopRequested(InstanceId instance) {
        return stopRequests.containsKey(instance.value());
    }

    /** Whether its end was asked for so long ago that the request has never reached it if it still runs. */
    boolean isStopOverdue(InstanceId instance) {
        Long since = stopRequests.get(instance.value());
        return since != null && nanos.getAsLong() - since > LONGEST_STOP.toNanos();
    }
}
