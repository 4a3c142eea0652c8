package dev.metacircular.agent;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.NestedVolumes;
import dev.metacircular.model.NestedVolumes.Nested;
import dev.metacircular.model.NestedVolumes.Place;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import dev.metacircular.model.Target;
import dev.metacircular.model.Volume;
import java.util.ArrayList;
import java.util.List;

/** Refuses volumes in a folder that another component, of this or another service, may write to; see {@link NestedVolumes}. */
final class VolumeNesting {
    private final VolumeDirectories directories;
    private final NodeView view;

    VolumeNesting(VolumeDirectories directories, NodeView view) {
        this.directories = directories;
        this.view = view;
    }

    private record Mounted(ComponentId id, Volume volume) {
        @Override
        public String toString() {
            return volume + " of " + id;
        }
    }

    /** @throws dev.metacircular.model.ProblemException {@code CONFLICT}, naming both volumes */
    void check(Service service, Target target) {
        List<Place<Mounted>> places = new ArrayList<>();
        for (Service.Entry entry : service.components()) {
            add(places, service.id(entry.component()), entry.component(), true);
        }
        if (places.isEmpty()) {
            return;
        }
        // Two services' own folders never overlap, so only where a path of the node is named can one service meet
        // another.
        boolean named = places.stream().anyMatch(p -> !p.what().volume().isServices());
        for (KnownService known : view.services()) {
            boolean same = known.name().equals(service.name());
            for (KnownService.Member m : known.components()) {
                if (!same || (target.component().isPresent() && !target.includes(m.id().component()))) {
                    add(places, m.id(), m.component(), named || same);
                }
            }
        }
        NestedVolumes.find(places).stream()
                .filter(n -> concerns(n, service.name()))
                .findFirst()
                .ifPresent(VolumeNesting::refuse);
    }

    private void add(List<Place<Mounted>> places, ComponentId id, Component component, boolean own) {
        for (Volume volume : component.volumes()) {
            if (own || !volume.isServices()) {
                places.add(new Place<>(
                        directories.place(id, volume).toString(), volume.readOnly(), new Mounted(id, volume)));
            }
        }
    }

    private static boolean concerns(Nested<Mounted> nested, Name service) {
        return nested.inner().id().service().equals(service)
                || nested.outer().id().service().equals(service);
    }

    private static void refuse(Nested<Mounted> nested) {
        throw Problem.of(
                        Problem.Kind.CONFLICT,
                        "volume " + nested.inner() + " lies in volume " + nested.outer()
                                + ", and what can write to that one could put a link in its place")
                .at(nested.inner().id().toString())
                .next("give the two folders side by side, or mount the outer one read-only (:ro)")
                .exception();
    }
}
