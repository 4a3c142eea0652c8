package dev.metacircular.agent;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.Usage;
import java.util.HashMap;
import java.util.Map;

/** What components take now, measured when it is asked for: one question to each runtime. */
final class ComponentUsage {
    private final Runtimes runtimes;

    ComponentUsage(Runtimes runtimes) {
        this.runtimes = runtimes;
    }

    /** What one runtime tells. */
    sealed interface Answer {
        /** @param usage of those that run; of several instances together */
        record Measured(Map<ComponentId, Usage> usage) implements Answer {}

        record NotMeasured(String reason) implements Answer {}
    }

    Answer of(RuntimeKind kind) {
        if (!runtimes.has(kind)) {
            return new Answer.NotMeasured("this agent has no backend for it yet");
        }
        Runtime runtime = runtimes.of(kind);
        try {
            Map<InstanceId, Usage> taken = runtime.usage();
            Map<ComponentId, Usage> usage = new HashMap<>();
            for (Instance i : runtime.look()) {
                Usage one = taken.get(i.id());
                if (one != null && i.identity().isPresent()) {
                    usage.merge(i.identity().get().component(), one, ComponentUsage::sum);
                }
            }
            return new Answer.Measured(Map.copyOf(usage));
        } catch (RuntimeFailure e) {
            return new Answer.NotMeasured(String.valueOf(e.getMessage()));
        }
    }

    private static Usage sum(Usage a, Usage b) {
        return new Usage(a.memoryBytes() + b.memoryBytes(), a.cpu().plus(b.cpu()));
    }
}
