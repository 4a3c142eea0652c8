package dev.metacircular.model;

import java.util.regex.Pattern;

/**
 * The name of a node, a service, a component or a shared network: {@code [a-z0-9][a-z0-9-]{0,62}}, which is also a
 * valid DNS label (RFC 1123, section 2.1) but for a trailing hyphen.
 */
public record Name(String value) implements Comparable<Name> {
    private static final Pattern VALID = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");

    /** What a valid name looks like, for messages. */
    public static final String EXPECTED = "1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit";

    /** @throws IllegalArgumentException if the value is not a valid name */
    public Name {
        if (!isValid(value)) {
            throw new IllegalArgumentException("'" + value + "' is not a name: expected " + EXPECTED);
        }
    }

    public static Name of(String value) {
        return new Name(value);
    }

    public static boolean isValid(String value) {
        return VALID.matcher(value).matches();
    }

    @Override
    public int compareTo(Name other) {
        return value.compareTo(other.value);
    }

    @Override
    public String toString() {
        return value;
    }
}
