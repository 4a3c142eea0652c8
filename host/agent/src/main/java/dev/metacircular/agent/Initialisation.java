package dev.metacircular.agent;

import dev.metacircular.definition.Address;
import dev.metacircular.definition.AgentConfig;
import dev.metacircular.definition.AgentConfigFile;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.registry.Registry;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Makes an agent's directory. It is made beside its place and moved there whole, so there is never half of one.
 *
 * @param user the system user to run as, present if root initialises
 * @param wantsUnit whether the machine's systemd, where it runs, gets a unit for the agent
 */
record Initialisation(
        Path directory,
        Name node,
        Address listen,
        Optional<Path> services,
        Optional<Path> tokenFile,
        boolean allowWildcardBind,
        List<String> names,
        Optional<String> user,
        boolean wantsUnit) {
    private static final Path SERVER_SERVICES = Path.of("/srv");
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE_DIRECTORY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE_FILE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    /** The name of the first operator's token. */
    static final String FIRST_TOKEN = "operator";

    /**
     * @param token to be shown once, empty if it was written to a file
     * @param notes what the operator should know besides
     * @param start the command that starts the agent
     */
    record Outcome(Optional<String> token, List<String> notes, String start) {
        @Override
        public String toString() {
            return "Outcome[" + notes + "]";
        }
    }

    Outcome perform(Clock clock) throws IOException {
        check();
        Optional<SystemUser> owner = user.isPresent() ? Optional.of(SystemUser.ensure(user.get())) : Optional.empty();
        Files.createDirectories(parent(directory));
        Path partial =
                Files.createTempDirectory(parent(directory), "." + directory.getFileName() + ".", PRIVATE_DIRECTORY);
        boolean done = false;
        boolean tokenWritten = false;
        try {
            new Pki(partial).create(node, certificateNames(), clock.instant());
            writeConfiguration(partial);
            String token = firstToken(partial, clock);
            if (owner.isPresent()) {
                owner.get().own(partial);
            }
            if (tokenFile.isPresent()) {
                Files.createFile(tokenFile.get(), PRIVATE_FILE);
                tokenWritten = true;
                Files.writeString(tokenFile.get(), token + "\n");
            }
            List<String> notes = makeServices(partial, owner);
            Files.move(partial, directory, StandardCopyOption.ATOMIC_MOVE);
            done = true;
            String start = installUnit(notes).orElse("mcp-agent run --dir " + directory);
            return new Outcome(tokenFile.isPresent() ? Optional.empty() : Optional.of(token), notes, start);
        } finally {
            if (!done) {
                delete(partial);
                if (tokenWritten) {
                    Files.deleteIfExists(tokenFile.orElseThrow());
                }
            }
        }
    }

    private static Path parent(Path path) {
        Path parent = path.getParent();
        if (parent == null) {
            throw Problem.of(Problem.Kind.INVALID, path + " cannot be an agent's directory")
                    .exception();
        }
        return parent;
    }

    private void check() throws IOException {
        if (listen.isWildcard() && !allowWildcardBind) {
            throw Problem.of(
                            Problem.Kind.INVALID,
                            listen.host() + " means every address of this machine, public ones too")
                    .at("--listen")
                    .next("name the overlay network's address, or pass --allow-wildcard-bind")
                    .exception();
        }
        for (String name : names) {
            if (!isHost(name)) {
                throw Problem.of(Problem.Kind.INVALID, "'" + name + "' is neither an IP address nor a DNS name")
                        .at("--name")
                        .exception();
            }
        }
        if (Files.exists(directory.resolve("agent.toml")) || Files.exists(directory.resolve("registry.db"))) {
            throw Problem.of(Problem.Kind.CONFLICT, "it is an agent's directory already; nothing was changed")
                    .at(directory.toString())
                    .next("mcp-agent run --dir " + directory)
                    .exception();
        }
        if (Files.exists(directory)) {
            requireEmpty();
        }
        if (tokenFile.isPresent() && Files.exists(tokenFile.get())) {
            throw Problem.of(Problem.Kind.CONFLICT, "the file exists already; nothing was changed")
                    .at(tokenFile.get().toString())
                    .next("remove it, or name another --token-file")
                    .exception();
        }
    }

    private void requireEmpty() throws IOException {
        if (!Files.isDirectory(directory)) {
            throw Problem.of(Problem.Kind.CONFLICT, "it is not a directory")
                    .at(directory.toString())
                    .exception();
        }
        try (Stream<Path> content = Files.list(directory)) {
            if (content.findAny().isPresent()) {
                throw Problem.of(Problem.Kind.CONFLICT, "the directory is not empty; nothing was changed")
                        .at(directory.toString())
                        .next("name one that does not exist")
                        .exception();
            }
        }
    }

    private List<String> certificateNames() throws IOException {
        Set<String> all = new LinkedHashSet<>();
        if (listen.isWildcard()) {
            all.add(InetAddress.getLocalHost().getHostName());
        } else {
            all.add(listen.host());
        }
        if (isLoopback() || listen.isWildcard()) {
            all.add("localhost");
            all.add("127.0.0.1");
        }
        all.addAll(names);
        return all.stream().filter(Initialisation::isHost).toList();
    }

    private void writeConfiguration(Path partial) throws IOException {
        Files.createDirectory(partial.resolve("tmp"), PRIVATE_DIRECTORY);
        AgentConfig defaults = AgentConfig.initial(node, listen);
        new AgentConfigFile(partial)
                .create(new AgentConfig(
                        node,
                        listen,
                        allowWildcardBind,
                        defaults.limits(),
                        servicesDirectory(),
                        defaults.allowedHostPaths(),
                        defaults.alert(),
                        defaults.registries(),
                        defaults.vmm(),
                        defaults.accelerator(),
                        defaults.opsHome(),
                        defaults.podmanSocket(),
                        defaults.maxFileBytes()));
    }

    private boolean isLoopback() {
        return listen.host().equals("localhost")
                || (Pki.isAddress(listen.host())
                        && InetAddress.ofLiteral(listen.host()).isLoopbackAddress());
    }

    /** Whether the text is an IP address or a DNS name. */
    private static boolean isHost(String text) {
        try {
            Address.parse((text.contains(":") ? "[" + text + "]" : text) + ":1");
            return true;
        } catch (IllegalArgumentException _) {
            return false;
        }
    }

    private Path servicesDirectory() {
        return services.orElse(user.isPresent() ? SERVER_SERVICES : directory.resolve("services"));
    }

    private static String firstToken(Path partial, Clock clock) {
        try (Registry registry = Registry.open(partial, clock)) {
            return new Tokens(registry, clock).add(FIRST_TOKEN, Role.OPERATOR);
        }
    }

    /** The directory goes to the user only if it is made here or empty; what someone keeps in it stays as it is. */
    private List<String> makeServices(Path partial, Optional<SystemUser> owner) throws IOException {
        Path target = servicesDirectory();
        List<String> notes = new ArrayList<>();
        if (target.startsWith(directory)) {
            Path made = Files.createDirectories(partial.resolve(directory.relativize(target)));
            if (owner.isPresent()) {
                owner.get().own(made);
            }
            return notes;
        }
        boolean isNew = !Files.exists(target);
        Files.createDirectories(target);
        if (owner.isPresent()) {
            boolean isEmpty;
            try (Stream<Path> content = Files.list(target)) {
                isEmpty = content.findAny().isEmpty();
            }
            if (isNew || isEmpty) {
                owner.get().own(target);
            } else {
                notes.add(target + " is not empty and stays as it is: the user "
                        + owner.get().name() + " must be able to write there");
            }
        }
        return notes;
    }

    /** Returns the command that starts the unit. A node without one is complete: why there is none becomes a note. */
    private Optional<String> installUnit(List<String> notes) throws IOException {
        if (user.isEmpty() || !wantsUnit || !SystemUser.systemdRuns()) {
            return Optional.empty();
        }
        try {
            UnitFile unit = Units.of(directory);
            if (Files.exists(unit.place())) {
                notes.add(unit.place() + " is there already and stays as it is; to replace it: mcp-agent unit --dir "
                        + directory + " --install");
                return Optional.empty();
            }
            Units.install(unit);
            notes.add("installed " + unit.place());
            return Optional.of(unit.enableCommand());
        } catch (ProblemException e) {
            notes.add("no unit was installed: " + e.problem());
            return Optional.empty();
        }
    }

    private static void delete(Path tree) throws IOException {
        try (Stream<Path> all = Files.walk(tree)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(p);
            }
        }
    }
}
