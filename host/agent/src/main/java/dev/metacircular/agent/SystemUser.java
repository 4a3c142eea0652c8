package dev.metacircular.agent;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The unprivileged user that the agent and its podman run as; made by root at initialisation, or taken as it is. */
record SystemUser(String name, long uid, long gid, Path home) {
    private static final Duration DEADLINE = Duration.ofMinutes(3);
    private static final long SUBORDINATE_COUNT = 65_536;
    private static final long FIRST_SUBORDINATE = 100_000;
    private static final Path PASSWD = Path.of("/etc/passwd");
    private static final Path GROUP = Path.of("/etc/group");
    /** Whose {@code /dev/kvm} is, on Debian. */
    private static final String KVM = "kvm";

    static final Path SUBUID = Path.of("/etc/subuid");
    static final Path SUBGID = Path.of("/etc/subgid");

    static boolean callerIsRoot() {
        return effectiveUid() == 0;
    }

    /** This process's user. */
    static long effectiveUid() {
        try {
            return ((Number) Files.getAttribute(Path.of("/proc/self"), "unix:uid")).longValue();
        } catch (IOException e) {
            throw new IllegalStateException("cannot tell this process's user: " + e.getMessage(), e);
        }
    }

    /** A user of this machine, by the name service's own program, so that every source of users counts. */
    static Optional<SystemUser> find(String user) throws IOException {
        if (Programs.find("getent").isPresent()) {
            Programs.Result result = Programs.run(DEADLINE, List.of("getent", "passwd", user));
            return result.ok() ? result.output().lines().findFirst().map(SystemUser::parse) : Optional.empty();
        }
        try (Stream<String> lines = Files.lines(PASSWD)) {
            return lines.filter(l -> l.startsWith(user + ":")).findFirst().map(SystemUser::parse);
        }
    }

    private static SystemUser parse(String line) {
        String[] fields = line.split(":", -1);
        return new SystemUser(fields[0], Long.parseLong(fields[2]), Long.parseLong(fields[3]), Path.of(fields[5]));
    }

    /** Makes the user if there is none, with the group that may use KVM, and gives it subordinate IDs, lingering and a runtime directory where they are missing. */
    static SystemUser ensure(String user) throws IOException {
        if (find(user).isEmpty()) {
            must(making(user, hasGroup(KVM)));
        }
        SystemUser found = find(user)
                .orElseThrow(() -> Problem.of(Problem.Kind.FAILED, "the user '" + user + "' was made and is not found")
                        .exception());
        found.requireUsableHome();
        found.ensureSubordinates(SUBUID, "--add-subuids");
        found.ensureSubordinates(SUBGID, "--add-subgids");
        found.ensureRuntimeDirectory();
        return found;
    }

    /** @param kvm whether {@code /dev/kvm} is a group's; its manager gets its groups once, at its start, so it is given them before */
    static List<String> making(String user, boolean kvm) {
        List<String> command = new ArrayList<>(List.of(
                "useradd",
                "--system",
                "--create-home",
                "--home-dir",
                "/home/" + user,
                "--shell",
                "/usr/sbin/nologin",
                "--user-group"));
        if (kvm) {
            command.addAll(List.of("--groups", KVM));
        }
        command.add(user);
        return command;
    }

    private static boolean hasGroup(String group) throws IOException {
        if (Programs.find("getent").isPresent()) {
            return Programs.run(DEADLINE, List.of("getent", "group", group)).ok();
        }
        try (Stream<String> lines = Files.lines(GROUP)) {
            return lines.anyMatch(l -> l.startsWith(group + ":"));
        }
    }

    /** The network namespace of rootless podman 4 has mounts of its own over these, and does not find what podman keeps below. */
    private void requireUsableHome() {
        if (home.startsWith("/var/lib") || home.startsWith("/run")) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the user's home is " + home + ", where rootless podman cannot make networks")
                    .at("--user " + name)
                    .next("usermod --home /home/" + name + " --move-home " + name + ", or name another user")
                    .exception();
        }
    }

    /** Whether the file grants the user a range of subordinate IDs, by name or by number. */
    boolean hasSubordinates(Path file) throws IOException {
        if (!Files.exists(file)) {
            return false;
        }
        try (Stream<String> lines = Files.lines(file)) {
            return lines.anyMatch(l -> l.startsWith(name + ":") || l.startsWith(uid + ":"));
        }
    }

    private void ensureSubordinates(Path file, String option) throws IOException {
        if (hasSubordinates(file)) {
            return;
        }
        long first = FIRST_SUBORDINATE;
        if (Files.exists(file)) {
            for (String line : Files.readAllLines(file)) {
                String[] fields = line.strip().split(":");
                if (fields.length == 3 && fields[1].matches("[0-9]{1,10}") && fields[2].matches("[0-9]{1,10}")) {
                    first = Math.max(first, Long.parseLong(fields[1]) + Long.parseLong(fields[2]));
                }
            }
        }
        must(List.of("usermod", option, first + "-" + (first + SUBORDINATE_COUNT - 1), name));
    }

    private void ensureRuntimeDirectory() throws IOException {
        if (systemdRuns()) {
            must(List.of("loginctl", "enable-linger", name));
            // Lingering starts the user's manager and does not wait for it, nor for the directory.
            must(List.of("systemctl", "start", "user@" + uid + ".service"));
        }
        Path directory = runtimeDirectory();
        if (!Files.exists(directory)) {
            Files.createDirectories(directory);
            Files.setPosixFilePermissions(
                    directory, java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
            own(directory);
        }
    }

    static boolean systemdRuns() {
        return Files.isDirectory(Path.of("/run/systemd/system"));
    }

    Path runtimeDirectory() {
        return Path.of("/run/user/" + uid);
    }

    /** Gives the file or directory, with everything in it, to this user; links are not followed. */
    void own(Path path) throws IOException {
        try (Stream<Path> all = Files.walk(path)) {
            for (Path p : all.toList()) {
                Files.setAttribute(p, "unix:uid", (int) uid, java.nio.file.LinkOption.NOFOLLOW_LINKS);
                Files.setAttribute(p, "unix:gid", (int) gid, java.nio.file.LinkOption.NOFOLLOW_LINKS);
            }
        }
    }

    private static void must(List<String> command) throws IOException {
        Programs.Result result = Programs.run(DEADLINE, command);
        if (!result.ok()) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            String.join(" ", command) + " ended with status " + result.status() + ": "
                                    + result.output().replace('\n', ' '))
                    .exception();
        }
    }
}
