package dev.metacircular.agent;

import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.plan.ImageKey;
import dev.metacircular.plan.Operation;
import dev.metacircular.plan.Wanted;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.RegisteredComponent;
import dev.metacircular.runtime.Instance;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What a deploy writes into its journal. */
final class DeployRows {
    private DeployRows() {}

    /**
     * All rows of the service after the commit: those of the target as the definition has them, the others as they are registered.
     *
     * @param images to image ID, with what was pulled meanwhile
     */
    static List<RegisteredComponent> rows(
            DeployPlanner.Prepared prepared, long generation, Map<ImageKey, String> images) {
        Set<ComponentId> created = prepared.plan().operations().stream()
                .filter(Operation.Create.class::isInstance)
                .flatMap(o -> o.component().stream())
                .collect(Collectors.toSet());
        List<RegisteredComponent> rows = new ArrayList<>();
        for (Wanted.Item item : prepared.items()) {
            Name name = item.component().name();
            Optional<RegisteredComponent> before = before(prepared, name);
            if (prepared.target().includes(name)) {
                rows.add(row(prepared, item, before, created, generation, images));
            } else {
                before.ifPresent(rows::add);
            }
        }
        if (prepared.target().component().isPresent()) {
            prepared.registered().stream()
                    .flatMap(s -> s.components().stream())
                    .map(KnownService.Member::row)
                    .filter(r -> prepared.service().find(r.id().component()).isEmpty())
                    .forEach(rows::add);
        }
        return rows;
    }

    private static Optional<RegisteredComponent> before(DeployPlanner.Prepared prepared, Name name) {
        return prepared.registered().flatMap(s -> s.find(name)).map(KnownService.Member::row);
    }

    private static RegisteredComponent row(
            DeployPlanner.Prepared prepared,
            Wanted.Item item,
            Optional<RegisteredComponent> before,
            Set<ComponentId> created,
            long generation,
            Map<ImageKey, String> images) {
        ComponentId id = prepared.service().id(item.component());
        boolean sameDocument =
                before.filter(b -> b.documentDigest().equals(item.digest())).isPresent();
        Optional<String> known = Optional.ofNullable(images.get(ImageKey.of(item.component())));
        String imageId =
                sameDocument && !created.contains(id) ? before.orElseThrow().imageId() : known.orElse("");
        return new RegisteredComponent(
                id,
                item.desired(),
                sameDocument ? before.orElseThrow().generation() : generation,
                ComponentDocuments.VERSION,
                ComponentDocuments.write(item.component()),
                item.digest(),
                imageId);
    }

    /** The instances of the components that the plan touches, as they are now. */
    static List<PendingDeploy.Before> before(DeployPlanner.Prepared prepared) {
        Set<ComponentId> touched = prepared.plan().touched();
        Set<String> removed = prepared.plan().operations().stream()
                .filter(Operation.Remove.class::isInstance)
                .map(o -> ((Operation.Remove) o).instance())
                .collect(Collectors.toSet());
        return prepared.instances().stream()
                .filter(i -> touched.contains(i.identity().orElseThrow().component()))
                .map(i -> before(i, removed))
                .toList();
    }

    private static PendingDeploy.Before before(Instance instance, Set<String> removed) {
        return new PendingDeploy.Before(
                instance.identity().orElseThrow().component(),
                instance.id().runtime().toString(),
                instance.id().value(),
                Instances.isRunning(instance),
                removed.contains(instance.id().value()));
    }
}
