package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Name;
import dev.metacircular.runtime.Instance;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** Which instance belongs to what, by labels alone. */
final class Instances {
    private Instances() {}

    static boolean isRunning(Instance instance) {
        return instance.state() instanceof InstanceState.Running;
    }

    static long generation(Instance instance) {
        return instance.identity().orElseThrow().generation();
    }

    static boolean belongsTo(Instance instance, Name service) {
        return instance.identity()
                .filter(i -> i.component().service().equals(service))
                .isPresent();
    }

    static List<Instance> of(List<Instance> all, ComponentId id) {
        return all.stream()
                .filter(i -> i.identity().filter(d -> d.component().equals(id)).isPresent())
                .toList();
    }

    /**
     * The one that counts where there are several, which is only during a deploy or after a fault: a running one, then one of a committed
     * generation, then the newest.
     *
     * @param committed the service's generation
     */
    static Optional<Instance> chosen(List<Instance> all, ComponentId id, long committed) {
        List<Instance> own = of(all, id);
        if (own.size() <= 1) {
            return own.stream().findFirst();
        }
        return own.stream()
                .max(Comparator.comparing(Instances::isRunning, Boolean::compare)
                        .thenComparing(i -> generation(i) <= committed, Boolean::compare)
                        .thenComparingLong(Instances::generation));
    }
}
