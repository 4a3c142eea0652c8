package dev.metacircular.model;

import java.util.regex.Pattern;

/**
 * A volume: {@code source:target[:ro]}.
 *
 * @param source a path below the service's own directory, or an absolute host path that the node's allow-list must name
 * @param target an absolute path in the component
 */
public record Volume(String source, String target, boolean readOnly) {
    private static final Pattern CLEAN = Pattern.compile("(?!.*(?:^|/)\\.\\.?(?:/|$))(?!.*//)[^\\p{Cntrl}:]+");

    /** What a valid volume looks like, for messages. */
    public static final String EXPECTED = "source:target[:ro] with an absolute target and no '..', such as data:/data";

    /** @throws IllegalArgumentException if the text is not a valid volume */
    public static Volume parse(String text) {
        String[] parts = text.split(":", -1);
        boolean readOnly = parts.length == 3 && parts[2].equals("ro");
        if ((parts.length != 2 && !readOnly)
                || !CLEAN.matcher(parts[0]).matches()
                || !CLEAN.matcher(parts[1]).matches()
                || !parts[1].startsWith("/")) {
            throw new IllegalArgumentException("'" + text + "' is not a volume: expected " + EXPECTED);
        }
        return new Volume(parts[0], parts[1], readOnly);
    }

    /** Whether the source lies below the service's own directory. */
    public boolean isServices() {
        return !source.startsWith("/");
    }

    @Override
    public String toString() {
        return source + ":" + target + (readOnly ? ":ro" : "");
    }
}
