package dev.metacircular.oci;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a registry asks for where it refuses (RFC 9110 11.6.1; the distribution project's token specification).
 *
 * @param scheme in lower case
 */
record Challenge(String scheme, Map<String, String> parameters) {
    private static final Pattern SCHEME = Pattern.compile("(?:^|,)\\s*([A-Za-z]+)\\s+(?=[A-Za-z]+\\s*=)");
    private static final Pattern PARAMETER =
            Pattern.compile("([A-Za-z_]+)\\s*=\\s*(?:\"((?:[^\"\\\\]|\\\\.){0,2048})\"|([^\",\\s]{0,2048}))");
    private static final int MAX_CHARS = 8192;

    /** The one to answer: a bearer's token before a password. */
    static Optional<Challenge> of(List<String> headers) {
        Optional<Challenge> basic = Optional.empty();
        for (String header : headers) {
            if (header.length() > MAX_CHARS) {
                continue;
            }
            Matcher scheme = SCHEME.matcher(header);
            while (scheme.find()) {
                int to = header.length();
                Matcher next = SCHEME.matcher(header).region(scheme.end(), to);
                Map<String, String> parameters =
                        parameters(header.substring(scheme.end(), next.find() ? next.start() : to));
                Challenge challenge = new Challenge(scheme.group(1).toLowerCase(Locale.ROOT), parameters);
                if (challenge.scheme().equals("bearer")) {
                    return Optional.of(challenge);
                }
                if (challenge.scheme().equals("basic")) {
                    basic = Optional.of(challenge);
                }
            }
        }
        return basic;
    }

    private static Map<String, String> parameters(String text) {
        Map<String, String> parameters = new HashMap<>();
        Matcher matcher = PARAMETER.matcher(text);
        while (matcher.find()) {
            String quoted = matcher.group(2);
            parameters.put(
                    matcher.group(1).toLowerCase(Locale.ROOT),
                    quoted == null ? matcher.group(3) : quoted.replaceAll("\\\\(.)", "$1"));
        }
        return parameters;
    }

    String parameter(String name) {
        return parameters.getOrDefault(name, "");
    }
}
