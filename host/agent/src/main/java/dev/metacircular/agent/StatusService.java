package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.ComponentDocument;
import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.contract.v1.RuntimeState;
import dev.metacircular.contract.v1.StatusResponse;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Drift;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observation;
import dev.metacircular.model.Observed;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.registry.EventQuery;
import dev.metacircular.registry.Registry;
import dev.metacircular.runtime.Instance;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** Answers what should be there and what is so; a backend that does not answer makes its components {@code unknown}. */
final class StatusService {
    private static final int EVENTS_SHOWN = 20;
    private static final int EVENTS_SHOWN_OF_SERVICE = 50;

    private final Name node;
    private final Registry registry;
    private final NodeView view;
    private final Observations observations;
    private final ServiceLocks locks;
    private final Supervisor supervisor;
    private final SecretStore secrets;
    private final ComponentLimits limits;

    StatusService(
            Name node,
            Registry registry,
            NodeView view,
            Observations observations,
            ServiceLocks locks,
            Supervisor supervisor,
            SecretStore secrets,
            ComponentLimits limits) {
        this.secrets = secrets;
        this.limits = limits;
        this.node = node;
        this.registry = registry;
        this.view = view;
        this.observations = observations;
        this.locks = locks;
        this.supervisor = supervisor;
    }

    /** @param service empty for all; one that is not registered has no components and generation 0 */
    ListResponse list(Optional<Name> service) {
        ListResponse.Builder response = ListResponse.newBuilder().setNode(node.value());
        for (KnownService s : selected(service)) {
            s.components().forEach(m -> response.addComponents(registered(s, m, service.isPresent())));
            if (service.isPresent()) {
                response.setActive(s.active()).setGeneration(s.generation());
            }
        }
        return response.build();
    }

    private Collection<KnownService> selected(Optional<Name> service) {
        return service.isPresent() ? view.service(service.get()).stream().toList() : view.services();
    }

    private static RegisteredComponent registered(KnownService service, KnownService.Member m, boolean withDocument) {
        RegisteredComponent.Builder component = RegisteredComponent.newBuilder()
                .setService(service.name().value())
                .setComponent(m.id().component().value())
                .setName(m.id().canonicalName())
                .setRuntime(m.component().runtime().toString())
                .setImage(m.component().image().toString())
                .setVersion(m.component().image().version())
                .setDesired(m.desired().toString())
                .setGeneration(service.generation());
        if (withDocument) {
            component.setDocument(ComponentDocument.newBuilder()
                    .setVersion(m.row().documentVersion())
                    .setToml(m.row().document())
                    .setDesired(m.row().desired().toString()));
        }
        return component.build();
    }

    PsResponse ps(Optional<Name> service) {
        Map<RuntimeKind, Observations.Answer> answers = observations.ask(false);
        PsResponse.Builder response = PsResponse.newBuilder().setNode(node.value());
        answers.forEach((kind, answer) -> response.addRuntimes(runtimeState(kind, answer)));
        List<Instance> instances = answers.values().stream()
                .flatMap(a -> a.instances().stream().flatMap(List::stream))
                .filter(i -> i.identity().isPresent())
                .filter(i -> service.isEmpty() || Instances.belongsTo(i, service.get()))
                .sorted(Comparator.comparing(
                                (Instance i) -> i.identity().orElseThrow().component())
                        .thenComparingLong(Instances::generation))
                .toList();
        instances.forEach(i -> response.addInstances(instance(i)));
        for (KnownService s : selected(service)) {
            for (KnownService.Member m : s.components()) {
                boolean unasked = Optional.ofNullable(answers.get(m.component().runtime()))
                        .flatMap(Observations.Answer::instances)
                        .isEmpty();
                if (unasked) {
                    response.addInstances(unknown(m));
                }
            }
        }
        return response.build();
    }

    private static dev.metacircular.contract.v1.Instance unknown(KnownService.Member m) {
        return dev.metacircular.contract.v1.Instance.newBuilder()
                .setService(m.id().service().value())
                .setComponent(m.id().component().value())
                .setName(m.id().canonicalName())
                .setRuntime(m.component().runtime().toString())
                .setImage(m.component().image().toString())
                .setVersion(m.component().image().version())
                .setState(new Observed.Unknown().toString())
                .build();
    }

    private dev.metacircular.contract.v1.Instance instance(Instance i) {
        var identity = i.identity().orElseThrow();
        Observed observed = Observation.of(Optional.of(i.state()), view.stopRequested(i.id()));
        var message = dev.metacircular.contract.v1.Instance.newBuilder()
                .setService(identity.component().service().value())
                .setComponent(identity.component().component().value())
                .setName(i.name())
                .setRuntime(i.id().runtime().toString())
                .setImage(i.image())
                .setVersion(version(i.image()))
                .setState(observed.toString())
                .setGeneration(identity.generation());
        if (i.state() instanceof InstanceState.Running(var startedAt)) {
            message.setStartedAtMs(startedAt.toEpochMilli());
        }
        i.ports().stream().map(PortMapping::toString).forEach(message::addPorts);
        Messages.exitCode(observed).ifPresent(message::setExitCode);
        return message.build();
    }

    private static String version(String image) {
        try {
            return ImageRef.parse(image).version();
        } catch (IllegalArgumentException _) {
            return "";
        }
    }

