package dev.metacircular.vm;

import java.util.Optional;

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
    private final String what;
    private final String remedy;

    VmException(Fault fault, String message) {
        super(message);
        this.fault = fault;
        this.what = message;
        this.remedy = "";
    }

    /** @param remedy what to do next */
    VmException(Fault fault, String what, String remedy) {
        super(what + "\n" + remedy);
        this.fault = fault;
        this.what = what;
        this.remedy = remedy;
    }

    VmException(Fault fault, String message, Throwable cause) {
        super(message, cause);
        this.fault = fault;
        this.what = message;
        this.remedy = "";
    }

    /** The message without the remedy. */
    public String what() {
        return what;
    }

    /** What to do next; empty where the message says it, or nothing is known. */
    public Optional<String> remedy() {
        return remedy.isEmpty() ? Optional.empty() : Optional.of(remedy);
    }

    /** By whose fault. */
    public Fault fault() {
        return fault;
    }
}
