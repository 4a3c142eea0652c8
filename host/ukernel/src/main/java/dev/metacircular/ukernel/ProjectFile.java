package dev.metacircular.ukernel;

import dev.metacircular.definition.Parsed;
import dev.metacircular.definition.Table;
import dev.metacircular.definition.TomlFile;
import dev.metacircular.image.Capability;
import dev.metacircular.image.ImageException;
import dev.metacircular.image.RunConfiguration;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Problem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** Reads {@code ukernel.toml}. */
final class ProjectFile {
    static final List<String> KERNELS = List.of("minimal", "net", "full");
    static final int VCPUS_MAX = 32;
    static final int MEMORY_MIN_MEBIBYTES = 4;
    static final int MEMORY_MAX_MEBIBYTES = 1 << 20;

    private static final int MEMORY_DEFAULT_MEBIBYTES = 256;

    private ProjectFile() {}

    /**
     * Reads the project whose folder is {@code start} or the nearest above it.
     *
     * @throws dev.metacircular.model.ProblemException NOT_FOUND without such a folder; INVALID with every fault of the file
     */
    static Project find(Path start) {
        Path absolute = start.toAbsolutePath().normalize();
        for (Path folder = absolute; folder != null; folder = folder.getParent()) {
            if (Files.isRegularFile(folder.resolve(Project.FILE))) {
                return read(folder);
            }
        }
        throw Problem.of(Problem.Kind.NOT_FOUND, "no " + Project.FILE + " here or in a folder above")
                .at(absolute.toString())
                .next("change into a project, or make one: ukernel init --name hello --lang c")
                .exception();
    }

    private static Project read(Path folder) {
        return parse(folder).orThrow();
    }

    static Parsed<Project> parse(Path folder) {
        return TomlFile.read(folder.resolve(Project.FILE), root -> read(folder, root));
    }

    private static Supplier<Project> read(Path folder, Table root) {
        Optional<Table> project = root.table("project");
        if (!root.has("project")) {
            root.missing("project", "a table [project] with name, language and entry");
        }
        Optional<Name> name = project.flatMap(
                table -> table.requiredString("name", Name.EXPECTED, text -> Optional.of(Name.of(text))));
        Optional<Language> language = project.flatMap(table -> language(table));
        Optional<Path> entry = project.flatMap(table -> table.requiredString(
                "entry", "the path of the main source file within the project", text -> inside(folder, text)));
        project.ifPresent(Table::rejectUnknown);

        root.table("env").ifPresent(ProjectFile::checkEnvironment);

        Optional<Table> build = root.table("build");
        Optional<String> adapter = build.flatMap(table -> table.string("adapter"));
        String kernel = build.flatMap(table -> table.string(
                        "kernel",
                        "one of " + String.join(", ", KERNELS),
                        text -> Optional.of(text).filter(KERNELS::contains)))
                .orElse("full");
        Optional<Path> files = build.flatMap(table ->
                table.string("files", "the path of a folder within the project", text -> inside(folder, text)));
        build.ifPresent(table -> {
            if (language.isPresent()
                    && adapter.isPresent()
                    && !adapter.get().equals(language.get().adapter())) {
                table.fault(
                        "adapter",
                        "'adapter' is '" + adapter.get() + "'",
                        "'" + language.get().adapter() + "', which carries language = \"" + language.get() + "\"");
            }
            table.rejectUnknown();
        });

        List<Capability> capabilities = root.table("capabilities")
                .flatMap(ProjectFile::capabilities)
                .orElseGet(() ->
                        Stream.of(Capability.Kind.values()).map(Capability::of).toList());

        Optional<Table> runTable = root.table("run");
        Project.Run run = run(runTable);
        runTable.ifPresent(Table::rejectUnknown);
        root.rejectUnknown();
        return () -> {
            Language chosen = language.orElseThrow();
            return new Project(
                    folder,
                    name.orElseThrow(),
                    chosen,
                    entry.orElseThrow(),
                    adapter.orElse(chosen.adapter()),
                    kernel,
                    files,
                    capabilities,
                    run);
        };
    }

    private static Optional<Language> language(Table table) {
        Optional<Language> language =
                table.requiredString("language", "one of python, go, typescript, java, c, zig, oci", Language::named);
        if (language.isPresent() && !language.get().isBuilt()) {
            table.fault(
                    "language", "language '" + language.get() + "' is not built by this version", "\"c\" or \"zig\"");
            return Optional.empty();
        }
        return language;
    }

    /** The environment is pinned by the toolchain for C and Zig; other languages will need what stands here. */
    private static void checkEnvironment(Table table) {
        table.string("base");
        List<Table.Placed<String>> packages = table.strings("packages");
        if (!packages.isEmpty()) {
            table.fault(
                    packages.getFirst().at(),
                    "package '" + packages.getFirst().value() + "'",
                    "no packages: C and Zig projects hold their own sources");
        }
        table.rejectUnknown();
    }

    private static Optional<List<Capability>> capabilities(Table table) {
        List<Capability> kinds = table
                .list("kinds", "a capability such as \"net\" or \"mem:exec-write,pin\"", text -> {
                    try {
                        return Optional.of(Capability.parse(text));
                    } catch (ImageException e) {
                        return Optional.empty();
                    }
                })
                .stream()
                .map(Table.Placed::value)
                .toList();
        table.rejectUnknown();
        return table.has("kinds") ? Optional.of(kinds) : Optional.empty();
    }

    private static Project.Run run(Optional<Table> table) {
        int vcpus = table.flatMap(t -> t.integer("vcpu", 1, VCPUS_MAX)).orElse(1);
        int memory = table.flatMap(t -> t.integer("memory_mb", MEMORY_MIN_MEBIBYTES, MEMORY_MAX_MEBIBYTES))
                .orElse(MEMORY_DEFAULT_MEBIBYTES);
        Project.Net net = table.flatMap(t -> t.string("net", Project.Net.EXPECTED, Project.Net::parse))
                .orElseGet(Project.Net.User::new);
        List<PortMapping> ports = table
                .map(t -> t.list("ports", PortMapping.EXPECTED, text -> Optional.of(PortMapping.parse(text))))
                .orElse(List.of())
                .stream()
                .map(Table.Placed::value)
                .toList();
        if (table.isPresent() && !ports.isEmpty() && !(net instanceof Project.Net.User)) {
            table.get().fault("ports", "'ports' without net = \"user\"", "no ports, or net = \"user\"");
        }
        Optional<RunConfiguration.Address> address =
                table.flatMap(t -> t.string("address", Project.Run.ADDRESS_EXPECTED, Project.Run::parseAddress));
        if (address.isPresent() && net instanceof Project.Net.None) {
            table.orElseThrow().fault("address", "'address' without a network", "no address, or net = \"tap:IFACE\"");
        }
        return new Project.Run(vcpus, memory, net, address, ports);
    }

    private static Optional<Path> inside(Path folder, String text) {
        Path path = Path.of(text);
        Path whole = folder.resolve(path).normalize();
        return text.isEmpty() || path.isAbsolute() || !whole.startsWith(folder) || whole.equals(folder)
                ? Optional.empty()
                : Optional.of(folder.relativize(whole));
    }
}
