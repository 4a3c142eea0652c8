package dev.metacircular.definition;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Supplier;

/** Reads and changes {@code mcp.toml}; a change leaves the rest of the file as it is and is atomic. */
public final class ClientConfigFile {
    private final Path file;
    private final Optional<Path> home;

    /**
     * @param directory the CLI's
     * @param environment whose {@code HOME} a leading {@code ~/} of a path stands for
     */
    public ClientConfigFile(Path directory, Map<String, String> environment) {
        this.file = directory.toAbsolutePath().normalize().resolve(ClientConfig.FILE_NAME);
        this.home = Optional.ofNullable(environment.get("HOME"))
                .filter(h -> !h.isEmpty())
                .map(Path::of);
    }

    public Path file() {
        return file;
    }

    /** @throws dev.metacircular.model.ProblemException FAILED if there is a file that cannot be read */
    public Parsed<ClientConfig> read() {
        if (!Files.exists(file)) {
            return new Parsed.Valid<>(ClientConfig.empty());
        }
        return TextFile.read(file).flatMap(this::parse);
    }

    Parsed<ClientConfig> parse(String text) {
        return PlainClientConfig.read(text, new Paths(file, home))
                .<Parsed<ClientConfig>>map(Parsed.Valid::new)
                .orElseGet(() -> parseAny(text));
    }

    /** By the TOML parser. */
    Parsed<ClientConfig> parseAny(String text) {
        Faults faults = new Faults(file);
        return Source.read(text, Limits.FILE_BYTES, this::config, faults);
    }

    private Supplier<ClientConfig> config(Table root) {
        Paths paths = new Paths(file, home);
        Optional<Table> build = root.table("build");
        Optional<Path> workspace = build.flatMap(b -> paths.path(b, "workspace"));
        String builder = build.flatMap(b -> b.string(
                        "builder", "\"podman\"", s -> Optional.of(s).filter(ClientConfig.DEFAULT_BUILDER::equals)))
                .orElse(ClientConfig.DEFAULT_BUILDER);
        int parallel = build.flatMap(b -> b.integer("parallel", 1, Limits.PARALLEL_MAX))
                .orElse(ClientConfig.DEFAULT_PARALLEL);
        build.ifPresent(Table::rejectUnknown);
        SortedMap<Name, ClientConfig.Node> nodes = new TreeMap<>();
        root.table("nodes").ifPresent(table -> {
            if (!root.tooLong("nodes", table.keys().size(), Limits.NODES, "nodes")) {
                table.keys().forEach(key -> node(table, key, paths).ifPresent(n -> nodes.put(n.name(), n)));
            }
        });
        root.rejectUnknown();
        return () -> new ClientConfig(workspace, builder, parallel, nodes);
    }

    private static Optional<ClientConfig.Node> node(Table nodes, String key, Paths paths) {
        if (!Name.isValid(key)) {
            nodes.fault(key, "node " + Faults.quote(key), Name.EXPECTED);
        }
        return nodes.table(key).flatMap(table -> {
            Optional<Address> address = table.requiredString(
                    "address",
                    Address.EXPECTED,
                    a -> Optional.of(Address.parse(a)).filter(p -> p.port() > 0));
            Optional<Path> ca = paths.required(table, "ca");
            Optional<Path> token = paths.required(table, "token_file");
            table.rejectUnknown();
            return Name.isValid(key) && address.isPresent() && ca.isPresent() && token.isPresent()
                    ? Optional.of(new ClientConfig.Node(Name.of(key), address.get(), ca.get(), token.get()))
                    : Optional.empty();
        });
    }

    /**
     * Adds a node. A path below the CLI's directory is written relative to it.
     *
     * @throws dev.metacircular.model.ProblemException CONFLICT if there is one of that name, INVALID if the file has
     *     faults, UNSUPPORTED if it cannot be changed, FAILED
     */
    public ClientConfig addNode(ClientConfig.Node node) {
        if (!Files.exists(file)) {
            String text = ClientConfigEditor.add("", node, file);
            parse(text).orThrow();
            return write(() -> AtomicFile.create(file, text), text);
        }
        String text = TextFile.read(file).orThrow();
        ClientConfig before = parse(text).orThrow();
        if (before.nodes().containsKey(node.name())) {
            throw Problem.of(Problem.Kind.CONFLICT, "there is a node '" + node.name() + "' already")
                    .at(file.toString())
                    .next("mcp node remove " + node.name())
                    .exception();
        }
        SortedMap<Name, ClientConfig.Node> nodes = new TreeMap<>(before.nodes());
        nodes.put(node.name(), node);
        return change(text, before, nodes, () -> ClientConfigEditor.add(text, node, file));
    }

    /**
     * Removes a node, with the comments that belong to it.
     *
     * @throws dev.metacircular.model.ProblemException NOT_FOUND if there is none of that name, otherwise as {@link #addNode}
     */
    public ClientConfig removeNode(Name name) {
        String text = Files.exists(file) ? TextFile.read(file).orThrow() : "";
        ClientConfig before = parse(text).orThrow();
        SortedMap<Name, ClientConfig.Node> nodes = new TreeMap<>(before.nodes());
        if (nodes.remove(name) == null) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "there is no node '" + name + "'")
                    .at(file.toString())
                    .next("mcp node list")
                    .exception();
        }
        return change(text, before, nodes, () -> ClientConfigEditor.remove(text, name));
    }

    private ClientConfig change(
            String old, ClientConfig before, SortedMap<Name, ClientConfig.Node> nodes, Supplier<String> edit) {
        ClientConfig wanted = new ClientConfig(before.workspace(), before.builder(), before.parallel(), nodes);
        String why = "the result would mean something else";
        try {
            String edited = edit.get();
            if (parse(edited) instanceof Parsed.Valid<ClientConfig>(ClientConfig after) && after.equals(wanted)) {
                return write(() -> AtomicFile.replace(file, old, edited), edited);
            }
        } catch (IllegalArgumentException e) {
            why = String.valueOf(e.getMessage());
        }
        throw Problem.of(Problem.Kind.UNSUPPORTED, "the nodes in this file cannot be changed: " + why)
                .at(file.toString())
                .next("edit the file by hand, or write each node as a [nodes.NAME] table")
                .exception();
    }

    private interface Write {
        void run() throws IOException;
    }

    private ClientConfig write(Write write, String text) {
        try {
            write.run();
        } catch (FileAlreadyExistsException _) {
            throw Problem.of(
                            Problem.Kind.CONFLICT,
                            "the file was changed by another program meanwhile; nothing is written")
                    .at(file.toString())
                    .next("run the command again")
                    .exception();
        } catch (IOException e) {
            throw TextFile.failed("cannot be written", file, e);
        }
        return parse(text).orThrow();
    }
}
