package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The listening TCP sockets of a process's network namespace, as the kernel tells them in {@code /proc/PID/net/tcp} and {@code tcp6}
 * (proc_net_tcp.rst): to know whether a component listens no program need enter its namespace.
 */
final class Listeners {
    private static final String LISTENING = "0A";
    private static final String ANY_4 = "00000000";
    private static final String ANY_6 = "0".repeat(32);

    private Listeners() {}

    /** What the kernel tells of one port. */
    enum Answer {
        /** It takes connections. */
        LISTENS,
        /** A connection would be refused. */
        REFUSES,
        /** Connections wait to be taken, it listens on something else too, or the kernel does not tell: only trying shows it. */
        UNCLEAR
    }

    /** @param address that would be connected to, an IPv4 address as text */
    static Answer at(long pid, String address, int port) {
        try {
            Path net = Path.of("/proc", Long.toString(pid), "net");
            Answer four = among(Files.readAllLines(net.resolve("tcp")), hex(address), port);
            Path six = net.resolve("tcp6");
            if (four != Answer.REFUSES || !Files.exists(six)) {
                return four;
            }
            // Whether one of IPv6 takes connections of IPv4 too, the kernel does not tell.
            return among(Files.readAllLines(six), ANY_6, port) == Answer.REFUSES ? Answer.REFUSES : Answer.UNCLEAR;
        } catch (IOException | IllegalArgumentException e) {
            return Answer.UNCLEAR;
        }
    }

    /** @param lines of the table; {@code sl local_address rem_address st tx_queue:rx_queue …} */
    static Answer among(List<String> lines, String address, int port) {
        String atPort = String.format(Locale.ROOT, ":%04X", port);
        boolean elsewhere = false;
        for (String line : lines) {
            String[] fields = line.strip().split(" +", 6);
            if (fields.length == 6 && fields[3].equals(LISTENING) && fields[1].endsWith(atPort)) {
                String local = fields[1].substring(0, fields[1].length() - atPort.length());
                if (local.equals(address) || local.equals(ANY_4) || local.equals(ANY_6)) {
                    // Of a listening socket, the second queue is of the connections that nobody has taken yet.
                    return fields[4].endsWith(":00000000") ? Answer.LISTENS : Answer.UNCLEAR;
                }
                elsewhere = true;
            }
        }
        return elsewhere ? Answer.UNCLEAR : Answer.REFUSES;
    }

    /** As the kernel prints an IPv4 address on a little-endian machine. */
    private static String hex(String address) {
        String[] parts = address.split("\\.");
        if (parts.length != 4) {
            throw new IllegalArgumentException(address);
        }
        StringBuilder text = new StringBuilder();
        for (int i = 3; i >= 0; i--) {
            text.append(String.format(Locale.ROOT, "%02X", Integer.parseInt(parts[i])));
        }
        return text.toString();
    }
}
