package dev.metacircular.model;

/** What is so now. An exit status exists only where the state is {@code exited}. */
public sealed interface Observed {
    record Running() implements Observed {
        @Override
        public String toString() {
            return "running";
        }
    }

    /** Ended on request. */
    record Stopped() implements Observed {
        @Override
        public String toString() {
            return "stopped";
        }
    }

    /** Ended by itself. */
    record Exited(int status) implements Observed {
        @Override
        public String toString() {
            return "exited";
        }
    }

    /** There is no instance. */
    record Removed() implements Observed {
        @Override
        public String toString() {
            return "removed";
        }
    }

    /** The runtime cannot be asked, or does not know. Not dead: nothing is done on this ground. */
    record Unknown() implements Observed {
        @Override
        public String toString() {
            return "unknown";
        }
    }
}