    static RuntimeState runtimeState(RuntimeKind kind, Observations.Answer answer) {
        return RuntimeState.newBuilder()
                .setName(kind.toString())
                .setAvailable(answer.instances().isPresent())
                .setReason(answer.reason())
                .setVersion(answer.version())
                .setAccelerator(answer.accelerator())
                .build();
    }

    StatusResponse status(Optional<Name> service) {
        Map<RuntimeKind, Observations.Answer> answers = observations.ask(true);
        StatusResponse.Builder response = StatusResponse.newBuilder().setNode(node.value());
        answers.forEach((kind, answer) -> response.addRuntimes(runtimeState(kind, answer)));
        Map<ComponentId, List<Instance>> byComponent = new HashMap<>();
        answers.values().stream()
                .flatMap(a -> a.instances().stream().flatMap(List::stream))
                .filter(i -> i.identity().isPresent())
                .forEach(i -> byComponent
                        .computeIfAbsent(i.identity().orElseThrow().component(), _ -> new ArrayList<>())
                        .add(i));
        for (KnownService s : selected(service)) {
            for (KnownService.Member m : s.components()) {
                response.addComponents(status(
                        s,
                        m,
                        Optional.ofNullable(answers.get(m.component().runtime())),
                        byComponent.getOrDefault(m.id(), List.of())));
            }
        }
        byComponent.entrySet().stream()
                .filter(e -> isUnregistered(e.getKey())
                        && service.filter(s -> !s.equals(e.getKey().service())).isEmpty())
                .sorted(Map.Entry.comparingByKey())
                .forEach(e -> e.getValue().forEach(i -> response.addUnregistered(instance(i))));
        EventQuery query = new EventQuery(service, Optional.empty(), Set.of(), Optional.empty(), Optional.empty());
        registry.events().latest(query, 0, service.isPresent() ? EVENTS_SHOWN_OF_SERVICE : EVENTS_SHOWN).stream()
                .map(EventService::message)
                .forEach(response::addEvents);
        return response.build();
    }

    /** What a deploy makes is not registered before its commit. */
    private boolean isUnregistered(ComponentId id) {
        return locks.isFree(id.service())
                && view.service(id.service())
                        .flatMap(s -> s.find(id.component()))
                        .isEmpty();
    }

    private ComponentStatus status(
            KnownService service,
            KnownService.Member m,
            Optional<Observations.Answer> answer,
            List<Instance> instances) {
        Optional<Instance> instance = Instances.chosen(instances, m.id(), service.generation());
        boolean asked = answer.flatMap(Observations.Answer::instances).isPresent();
        Observed observed = asked
                ? Observation.of(
                        instance.map(Instance::state),
                        instance.filter(i -> view.stopRequested(i.id())).isPresent())
                : new Observed.Unknown();
        ComponentStatus.Builder status = ComponentStatus.newBuilder()
                .setComponent(registered(service, m, false))
                .setObserved(observed.toString())
                .setMessage(message(m, answer, asked, instances.size()));
        OptionalInt exit = Messages.exitCode(observed);
        exit.ifPresent(status::setExitCode);
        Optional<Map<String, String>> images = answer.flatMap(Observations.Answer::imageIds);
        boolean moved = instance.isPresent()
                && images.isPresent()
                && imageMoved(m.component().image(), instance.get(), images.get());
        boolean differs = instance.filter(i -> !i.identity()
                        .orElseThrow()
                        .documentDigest()
                        .equals(secrets.digest(m.id(), m.component(), m.row().documentDigest())))
                .isPresent();
        Set<Drift> drift =
                Observation.drift(m.desired(), observed, m.component().restart(), moved, differs);
        if (observed instanceof Observed.Removed && supervisor.isDone(m, instance)) {
            drift.remove(Drift.STATE);
        }
        if (instance.isPresent()
                && m.desired() != Desired.IGNORE
                && !(observed instanceof Observed.Unknown)
                && images.isEmpty()) {
            drift.add(Drift.IMAGE_UNKNOWN);
        }
        status.addAllDrift(Messages.drift(drift));
        return status.build();
    }

    /** Whether the reference means another content on this node now than the instance was made from. */
    private static boolean imageMoved(ImageRef ref, Instance instance, Map<String, String> imageIds) {
        String name = ref.tag().isEmpty() && ref.digest().isEmpty() ? ref + ":latest" : ref.toString();
        String now = imageIds.getOrDefault(name, imageIds.getOrDefault(ref.toString(), instance.imageId()));
        return !now.equals(instance.imageId());
    }

    private String message(KnownService.Member m, Optional<Observations.Answer> answer, boolean asked, int instances) {
        Optional<String> blocked = locks.blockedBecause(m.id().service());
        if (blocked.isPresent()) {
            return "under recovery: " + blocked.get();
        }
        if (!asked) {
            return answer.map(Observations.Answer::reason)
                    .orElse("this agent has no backend for runtime \""
                            + m.component().runtime() + "\"");
        }
        if (instances > 1 && m.desired() != Desired.IGNORE) {
            return instances + " instances: a deploy is under way";
        }
        String told = supervisor.message(m.id());
        return limits.notEnforced(m.component())
                .map(why -> (told.isEmpty() ? "" : told + "; ") + "limits are not enforced: " + why)
                .orElse(told);
    }
}
