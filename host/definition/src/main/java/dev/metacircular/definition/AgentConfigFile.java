package dev.metacircular.definition;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Reads {@code agent.toml}, and writes the first one. */
public final class AgentConfigFile {
    private static final Duration DEFAULT_COOLDOWN = Duration.ofMinutes(5);
    private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(10);

    private final Path file;

    /** @param directory the agent's */
    public AgentConfigFile(Path directory) {
        this.file = directory.toAbsolutePath().normalize().resolve(AgentConfig.FILE_NAME);
    }

    public Path file() {
        return file;
    }

    /** @throws dev.metacircular.model.ProblemException NOT_FOUND if there is no file; FAILED if it cannot be read */
    public Parsed<AgentConfig> read() {
        return switch (TextFile.read(file)) {
            case Parsed.Valid<String>(String text) -> parse(text);
            case Parsed.Faulty<String> faulty -> new Parsed.Faulty<>(faulty.faults());
        };
    }

    Parsed<AgentConfig> parse(String text) {
        Faults faults = new Faults(file);
        return Source.read(text, Limits.FILE_BYTES, this::config, faults);
    }

    private Supplier<AgentConfig> config(Table root) {
        Paths paths = new Paths(file, Optional.empty());
        Optional<Name> node = root.requiredString("node", Name.EXPECTED, n -> Optional.of(Name.of(n)));
        Optional<Address> listen = root.requiredString("listen", Address.EXPECTED, a -> Optional.of(Address.parse(a)));
        boolean wildcard = root.bool("allow_wildcard_bind").orElse(false);
        if (!wildcard && listen.filter(Address::isWildcard).isPresent()) {
            root.fault(
                    "listen",
                    "'listen' is '" + listen.get() + "', every address of this machine",
                    "the overlay network's address, or allow_wildcard_bind = true");
        }
        AgentConfig.LimitMode limits = choice(root, "limits", AgentConfig.LimitMode.values());
        Optional<Table> pathTable = root.table("paths");
        Path services = pathTable.flatMap(t -> paths.path(t, "services")).orElse(AgentConfig.DEFAULT_SERVICES);
        List<Path> allow = pathTable
                .map(t -> t.list(
                        "allow",
                        "an absolute path",
                        s -> Optional.of(s).filter(p -> p.startsWith("/")).flatMap(paths::resolve)))
                .orElse(List.of())
                .stream()
                .map(Table.Placed::value)
                .toList();
        pathTable.ifPresent(Table::rejectUnknown);
        Optional<AgentConfig.Alert> alert = root.table("alert").map(AgentConfigFile::alert);
        Map<String, AgentConfig.Registry> registries =
                root.table("registries").map(t -> registries(root, t, paths)).orElse(Map.of());
        Optional<Table> microvm = root.table("microvm");
        AgentConfig.Vmm vmm =
                microvm.map(t -> choice(t, "vmm", AgentConfig.Vmm.values())).orElse(AgentConfig.Vmm.AUTO);
        AgentConfig.Accelerator accelerator = microvm.map(t -> choice(t, "accel", AgentConfig.Accelerator.values()))
                .orElse(AgentConfig.Accelerator.AUTO);
        Optional<Path> opsHome = microvm.flatMap(t -> paths.path(t, "ops_home"));
        microvm.ifPresent(Table::rejectUnknown);
        Optional<Table> podman = root.table("podman");
        Optional<Path> socket = podman.flatMap(t -> paths.path(t, "socket"));
        podman.ifPresent(Table::rejectUnknown);
        Optional<Table> files = root.table("files");
        long fileBytes = files.flatMap(t -> t.integer("max_mb", 1, Limits.FILES_MAX_MB))
                .map(mb -> (long) mb << 20)
                .orElse(AgentConfig.DEFAULT_FILE_BYTES);
        files.ifPresent(Table::rejectUnknown);
        root.rejectUnknown();
        return () -> new AgentConfig(
                node.orElseThrow(),
                listen.orElseThrow(),
                wildcard,
                limits,
                services,
                allow,
                alert,
                registries,
                vmm,
                accelerator,
                opsHome,
                socket,
                fileBytes);
    }

    /** The first of the values is the default. */
    private static <E extends Enum<E>> E choice(Table table, String key, E[] values) {
        Map<String, E> byText = Arrays.stream(values)
                .collect(Collectors.toMap(
                        v -> v.name().toLowerCase(Locale.ROOT).replace('_', '-'), Function.identity()));
        String expected = Arrays.stream(values)
                .map(v -> "\"" + v.name().toLowerCase(Locale.ROOT).replace('_', '-') + "\"")
                .collect(Collectors.joining(" or "));
        return table.string(key, expected, s -> Optional.ofNullable(byText.get(s)))
                .orElse(values[0]);
    }

    private static AgentConfig.Alert alert(Table table) {
        List<String> command =
                table.strings("command").stream().map(Table.Placed::value).toList();
        if (!table.has("command")) {
            table.missing("command", "a program and its arguments");
        } else if (table.isEmptyArray("command")) {
            table.fault("command", "'command' without a program", "a program and its arguments");
        }
        Duration cooldown =
                table.seconds("cooldown_s", 0, Limits.ALERT_COOLDOWN_MAX_S).orElse(DEFAULT_COOLDOWN);
        Duration timeout = table.seconds("timeout_s", 0.1, Limits.TIMEOUT_MAX_S).orElse(DEFAULT_TIMEOUT);
        table.rejectUnknown();
        return new AgentConfig.Alert(command, cooldown, timeout);
    }

    private static Map<String, AgentConfig.Registry> registries(Table root, Table table, Paths paths) {
        Map<String, AgentConfig.Registry> registries = new HashMap<>();
        if (root.tooLong("registries", table.keys().size(), Limits.REGISTRIES, "registries")) {
            return registries;
        }
        for (String host : table.keys()) {
            if (!isRegistry(host)) {
                table.fault(host, "image registry " + Faults.quote(host), "host[:port] as images name it, in quotes");
            }
            table.table(host).ifPresent(t -> {
                Optional<Path> auth = paths.path(t, "auth_file");
                Optional<Path> ca = paths.path(t, "ca");
                boolean insecure = t.bool("insecure").orElse(false);
                if (insecure && t.has("ca")) {
                    t.fault("insecure", "'insecure' besides 'ca'", "one of them");
                }
                t.rejectUnknown();
                registries.put(host, new AgentConfig.Registry(auth, ca, insecure));
            });
        }
        return registries;
    }

    private static boolean isRegistry(String host) {
        try {
            return ImageRef.parse(host + "/x").registry().equals(host);
        } catch (IllegalArgumentException _) {
            return false;
        }
    }

    /**
     * Writes the file of a new agent.
     *
     * @throws dev.metacircular.model.ProblemException INVALID for a wildcard address that is not allowed, CONFLICT if there
     *     is a file, FAILED
     */
    public AgentConfig create(AgentConfig config) {
        String text = AgentConfigWriter.write(config);
        AgentConfig written = parse(text).orThrow();
        try {
            AtomicFile.create(file, text);
        } catch (FileAlreadyExistsException _) {
            throw Problem.of(Problem.Kind.CONFLICT, "there is an agent's configuration already")
                    .at(file.toString())
                    .exception();
        } catch (IOException e) {
            throw TextFile.failed("cannot be written", file, e);
        }
        return written;
    }
}
