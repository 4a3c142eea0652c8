package dev.metacircular.image;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Version of the kernel's ABI that a program was built for. A kernel runs it when its own major is the same and its minor is not
 * lower.
 *
 * @param major 0 to 9999
 * @param minor 0 to 9999
 */
public record AbiVersion(int major, int minor) {
    private static final Pattern FORM = Pattern.compile("(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,3})");

    public AbiVersion {
        if (major < 0 || major > 9999 || minor < 0 || minor > 9999) {
            throw new ImageException("ABI version %d.%d is outside 0.0 to 9999.9999.".formatted(major, minor));
        }
    }

    /** The version with this text form, {@code major.minor}. */
    public static AbiVersion parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches()) {
            throw new ImageException("'%s' is not an ABI version: it takes the form 'major.minor'.".formatted(text));
        }
        return new AbiVersion(Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)));
    }

    @Override
    public String toString() {
        return major + "." + minor;
    }
}
