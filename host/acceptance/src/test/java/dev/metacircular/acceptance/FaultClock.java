package dev.metacircular.acceptance;

import java.time.Duration;
import java.util.Map;

/** Sets the clock of the agent alone, from its next start on: a property of its, for podman must go on with the machine's. */
final class FaultClock {
    private final Node node;

    FaultClock(Node node) {
        this.node = node;
    }

    void set(Duration ahead) {
        node.agentEnvironment = Map.of("JDK_JAVA_OPTIONS", "-Dmetacircular.clock.offset=" + ahead);
    }

    void reset() {
        node.agentEnvironment = Map.of();
    }
}
