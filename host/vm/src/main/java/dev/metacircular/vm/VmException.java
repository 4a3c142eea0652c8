package dev.metacircular.vm;

/**
 * A VM operation failed. The message says what failed, on what, why, and what to do next; it is meant for a person.
 */
public final class VmException extends RuntimeException {
    /** By whose fault it failed. */
    public enum Fault {
        /** The request cannot be served as it stands. */
        REQUEST,
        /** There is a VM of that name already. */
        NAME_TAKEN,
        /** The machine lacks something: a program, a permission, space. */
        HOST,
        /** The VMM refused, failed or did what it must not. */
        VMM,
        /** A deadline passed; the state of what was asked for is unknown. */
        DEADLINE
    }

    private final Fault fault;

    VmException(Fault fault, String message) {
        super(message);
        this.fault = fault;
    }

    VmException(Fault fault, String message, Throwable cause) {
        super(message, cause);
        this.fault = fault;
    }

    /** By whose fault. */
    public Fault fault() {
        return fault;
    }
}
