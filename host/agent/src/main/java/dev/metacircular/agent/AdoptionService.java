package dev.metacircular.agent;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.contract.v1.AdoptResponse;
import dev.metacircular.contract.v1.Adopted;
import dev.metacircular.contract.v1.NotAdopted;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import dev.metacircular.registry.AdoptedInstance;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.registry.Registry;
import dev.metacircular.runtime.RuntimeFailure;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Takes over what runs already. Nothing of an instance changes: it gets a row, and where it bears no labels, its ID is written down, until
 * a deploy replaces it. All rows of one call are written in one transaction.
 */
final class AdoptionService {
    private final Name node;
    private final Registry registry;
    private final Runtimes runtimes;
    private final NodeView view;
    private final ServiceLocks locks;
    private final AdoptionCandidates candidates;
    private final EventLog events;

    AdoptionService(
            Name node,
            Registry registry,
            Runtimes runtimes,
            NodeView view,
            ServiceLocks locks,
            VolumeDirectories volumes,
            EventLog events) {
        this.node = node;
        this.registry = registry;
        this.runtimes = runtimes;
        this.view = view;
        this.locks = locks;
        this.candidates = new AdoptionCandidates(node, runtimes, view, volumes);
        this.events = events;
    }

    /**
     * Takes over what fits, or tells what it would take over.
     *
     * @throws ProblemException if the call as a whole is refused; an instance that is not taken is in the answer with the reason
     */
    AdoptResponse adopt(String by, AdoptRequest request) {
        Name name = Messages.name(request.getService(), "service");
        Optional<Service> definition =
                request.hasDefinition() ? Optional.of(AgentService.service(request.getDefinition())) : Optional.empty();
        definition.ifPresent(d -> requireOwn(name, d));
        Set<Name> known = new HashSet<>();
        request.getKnownServicesList().forEach(s -> known.add(Messages.name(s, "service")));
        if (request.getDryRun()) {
            AdoptionCandidates.Found found = find(name, definition, known);
            return answer(view.service(name).map(KnownService::generation).orElse(0L), found);
        }
        try (ServiceLocks.Held _ = locks.acquire(name, "an adoption by " + by)) {
            AdoptionCandidates.Found found = find(name, definition, known);
            if (found.taken().isEmpty()) {
                return answer(request.getBaseGeneration(), found);
            }
            long generation = write(name, request.getBaseGeneration(), found.taken());
            view.refresh(name);
            view.refreshAdopted();
            found.taken()
                    .forEach(t -> events.component(
                            t.id(),
                            EventLog.Kind.ADOPTED,
                            t.instance().name() + " was taken over by " + by + ", as it runs"));
            return answer(generation, found);
        }
    }

    private void requireOwn(Name name, Service definition) {
        if (!definition.name().equals(name)) {
            throw Problem.of(Problem.Kind.INVALID, "the definition is of service '" + definition.name() + "'")
                    .at(name.value())
                    .next("give the definition of " + name)
                    .exception();
        }
        if (!definition.node().equals(node)) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the definition names node '" + definition.node() + "', and this is node '" + node + "'")
                    .at(name.value())
                    .next("leave out --node, or change the definition's node")
                    .exception();
        }
    }

    private AdoptionCandidates.Found find(Name name, Optional<Service> definition, Set<Name> known) {
        try {
            return candidates.find(name, definition, known, runtimes.listAll());
        } catch (RuntimeFailure e) {
            throw Runtimes.problem(e).at(name.value()).exception();
        }
    }

    private long write(Name name, long baseGeneration, List<AdoptionCandidates.Taken> taken) {
        List<RegisteredComponent> rows = new ArrayList<>();
        Map<ComponentId, AdoptedInstance> unlabelled = new HashMap<>();
        long above = 0;
        for (AdoptionCandidates.Taken t : taken) {
            rows.add(new RegisteredComponent(
                    t.id(),
                    t.desired(),
                    0,
                    ComponentDocuments.VERSION,
                    ComponentDocuments.write(t.component()),
                    ComponentDocuments.digest(t.component()),
                    t.instance().imageId()));
            if (t.instance().identity().isPresent()) {
                above = Math.max(above, Instances.generation(t.instance()));
            } else {
                unlabelled.put(
                        t.id(),
                        new AdoptedInstance(
                                t.id(),
                                t.instance().id().runtime().toString(),
                                t.instance().id().value(),
                                0));
            }
        }
        return registry.adopt(name, baseGeneration, above, rows, unlabelled);
    }

    private static AdoptResponse answer(long generation, AdoptionCandidates.Found found) {
        AdoptResponse.Builder response = AdoptResponse.newBuilder().setGeneration(generation);
        for (AdoptionCandidates.Taken t : found.taken()) {
            response.addAdopted(Adopted.newBuilder()
                    .setComponent(t.id().component().value())
                    .setName(t.instance().name())
                    .setInstance(t.instance().id().value())
                    .setRuntime(t.instance().id().runtime().toString())
                    .setImage(t.instance().image())
                    .setRestartPolicy(t.restartPolicy())
                    .addAllLost(t.lost()));
        }
        found.left().stream()
                .sorted(Comparator.comparing(AdoptionCandidates.Left::name))
                .forEach(l -> response.addLeft(NotAdopted.newBuilder()
                        .setName(l.name())
                        .setInstance(l.instance())
                        .setWhy(l.why())));
        return response.build();
    }
}
