package dev.metacircular.runtime;

/** A call of a {@link Runtime} that failed; the message says what failed, on what and why, in one line. */
public final class RuntimeFailure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What happened. */
    public enum Kind {
        /** The backend does not answer or is not there: nothing is known about its instances. */
        UNREACHABLE,
        /** No answer within the call's deadline; the operation may or may not have happened. */
        DEADLINE,
        NOT_FOUND,
        /** A canonical name or another thing is held by something else. */
        CONFLICT,
        PORT_TAKEN,
        /** An image registry refuses the node's credentials. */
        DENIED,
        /** The instance or its image is faulty: it cannot be made or started as specified. */
        INVALID,
        /** This backend or this node cannot do it. */
        UNSUPPORTED,
        EXHAUSTED,
        /** The backend answered with an error of its own. */
        FAILED
    }

    private final Kind kind;

    public RuntimeFailure(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public RuntimeFailure(Kind kind, String message, Throwable cause) {
        super(message, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }

    /** Whether nothing can be concluded about what the operation was about. */
    public boolean leavesUnknown() {
        return kind == Kind.UNREACHABLE || kind == Kind.DEADLINE;
    }
}
