package dev.metacircular.definition;

import dev.metacircular.model.NestedVolumes;
import dev.metacircular.model.Volume;
import java.util.List;

/** Volumes of a service that must not be mounted side by side. */
final class VolumeConflicts {
    private VolumeConflicts() {}

    static void reject(List<Table.Placed<Volume>> volumes, Faults faults) {
        NestedVolumes.find(volumes.stream()
                        .map(v -> new NestedVolumes.Place<>(
                                v.value().source(), v.value().readOnly(), v))
                        .toList())
                .forEach(nested -> faults.add(
                        nested.inner().at(),
                        "volume " + Faults.quote(nested.inner().value().toString()) + ", which lies in that of "
                                + Faults.quote(nested.outer().value().toString()) + " on line "
                                + nested.outer().at().line(),
                        "folders side by side, or the outer one read-only (:ro): what can write to it could put a link in the"
                                + " inner one's place"));
    }
}
