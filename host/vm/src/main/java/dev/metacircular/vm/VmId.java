package dev.metacircular.vm;

import java.util.regex.Pattern;

/**
 * Names a VM on this host; also the name of its state directory.
 *
 * @param value 1 to 63 characters: lower-case letters, digits, {@code -}, {@code _} and {@code .}, beginning with a letter or digit
 */
public record VmId(String value) implements Comparable<VmId> {
    private static final Pattern ALLOWED = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");

    public VmId {
        if (!ALLOWED.matcher(value).matches()) {
            throw new VmException(
                    VmException.Fault.REQUEST,
                    "VM name \"" + value
                            + "\": 1 to 63 characters out of a-z 0-9 . _ - are allowed, the first a letter or digit");
        }
    }

    static boolean isValid(String value) {
        return ALLOWED.matcher(value).matches();
    }

    @Override
    public int compareTo(VmId other) {
        return value.compareTo(other.value);
    }

    @Override
    public String toString() {
        return value;
    }
}
