package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.registry.ComponentState;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.RegistryEvent;
import java.util.List;
import java.util.Optional;

/** What is written down while instances change; each call is durable when it returns. See {@link dev.metacircular.registry.Registry}. */
interface Ledger {
    long reserveGeneration(Name service);

    void beginDeploy(PendingDeploy deploy, long baseGeneration);

    void commitDeploy(Name service);

    List<Long> endDeploy(Name service, List<RegistryEvent> events, List<ComponentState> states);

    List<PendingDeploy> pendingDeploys();

    void recordStopRequest(String instance);

    void clearStopRequest(String instance);

    List<Long> recordEvents(List<RegistryEvent> events, List<ComponentState> states);

    long recordAvailability(String runtime, boolean available, RegistryEvent event);

    default Optional<PendingDeploy> pending(Name service) {
        return pendingDeploys().stream()
                .filter(p -> p.service().equals(service))
                .findFirst();
    }
}
