package dev.metacircular.plan;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.ImageRef;
import java.util.Optional;

/**
 * One step of a deploy. {@link #op} is its public name (docs/json.md), {@link #message} its text for people; an interpreter
 * switches over the records, so that printing and doing cannot diverge.
 */
public sealed interface Operation {
    /** Empty for an operation on the service. */
    Optional<ComponentId> component();

    String op();

    String message();

    /** Brings an image to the node; pulls at the head of a plan run side by side. */
    record Pull(ComponentId id, ImageRef image) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "pull";
        }

        @Override
        public String message() {
            return "pull " + image;
        }
    }

    /** Makes a network where it does not exist. */
    record EnsureNetwork(String network) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.empty();
        }

        @Override
        public String op() {
            return "network";
        }

        @Override
        public String message() {
            return "have network " + network;
        }
    }

    /**
     * Asks an instance to end, and ends it by force after the grace period. It can be started again.
     *
     * @param generation that made it
     */
    record Stop(ComponentId id, String instance, long generation, String why) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "stop";
        }

        @Override
        public String message() {
            return "stop " + told(id, generation) + ": " + why;
        }
    }

    /**
     * Takes the canonical name from an instance and keeps it.
     *
     * @param generation that made it
     */
    record SetAside(ComponentId id, String instance, long generation) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "set_aside";
        }

        @Override
        public String message() {
            return "keep " + told(id, generation) + " aside, to fall back on";
        }
    }

    /** Makes the new instance, not started. */
    record Create(ComponentId id, ImageRef image, String why) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "create";
        }

        @Override
        public String message() {
            return "create " + id.canonicalName() + " from " + image + ": " + why;
        }
    }

    /**
     * Starts an instance.
     *
     * @param instance empty for the one that this plan's {@link Create} makes
     */
    record Start(ComponentId id, Optional<String> instance) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "start";
        }

        @Override
        public String message() {
            return "start " + id.canonicalName();
        }
    }

    /** Waits until the started instance has held: its health check succeeded, or it ran for so long. */
    record AwaitHeld(ComponentId id, String condition) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "wait";
        }

        @Override
        public String message() {
            return "wait for " + condition;
        }
    }

    /** Writes the new registry rows in one transaction; what comes before is undone on a failure, what comes after is carried on. */
    record Commit(String summary) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.empty();
        }

        @Override
        public String op() {
            return "commit";
        }

        @Override
        public String message() {
            return summary;
        }
    }

    /**
     * Removes an instance.
     *
     * @param generation that made it
     */
    record Remove(ComponentId id, String instance, long generation, String why) implements Operation {
        @Override
        public Optional<ComponentId> component() {
            return Optional.of(id);
        }

        @Override
        public String op() {
            return "remove";
        }

        @Override
        public String message() {
            return "remove " + told(id, generation) + ": " + why;
        }
    }

    private static String told(ComponentId id, long generation) {
        return id.canonicalName() + " of generation " + generation;
    }
}
