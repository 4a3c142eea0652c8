package dev.metacircular.runtime;

import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;

/** What is wrong with a {@link FakeRuntime}, by operation; nothing at first. */
public final class FakeFaults {
    /** The calls of {@link Runtime}, and of its capabilities. */
    public enum Operation {
        AVAILABILITY,
        IMAGE,
        PULL,
        NETWORK,
        CREATE,
        USER,
        START,
        STOP,
        REMOVE,
        SET_ASIDE,
        BRING_BACK,
        INSPECT,
        LIST,
        LOGS,
        PROBE,
        EXEC
    }

    /** What happens to a call. */
    public sealed interface Fault {
        /** It fails at once, having done nothing. */
        record Fails(Kind kind, String why) implements Fault {}

        /** It does nothing and fails with {@code DEADLINE} after so long. */
        record Hangs(Duration deadline) implements Fault {}

        /** It takes so much longer. */
        record Takes(Duration delay) implements Fault {}

        /** It does what it should, and fails with {@code DEADLINE} all the same. */
        record LosesAnswer() implements Fault {}
    }

    private final Map<Operation, Fault> faults = new EnumMap<>(Operation.class);
    private final Map<Operation, Integer> calls = new EnumMap<>(Operation.class);

    public synchronized void set(Operation operation, Fault fault) {
        faults.put(operation, fault);
    }

    public synchronized void setAll(Fault fault) {
        for (Operation operation : Operation.values()) {
            faults.put(operation, fault);
        }
    }

    public synchronized void clear() {
        faults.clear();
    }

    /** How often the operation was called since the start, failed calls included. */
    public synchronized int calls(Operation operation) {
        return calls.getOrDefault(operation, 0);
    }

    /** What an operation does between its beginning and its end. */
    interface Body<T> {
        T run();
    }

    <T> T apply(Operation operation, String what, Body<T> body) {
        Fault fault;
        synchronized (this) {
            calls.merge(operation, 1, Integer::sum);
            fault = faults.get(operation);
        }
        return switch (fault) {
            case null -> body.run();
            case Fault.Fails(Kind kind, String why) -> throw new RuntimeFailure(kind, "cannot " + what + ": " + why);
            case Fault.Hangs(Duration deadline) -> {
                pause(deadline);
                throw new RuntimeFailure(Kind.DEADLINE, "cannot " + what + ": no answer within " + deadline);
            }
            case Fault.Takes(Duration delay) -> {
                pause(delay);
                yield body.run();
            }
            case Fault.LosesAnswer() -> {
                T _ = body.run();
                throw new RuntimeFailure(Kind.DEADLINE, "cannot " + what + ": the answer was lost");
            }
        };
    }

    private static void pause(Duration duration) {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RuntimeFailure(Kind.DEADLINE, "interrupted", e);
        }
    }
}
