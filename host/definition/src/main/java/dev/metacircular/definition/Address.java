package dev.metacircular.definition;

import java.net.InetAddress;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where an agent listens: {@code host:port}, the host a name (RFC 1123), an IPv4 address or an IPv6 address in brackets.
 *
 * @param host without brackets
 */
public record Address(String host, int port) {
    private static final Pattern FORM = Pattern.compile("(?<host>\\[[0-9a-fA-F:.]+]|[^:\\[\\]]+):(?<port>[0-9]{1,5})");
    private static final Pattern LABELS = Pattern.compile(
            "(?!.{254})[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*");
    private static final Pattern NUMBERS = Pattern.compile("[0-9.]+");
    private static final int PORT_MAX = 65_535;

    /** What a valid address looks like, for messages. */
    public static final String EXPECTED = "host:port, such as 10.0.0.2:7443 or [fd00::2]:7443";

    /** @throws IllegalArgumentException if the text is not a valid address; port 0 is one, for a listener's free choice */
    public static Address parse(String text) {
        Matcher m = FORM.matcher(text);
        if (!m.matches() || Integer.parseInt(m.group("port")) > PORT_MAX) {
            throw invalid(text);
        }
        String host = m.group("host");
        if (host.startsWith("[")) {
            host = host.substring(1, host.length() - 1);
        }
        boolean literal = host.contains(":") || NUMBERS.matcher(host).matches();
        if (literal ? !isLiteral(host) : !LABELS.matcher(host).matches()) {
            throw invalid(text);
        }
        return new Address(host, Integer.parseInt(m.group("port")));
    }

    /** Whether a listener there would listen on every address of the machine. */
    public boolean isWildcard() {
        return isLiteral(host) && InetAddress.ofLiteral(host).isAnyLocalAddress();
    }

    private static boolean isLiteral(String host) {
        try {
            InetAddress.ofLiteral(host);
            return host.contains(":") || host.chars().filter(c -> c == '.').count() == 3;
        } catch (IllegalArgumentException _) {
            return false;
        }
    }

    private static IllegalArgumentException invalid(String text) {
        return new IllegalArgumentException("'" + text + "' is not an address: expected " + EXPECTED);
    }

    @Override
    public String toString() {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
}
