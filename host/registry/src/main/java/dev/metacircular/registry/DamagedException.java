package dev.metacircular.registry;

/** The file is not what SQLite wrote: it must not be used, and a snapshot takes its place. */
final class DamagedException extends RegistryException {
    private static final long serialVersionUID = 1L;

    DamagedException(String message, Throwable cause) {
        super(message, cause);
    }

    DamagedException(String message) {
        super(message);
    }
}
