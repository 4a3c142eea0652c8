package dev.metacircular.runtime.podman;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * Has podman's bridges keep their Ethernet addresses. A bridge on which none is set takes the lowest of what is connected to it (Linux,
 * {@code br_stp_recalculate_bridge_id}), and netavark before 1.9 sets none: when a container comes or goes, the others of its network may be
 * left with an address of the bridge that is no longer so, and reach neither the resolver of names nor anything outside until they ask again,
 * for up to half a minute. Each bridge is given the address that it has, once for each network namespace.
 */
final class Bridges {
    private static final Pattern NAME = Pattern.compile("podman[0-9]+");
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final String KEEP = """
            set -e
            for bridge in "$@"; do
              address=$(ip -o link show dev "$bridge" | sed -n 's|.* link/ether \\([0-9a-f:]*\\) .*|\\1|p')
              ip link set dev "$bridge" address "$address"
            done
            """;

    private long namespaceOf;
    private final Set<String> kept = new HashSet<>();

    /**
     * @param inside a process in their network namespace, which the caller's user owns
     * @throws IOException once for the bridges that could not be had to keep theirs; they are not tried again
     */
    synchronized void keep(ProcessHandle inside) throws IOException, InterruptedException {
        if (inside.pid() != namespaceOf) {
            namespaceOf = inside.pid();
            kept.clear();
        }
        Set<String> fresh = new TreeSet<>();
        for (String line : interfaces(inside)) {
            String name = line.split(":", 2)[0].strip();
            if (NAME.matcher(name).matches() && !kept.contains(name)) {
                fresh.add(name);
            }
        }
        if (fresh.isEmpty()) {
            return;
        }
        kept.addAll(fresh);
        List<String> command = new ArrayList<>(List.of("nsenter", "--user", "--net"));
        // As root inside, whoever the caller is outside.
        command.addAll(List.of("--target", Long.toString(inside.pid()), "--", "sh", "-c", KEEP, "bridges"));
        command.addAll(fresh);
        run(command, fresh);
    }

    private static List<String> interfaces(ProcessHandle inside) throws IOException {
        try {
            return Files.readAllLines(Path.of("/proc", Long.toString(inside.pid()), "net/dev"));
        } catch (NoSuchFileException _) {
            return List.of();
        }
    }

    private static void run(List<String> command, Set<String> bridges) throws IOException, InterruptedException {
        Path said = Files.createTempFile("bridges", ".log");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(said.toFile())
                    .start();
            if (!process.waitFor(LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly();
                throw new IOException(
                        "the bridges " + bridges + " do not get their addresses within " + LIMIT.toSeconds() + " s");
            }
            if (process.exitValue() != 0) {
                throw new IOException("the bridges " + bridges + " cannot be had to keep their addresses: "
                        + Files.readString(said, StandardCharsets.ISO_8859_1).strip());
            }
        } finally {
            Files.deleteIfExists(said);
        }
    }
}
