package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.registry.ComponentState;
import dev.metacircular.registry.PendingDeploy;
import dev.metacircular.registry.Registry;
import dev.metacircular.registry.RegistryEvent;
import java.util.List;

/** The registry as the ledger. */
record RegistryLedger(Registry registry) implements Ledger {
    @Override
    public long reserveGeneration(Name service) {
        return registry.reserveGeneration(service);
    }

    @Override
    public void beginDeploy(PendingDeploy deploy, long baseGeneration) {
        registry.beginDeploy(deploy, baseGeneration);
    }

    @Override
    public void commitDeploy(Name service) {
        registry.commitDeploy(service);
    }

    @Override
    public List<Long> endDeploy(Name service, List<RegistryEvent> events, List<ComponentState> states) {
        return registry.endDeploy(service, events, states);
    }

    @Override
    public List<PendingDeploy> pendingDeploys() {
        return registry.pendingDeploys();
    }

    @Override
    public void recordStopRequest(String instance) {
        registry.recordStopRequest(instance);
    }

    @Override
    public void clearStopRequest(String instance) {
        registry.clearStopRequest(instance);
    }

    @Override
    public List<Long> recordEvents(List<RegistryEvent> events, List<ComponentState> states) {
        return registry.events().record(events, states);
    }

    @Override
    public long recordAvailability(String runtime, boolean available, RegistryEvent event) {
        return registry.events().recordAvailability(runtime, available, event);
    }
}
