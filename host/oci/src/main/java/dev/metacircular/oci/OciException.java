package dev.metacircular.oci;

/** What was asked of a registry did not happen; the message says what, on what and why, in one line. */
public final class OciException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What happened. */
    public enum Kind {
        NOT_FOUND,
        /** The registry refuses these credentials, or asks for some. */
        DENIED,
        /** No connection, or it was lost. */
        UNREACHABLE,
        DEADLINE,
        /** What the registry has is not what it says it is, or is beyond a bound. */
        INVALID,
        /** The registry answered with an error of its own, or a file of this machine cannot be read or written. */
        FAILED
    }

    private final Kind kind;

    public OciException(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public OciException(Kind kind, String message, Throwable cause) {
        super(message, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
