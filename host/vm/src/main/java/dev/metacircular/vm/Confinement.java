package dev.metacircular.vm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Shuts a VMM into namespaces of its own: it sees its program, its VM's files and state and the devices that it needs, no other process, and no
 * network unless its VM has one; it holds no capability and can gain none. Done by bubblewrap, where it is installed and the host lets this user;
 * a try decides, remembered for the boot of the host.
 */
final class Confinement {
    private static final String PROGRAM = "bwrap";
    private static final int TRY_SECONDS_MAX = 5;

    /** What a VMM may see of the host. */
    record Needs(
            Path state,
            Path vmm,
            List<Path> readOnly,
            List<Path> writable,
            boolean kvm,
            boolean tap,
            boolean network) {}

    private final Optional<Path> bubblewrap;
    private final String reason;

    private Confinement(Optional<Path> bubblewrap, String reason) {
        this.bubblewrap = bubblewrap;
        this.reason = reason;
    }

    /** No confinement but the VMM's own. */
    static Confinement none(String reason) {
        return new Confinement(Optional.empty(), reason);
    }

    /** The best that this host allows, found with this search path. */
    static Confinement find(String searchPath, Path cache) throws InterruptedException {
        Optional<Path> program = Programs.find(PROGRAM, searchPath);
        if (program.isEmpty()) {
            return none("bubblewrap is not installed (sudo apt-get install bubblewrap)");
        }
        ProbeCache.Answer answer =
                new ProbeCache(cache, "confinement-probe").ask(program.get(), () -> attempt(program.get()));
        return answer.usable() ? new Confinement(program, answer.reason()) : none(answer.reason());
    }

    /** The same for the environment's search path; an interruption means none. */
    static Confinement orNone(Path cache) {
        try {
            return find(Optional.ofNullable(System.getenv("PATH")).orElse(""), cache);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return none("interrupted while trying bubblewrap");
        }
    }

    Finding finding() {
        return isActive()
                ? new Finding("Confinement", Finding.Status.PRESENT, description(), Optional.empty())
                : new Finding(
                        "Confinement",
                        Finding.Status.LACKING,
                        reason,
                        Optional.of("VMMs run with their system call filter alone"));
    }

    private static ProbeCache.Answer attempt(Path bubblewrap) throws InterruptedException {
        List<String> words = new ArrayList<>(base(bubblewrap));
        words.addAll(List.of("--unshare-net", "--", "true"));
        try {
            Process process = new ProcessBuilder(words)
                    .redirectErrorStream(true)
                    .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                    .start();
            try {
                if (!process.waitFor(TRY_SECONDS_MAX, TimeUnit.SECONDS)) {
                    return new ProbeCache.Answer(false, "bubblewrap does not answer");
                }
                String output =
                        new String(process.getInputStream().readNBytes(1_024), java.nio.charset.StandardCharsets.UTF_8);
                return process.exitValue() == 0
                        ? new ProbeCache.Answer(true, "bubblewrap works")
                        : new ProbeCache.Answer(
                                false,
                                "this host does not let bubblewrap make namespaces: "
                                        + output.lines().findFirst().orElse("no message"));
            } finally {
                process.destroyForcibly();
            }
        } catch (IOException e) {
            return new ProbeCache.Answer(false, "bubblewrap does not start: " + e.getMessage());
        }
    }

    boolean isActive() {
        return bubblewrap.isPresent();
    }

    String reason() {
        return reason;
    }

    /** For a person. */
    String description() {
        return isActive()
                ? "system call filter; own namespaces, files and processes"
                : "system call filter only: " + reason;
    }

    /** The command line that runs this VMM command line confined. */
    List<String> wrap(Needs needs, List<String> vmm) {
        if (bubblewrap.isEmpty()) {
            return vmm;
        }
        List<String> words = new ArrayList<>(base(bubblewrap.get()));
        if (!needs.network) {
            words.add("--unshare-net");
        } else {
            // User-mode networking asks the host's name servers.
            words.addAll(List.of("--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"));
        }
        if (needs.kvm) {
            words.addAll(List.of("--dev-bind", "/dev/kvm", "/dev/kvm"));
        }
        if (needs.tap) {
            words.addAll(List.of("--dev-bind", "/dev/net/tun", "/dev/net/tun"));
            if (isRoot()) {
                words.addAll(List.of("--cap-add", "CAP_NET_ADMIN"));
            }
        }
        Map<Path, String> binds = new LinkedHashMap<>();
        Path program = real(needs.vmm);
        Path programFolder = program.getParent();
        if (!program.startsWith("/usr") && programFolder != null) {
            binds.put(programFolder, "--ro-bind");
        }
        needs.readOnly.forEach(file -> binds.put(absolute(file), "--ro-bind"));
        needs.writable.forEach(file -> binds.put(absolute(file), "--bind"));
        binds.put(needs.state, "--bind");
        binds.forEach((path, how) -> words.addAll(List.of(how, path.toString(), path.toString())));
        words.addAll(List.of("--chdir", needs.state.toString(), "--"));
        words.addAll(vmm);
        return words;
    }

    /** The part that does not depend on the VM. Killing bubblewrap kills what it runs. */
    private static List<String> base(Path bubblewrap) {
        List<String> words = new ArrayList<>(List.of(
                bubblewrap.toString(),
                "--die-with-parent",
                "--unshare-ipc",
                "--unshare-uts",
                "--unshare-pid",
                "--as-pid-1",
                "--cap-drop",
                "ALL"));
        if (isRoot()) {
            // In a user namespace root could not open other users' files nor low ports, which it is run for.
            words.addAll(List.of("--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_NET_BIND_SERVICE"));
        } else {
            words.add("--unshare-user");
        }
        words.addAll(List.of("--ro-bind", "/usr", "/usr"));
        for (String name : List.of("bin", "lib", "lib64")) {
            Path link = Path.of("/", name);
            words.addAll(
                    Files.isSymbolicLink(link)
                            ? List.of("--symlink", "usr/" + name, link.toString())
                            : List.of("--ro-bind-try", link.toString(), link.toString()));
        }
        words.addAll(List.of("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"));
        for (String device : List.of("/dev/null", "/dev/urandom")) {
            words.addAll(List.of("--dev-bind", device, device));
        }
        words.addAll(List.of("--proc", "/proc"));
        return words;
    }

    private static boolean isRoot() {
        return System.getProperty("user.name").equals("root");
    }

    private static Path real(Path path) {
        try {
            return path.toRealPath();
        } catch (IOException e) {
            throw StateDirectory.cannot("find", path, e);
        }
    }

    private static Path absolute(Path path) {
        return path.toAbsolutePath().normalize();
    }
}
