package dev.metacircular.model;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A published port: {@code [address:]host:guest[/tcp|/udp]}.
 *
 * @param address an IPv4 address, or an IPv6 address without brackets; {@code 0.0.0.0} where none is given
 */
public record PortMapping(String address, int hostPort, int guestPort, Protocol protocol) {
    private static final Pattern FORM = Pattern.compile(
            "(?:(?<address>[0-9.]+|\\[[0-9a-fA-F:.]+]):)?(?<host>[0-9]{1,5}):(?<guest>[0-9]{1,5})(?:/(?<protocol>tcp|udp))?");
    private static final Pattern IPV4 = Pattern.compile("(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\\.(?!$)|$)){4}");

    /** What a valid mapping looks like, for messages. */
    public static final String EXPECTED =
            "[address:]host:guest[/tcp|/udp] with ports 1 to 65535, such as 127.0.0.1:18080:8080";

    /** A transport protocol. */
    public enum Protocol {
        TCP,
        UDP;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** @throws IllegalArgumentException if the text is not a valid mapping */
    public static PortMapping parse(String text) {
        Matcher m = FORM.matcher(text);
        if (!m.matches()) {
            throw invalid(text);
        }
        String address = m.group("address") == null ? "0.0.0.0" : m.group("address");
        boolean v6 = address.startsWith("[");
        int host = Integer.parseInt(m.group("host"));
        int guest = Integer.parseInt(m.group("guest"));
        if (host < 1
                || host > 65_535
                || guest < 1
                || guest > 65_535
                || (!v6 && !IPV4.matcher(address).matches())) {
            throw invalid(text);
        }
        Protocol protocol = "udp".equals(m.group("protocol")) ? Protocol.UDP : Protocol.TCP;
        return new PortMapping(v6 ? address.substring(1, address.length() - 1) : address, host, guest, protocol);
    }

    private static IllegalArgumentException invalid(String text) {
        return new IllegalArgumentException("'" + text + "' is not a port mapping: expected " + EXPECTED);
    }

    /** Whether both cannot be bound at the same time; a wildcard address overlaps every address. */
    public boolean conflictsWith(PortMapping other) {
        return hostPort == other.hostPort
                && protocol == other.protocol
                && (address.equals(other.address) || isWildcard() || other.isWildcard());
    }

    private boolean isWildcard() {
        return address.equals("0.0.0.0") || address.equals("::");
    }

    @Override
    public String toString() {
        String host = address.contains(":") ? "[" + address + "]" : address;
        return host + ":" + hostPort + ":" + guestPort + (protocol == Protocol.UDP ? "/udp" : "");
    }
}
