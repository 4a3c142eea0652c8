package dev.metacircular.definition;

import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tomlj.TomlPosition;

/**
 * The definition files in one folder, {@code <service>.toml} each. Every change is atomic: a reader sees the old file or
 * the new one.
 */
public final class ServiceDefinitions {
    private final Path folder;

    /** @param clientDirectory the CLI's directory; the files are in its folder {@code services} */
    public ServiceDefinitions(Path clientDirectory) {
        this.folder = clientDirectory.resolve("services");
    }

    /** One file of the folder. */
    public record Definition(Path file, Parsed<Service> service) {}

    /** Where the service's definition is or would be. */
    public Path file(Name service) {
        return folder.resolve(service + DefinitionReader.SUFFIX);
    }

    /** The services that have a file, by name; files whose name is none are left out. */
    public List<Name> names() {
        return files().stream()
                .map(ServiceDefinitions::stem)
                .filter(Name::isValid)
                .map(Name::of)
                .toList();
    }

    /** @throws dev.metacircular.model.ProblemException NOT_FOUND if there is no file; FAILED if it cannot be read */
    public Parsed<Service> read(Name service) {
        Path file = existing(service);
        return switch (TextFile.read(file)) {
            case Parsed.Valid<String>(String text) -> DefinitionReader.read(file, text);
            case Parsed.Faulty<String>(List<Fault> faults) -> new Parsed.Faulty<>(faults);
        };
    }

    /** What a text would mean as the service's file. */
    public Parsed<Service> check(Name service, String text) {
        return DefinitionReader.read(file(service), text);
    }

    /**
     * Every file of the folder, by name. Besides its own faults, a file has one for each component whose canonical name a
     * component of an earlier file has taken on the same node.
     *
     * @throws dev.metacircular.model.ProblemException FAILED if a file cannot be read
     */
    public List<Definition> readAll() {
        Map<Path, Parsed<DefinitionReader.Placed>> parsed = files().stream()
                .collect(Collectors.toMap(f -> f, ServiceDefinitions::readPlaced, (a, _) -> a, LinkedHashMap::new));
        Map<Holder, ComponentId> holders = new HashMap<>();
        List<Definition> definitions = new ArrayList<>();
        parsed.forEach((file, p) -> {
            List<Fault> clashes = p instanceof Parsed.Valid<DefinitionReader.Placed>(var placed)
                    ? clashes(file, placed, holders)
                    : List.of();
            definitions.add(new Definition(
                    file, clashes.isEmpty() ? p.map(DefinitionReader.Placed::service) : new Parsed.Faulty<>(clashes)));
        });
        return definitions;
    }

    /** The file's text as it stands, for people. */
    public Parsed<String> text(Name service) {
        return TextFile.read(existing(service));
    }

    /**
     * Writes the file of a service that has none.
     *
     * @return the file
     * @throws dev.metacircular.model.ProblemException INVALID if the text has faults, CONFLICT if there is a file, FAILED
     */
    public Path create(Name service, String text) {
        Path file = file(service);
        DefinitionReader.read(file, text).orThrow();
        try {
            AtomicFile.create(file, text);
        } catch (FileAlreadyExistsException _) {
            throw Problem.of(Problem.Kind.CONFLICT, "service '" + service + "' has a definition already")
                    .at(file.toString())
                    .next("look at it, and run the command again: mcp service show " + service)
                    .exception();
        } catch (IOException e) {
            throw TextFile.failed("cannot be written", file, e);
        }
        return file;
    }

    /**
     * Replaces the file of a service.
     *
     * @param expected what it holds until then
     * @throws dev.metacircular.model.ProblemException INVALID if the text has faults, CONFLICT if the file holds something
     *     else than expected, NOT_FOUND, FAILED
     */
    public void replace(Name service, String expected, String text) {
        Path file = existing(service);
        DefinitionReader.read(file, text).orThrow();
        write(file, expected, text);
    }

    /**
     * Sets the desired state of a component in the file, and returns what the file now says.
     *
     * @throws dev.metacircular.model.ProblemException as {@link DefinitionEditor#setDesired} and {@link #replace}
     */
    public Service setDesired(Name service, Name component, Desired desired) {
        Path file = existing(service);
        String text = TextFile.read(file).orThrow();
        return write(file, text, DefinitionEditor.setDesired(file, text, component, desired));
    }

    /**
     * Sets the service's {@code active} key in the file, and returns what the file now says.
     *
     * @throws dev.metacircular.model.ProblemException as {@link DefinitionEditor#setActive} and {@link #replace}
     */
    public Service setActive(Name service, boolean active) {
        Path file = existing(service);
        String text = TextFile.read(file).orThrow();
        return write(file, text, DefinitionEditor.setActive(file, text, active));
    }

    private static Service write(Path file, String expected, String text) {
        try {
            if (!text.equals(expected)) {
                AtomicFile.replace(file, expected, text);
            }
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
        return DefinitionReader.read(file, text).orThrow();
    }

    private Path existing(Name service) {
        Path file = file(service);
        if (!Files.exists(file)) {
            String known = names().stream().map(Name::value).collect(Collectors.joining(", "));
            throw Problem.of(Problem.Kind.NOT_FOUND, "service '" + service + "' has no definition")
                    .at(file.toString())
                    .next(
                            known.isEmpty()
                                    ? "mcp service new " + service + " writes one to begin with"
                                    : "there are definitions of " + known)
                    .exception();
        }
        return file;
    }

    private static Parsed<DefinitionReader.Placed> readPlaced(Path file) {
        return switch (TextFile.read(file)) {
            case Parsed.Valid<String>(String text) -> DefinitionReader.readPlaced(file, text);
            case Parsed.Faulty<String>(List<Fault> faults) -> new Parsed.Faulty<>(faults);
        };
    }

    private record Holder(Name node, String canonicalName) {}

    private static List<Fault> clashes(Path file, DefinitionReader.Placed placed, Map<Holder, ComponentId> holders) {
        List<Fault> clashes = new ArrayList<>();
        for (Service.Entry entry : placed.service().components()) {
            ComponentId id = placed.service().id(entry.component());
            ComponentId holder = holders.putIfAbsent(new Holder(placed.service().node(), id.canonicalName()), id);
            if (holder != null) {
                TomlPosition at = placed.components().getOrDefault(id.component(), Faults.START);
                clashes.add(new Fault(
                        file,
                        at.line(),
                        at.column(),
                        "the canonical name '" + id.canonicalName() + "', which " + holder + " has on node '"
                                + placed.service().node() + "'",
                        "a name that no other component has there"));
            }
        }
        return clashes;
    }

    private static String stem(Path file) {
        String name = String.valueOf(file.getFileName());
        return name.substring(0, name.length() - DefinitionReader.SUFFIX.length());
    }

    private List<Path> files() {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> String.valueOf(f.getFileName()).endsWith(DefinitionReader.SUFFIX)
                            && !String.valueOf(f.getFileName()).startsWith(".")
                            && !Files.isDirectory(f))
                    .sorted()
                    .toList();
        } catch (NoSuchFileException _) {
            return List.of();
        } catch (IOException e) {
            throw TextFile.failed("cannot be listed", folder, e);
        }
    }
}
