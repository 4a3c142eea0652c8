package dev.metacircular.vm;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The process that has a port of this host (proc(5)). */
final class PortOwner {
    private static final Path PROC = Path.of("/proc");
    private static final String LISTENS = "0A";
    private static final String UNCONNECTED = "07";
    private static final int LOCAL = 1;
    private static final int STATE = 3;
    private static final int INODE = 9;
    private static final int SHOWN_MAX = 80;

    private PortOwner() {}

    /** Its number and command line; empty when nobody has the port, or one whose files this user may not see. */
    static Optional<String> of(PortForward.Protocol protocol, int port) {
        return inode(protocol, port).flatMap(PortOwner::holder);
    }

    private static Optional<String> inode(PortForward.Protocol protocol, int port) {
        String suffix = ":%04X".formatted(port);
        String table = protocol == PortForward.Protocol.TCP ? "tcp" : "udp";
        String state = protocol == PortForward.Protocol.TCP ? LISTENS : UNCONNECTED;
        for (String name : List.of(table, table + "6")) {
            for (String line : lines(PROC.resolve("self/net").resolve(name))) {
                String[] fields = line.strip().split(" +");
                if (fields.length > INODE && fields[LOCAL].endsWith(suffix) && fields[STATE].equals(state)) {
                    return Optional.of(fields[INODE]);
                }
            }
        }
        return Optional.empty();
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file, StandardCharsets.US_ASCII);
        } catch (IOException notHere) {
            return List.of();
        }
    }

    private static Optional<String> holder(String inode) {
        Path socket = Path.of("socket:[" + inode + "]");
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
            for (Path process : processes) {
                if (holds(process, socket)) {
                    return Optional.of(process.getFileName() + " (" + command(process) + ")");
                }
            }
        } catch (IOException | DirectoryIteratorException unreadable) {
            return Optional.empty();
        }
        return Optional.empty();
    }

    private static boolean holds(Path process, Path socket) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(process.resolve("fd"))) {
            for (Path file : files) {
                if (Files.isSymbolicLink(file) && Files.readSymbolicLink(file).equals(socket)) {
                    return true;
                }
            }
        } catch (IOException | DirectoryIteratorException endedOrNotOurs) {
            return false;
        }
        return false;
    }

    private static String command(Path process) {
        try {
            String words = new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.UTF_8)
                    .replace('\0', ' ')
                    .strip();
            String shown =
                    words.isEmpty() ? Files.readString(process.resolve("comm")).strip() : words;
            return shown.length() <= SHOWN_MAX ? shown : shown.substring(0, SHOWN_MAX) + "…";
        } catch (IOException ended) {
            return "ended meanwhile";
        }
    }
}
