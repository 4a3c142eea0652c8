package dev.metacircular.registry;

/** The registry could not be opened, read or written; the message says which file and what to do. */
public sealed class RegistryException extends RuntimeException permits DamagedException {
    private static final long serialVersionUID = 1L;

    public RegistryException(String message, Throwable cause) {
        super(message, cause);
    }

    public RegistryException(String message) {
        super(message);
    }

    /** Whether the file is not what was written: nothing can be read from it or written to it any more. */
    public final boolean isDamage() {
        return this instanceof DamagedException;
    }
}
