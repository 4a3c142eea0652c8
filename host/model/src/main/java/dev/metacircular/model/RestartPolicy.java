package dev.metacircular.model;

import java.util.Optional;
import java.util.OptionalInt;

/** When the agent runs a component again that ended by itself. */
public sealed interface RestartPolicy {
    /** What a valid policy looks like, for messages. */
    String EXPECTED = "no, on-failure[:n], always or unless-stopped";

    /** Never. */
    record No() implements RestartPolicy {
        @Override
        public String toString() {
            return "no";
        }
    }

    /** After a status other than 0, at most so many times in a row where a limit is given. */
    record OnFailure(OptionalInt limit) implements RestartPolicy {
        @Override
        public String toString() {
            return limit.isPresent() ? "on-failure:" + limit.getAsInt() : "on-failure";
        }
    }

    /** Whatever the status. The agent's desired state decides, so it equals {@link UnlessStopped}. */
    record Always() implements RestartPolicy {
        @Override
        public String toString() {
            return "always";
        }
    }

    /** Whatever the status, but not after a requested stop. */
    record UnlessStopped() implements RestartPolicy {
        @Override
        public String toString() {
            return "unless-stopped";
        }
    }

    /** Empty if the text is not a valid policy. */
    static Optional<RestartPolicy> parse(String text) {
        return switch (text) {
            case "no" -> Optional.of(new No());
            case "always" -> Optional.of(new Always());
            case "unless-stopped" -> Optional.of(new UnlessStopped());
            case "on-failure" -> Optional.of(new OnFailure(OptionalInt.empty()));
            default ->
                text.matches("on-failure:[1-9][0-9]{0,3}")
                        ? Optional.of(
                                new OnFailure(OptionalInt.of(Integer.parseInt(text.substring("on-failure:".length())))))
                        : Optional.empty();
        };
    }

    /** Whether an end with this status calls for another run. */
    default boolean wantsRestart(int exitStatus) {
        return switch (this) {
            case No() -> false;
            case OnFailure(OptionalInt _) -> exitStatus != 0;
            case Always(), UnlessStopped() -> true;
        };
    }
}
