package dev.metacircular.model;

/**
 * An error that a person can act on.
 *
 * @param what what failed, and why
 * @param where what it failed on: a file's position, a node, {@code service/component}; may be empty
 * @param next what to do next; may be empty
 */
public record Problem(Kind kind, String what, String where, String next) {

    /** Whose fault it is. */
    public enum Blame {
        USER,
        RESOURCES,
        INTERNAL
    }

    /** What kind of error; each is mapped once to a gRPC status and once to an exit status. */
    public enum Kind {
        /** A faulty argument, definition or configuration. */
        INVALID(Blame.USER),
        NOT_FOUND(Blame.USER),
        /** Another operation holds the service. */
        LOCKED(Blame.USER),
        /** The plan was made for another generation. */
        STALE_PLAN(Blame.USER),
        /** The state of the node forbids it: a name taken, a node changed, a service still running. */
        CONFLICT(Blame.USER),
        UNAUTHENTICATED(Blame.USER),
        NOT_PERMITTED(Blame.USER),
        /** What this version or this node cannot do yet. */
        UNSUPPORTED(Blame.USER),
        /** The operation was carried out and failed, such as a component that did not hold. */
        FAILED(Blame.RESOURCES),
        /** A runtime or an image registry cannot be reached from where it is needed. */
        UNAVAILABLE(Blame.RESOURCES),
        /** A node does not answer, not in time, not to be understood, or is another one than is meant. */
        UNREACHABLE(Blame.RESOURCES),
        DEADLINE(Blame.RESOURCES),
        /** Disk, memory or a bound of ours is exhausted. */
        EXHAUSTED(Blame.RESOURCES),
        INTERNAL(Blame.INTERNAL);

        private final Blame blame;

        Kind(Blame blame) {
            this.blame = blame;
        }

        public Blame blame() {
            return blame;
        }
    }

    public static Problem of(Kind kind, String what) {
        return new Problem(kind, what, "", "");
    }

    public Problem at(String place) {
        return new Problem(kind, what, place, next);
    }

    public Problem next(String advice) {
        return new Problem(kind, what, where, advice);
    }

    public ProblemException exception() {
        return new ProblemException(this);
    }

    @Override
    public String toString() {
        return (where.isEmpty() ? "" : where + ": ") + what + (next.isEmpty() ? "" : "\n  next: " + next);
    }
}
