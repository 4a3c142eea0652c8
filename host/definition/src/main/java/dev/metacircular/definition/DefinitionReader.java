package dev.metacircular.definition;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.tomlj.TomlPosition;

/** Reads the text of one service definition; see docs/service-definition.md. */
public final class DefinitionReader {
    static final String SUFFIX = ".toml";

    private static final String RELATIVE_EXPECTED = "a relative path without '..'";
    private static final Pattern RELATIVE =
            Pattern.compile("(?!/)(?!.*(?:^|/)\\.\\.(?:/|$))[^\\p{Cntrl}]{1," + Limits.PATH_CHARS + "}");
    private static final Pattern IMAGE_SEGMENT = Pattern.compile("[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*");

    private static final int DNS_LABEL_CHARS = 63;

    private final Faults faults;
    private final Path file;
    private final Map<Name, TomlPosition> positions = new HashMap<>();

    private DefinitionReader(Path file) {
        this.file = file;
        this.faults = new Faults(file);
    }

    /**
     * Never throws, whatever the text.
     *
     * @param file whose name, less {@code .toml}, the service must bear; it is not read
     */
    public static Parsed<Service> read(Path file, String text) {
        return readPlaced(file, text).map(Placed::service);
    }

    /** @param components where each component's name stands */
    record Placed(Service service, Map<Name, TomlPosition> components) {}

    static Parsed<Placed> readPlaced(Path file, String text) {
        DefinitionReader reader = new DefinitionReader(file);
        return Source.read(text, Limits.FILE_BYTES, reader::service, reader.faults);
    }

    private Supplier<Placed> service(Table root) {
        Optional<Name> name = root.requiredString("name", Name.EXPECTED, n -> Optional.of(Name.of(n)));
        name.ifPresent(n -> checkFileName(root, n));
        Optional<Name> node = root.requiredString("node", Name.EXPECTED, n -> Optional.of(Name.of(n)));
        boolean active = root.bool("active").orElse(true);
        Optional<String> path = root.string("path", RELATIVE_EXPECTED, DefinitionReader::relative);
        Map<String, String> images = root.table("build").map(this::buildImages).orElse(Map.of());
        List<Table> tables = root.tables("components", Limits.COMPONENTS);
        if (!root.has("components") || (tables.isEmpty() && root.isEmptyArray("components"))) {
            root.missing("components", "at least one [[components]] table");
        }
        List<ComponentReader.Reading> components = new ArrayList<>();
        List<Optional<Desired>> desired = new ArrayList<>();
        for (Table table : tables) {
            ComponentReader.Reading component = ComponentReader.read(table);
            components.add(component);
            desired.add(table.string("desired", "\"running\", \"stopped\" or \"ignore\"", Desired::parse));
            table.rejectUnknown();
            component.name().ifPresent(n -> checkRepeated(table, n));
            checkSharedName(table, component, name);
        }
        root.rejectUnknown();
        PortConflicts.reject(
                components.stream().flatMap(c -> c.ports().stream()).toList(), faults);
        VolumeConflicts.reject(
                components.stream().flatMap(c -> c.volumes().stream()).toList(), faults);
        return () -> {
            List<Service.Entry> entries = new ArrayList<>();
            for (int i = 0; i < components.size(); i++) {
                entries.add(new Service.Entry(
                        components.get(i).component().get(), desired.get(i).orElse(Desired.RUNNING)));
            }
            return new Placed(
                    new Service(name.orElseThrow(), node.orElseThrow(), active, path, images, entries), positions);
        };
    }

    private void checkFileName(Table root, Name name) {
        Path fileName = file.getFileName();
        if (fileName == null || !fileName.toString().equals(name + SUFFIX)) {
            String stem = String.valueOf(fileName).replaceFirst("\\.toml$", "");
            root.fault("name", "'name' is '" + name + "'", "'" + stem + "', the file's name");
        }
    }

    private Map<String, String> buildImages(Table build) {
        Map<String, String> images = new TreeMap<>();
        build.table("images").ifPresent(table -> {
            if (build.tooLong("images", table.keys().size(), Limits.BUILD_IMAGES, "images")) {
                return;
            }
            for (String key : table.keys()) {
                if (!IMAGE_SEGMENT.matcher(key).matches()) {
                    table.fault(
                            key,
                            "image " + Faults.quote(key),
                            "the last path segment of a component's image, of a-z, 0-9, '.', '_' and '-'");
                }
                table.string(key, RELATIVE_EXPECTED, DefinitionReader::relative).ifPresent(p -> images.put(key, p));
            }
        });
        build.rejectUnknown();
        return images;
    }

    private static Optional<String> relative(String text) {
        return RELATIVE.matcher(text).matches() ? Optional.of(text) : Optional.empty();
    }

    /** Unique names make canonical names unique within a service. */
    private void checkRepeated(Table table, Name component) {
        TomlPosition at = table.at("name");
        TomlPosition first = positions.putIfAbsent(component, at);
        if (first != null) {
            table.fault(
                    "name",
                    "a second component named '" + component + "', after line " + first.line(),
                    "each component's name once");
        }
    }

    /** On a shared network a component's canonical name is its DNS label (RFC 1035, section 2.3.4). */
    private static void checkSharedName(Table table, ComponentReader.Reading component, Optional<Name> service) {
        if (service.isPresent()
                && component.name().isPresent()
                && component.network().isPresent()) {
            String canonical = new ComponentId(service.get(), component.name().get()).canonicalName();
            if (canonical.length() > DNS_LABEL_CHARS) {
                table.fault(
                        "network",
                        "a shared network, with the canonical name '" + canonical + "' of " + canonical.length()
                                + " characters",
                        "at most " + DNS_LABEL_CHARS + " there");
            }
        }
    }
}
