package dev.metacircular.runtime.microvm;

import java.util.Optional;

/** A creation under way: the maker of the carriage tells here which state directory it makes, before it does. */
final class Making {
    /** Of the thread that creates. */
    static final ScopedValue<Making> NOW = ScopedValue.newInstance();

    private volatile Optional<String> key = Optional.empty();

    void key(String made) {
        key = Optional.of(made);
    }

    /** Empty until one is made. */
    Optional<String> key() {
        return key;
    }
}
