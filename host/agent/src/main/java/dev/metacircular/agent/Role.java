package dev.metacircular.agent;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** What a token allows. */
enum Role {
    /** Reads. */
    VIEWER,
    OPERATOR;

    static Optional<Role> parse(String text) {
        return Arrays.stream(values()).filter(r -> r.toString().equals(text)).findFirst();
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
