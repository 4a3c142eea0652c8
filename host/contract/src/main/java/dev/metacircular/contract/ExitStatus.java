package dev.metacircular.contract;

/** What the programs end with; a public interface. */
public final class ExitStatus {
    public static final int DONE = 0;
    /** The operation failed. */
    public static final int FAILED = 1;
    /** Wrong usage, or a faulty definition file. */
    public static final int USAGE = 2;
    /** A node could not be reached; the rest was done. */
    public static final int UNREACHABLE = 3;

    public static final int NOT_PERMITTED = 4;
    /** {@code deploy --dry-run --check} alone: something would change. */
    public static final int WOULD_CHANGE = 5;

    private ExitStatus() {}
}
