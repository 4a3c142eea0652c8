package dev.metacircular.definition;

import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.Service;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Changes one value in the text of a definition and leaves every other character as it is. Each result has been read
 * again, and differs from the original in that value alone.
 */
public final class DefinitionEditor {
    private DefinitionEditor() {}

    /**
     * Sets a component's {@code desired} key, which is inserted below its name if it is absent and not the default.
     *
     * @throws dev.metacircular.model.ProblemException INVALID if the text has faults, NOT_FOUND if it lacks the component,
     *     UNSUPPORTED if it is written in a way that this cannot change, such as inline tables
     */
    public static String setDesired(Path file, String text, Name component, Desired desired) {
        Service before = DefinitionReader.read(file, text).orThrow();
        int index = IntStream.range(0, before.components().size())
                .filter(i -> before.components().get(i).component().name().equals(component))
                .findFirst()
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.NOT_FOUND,
                                "service '" + before.name() + "' has no component '" + component + "'")
                        .at(file.toString())
                        .exception());
        if (before.components().get(index).desired() == desired) {
            return text;
        }
        Service wanted = withDesired(before, component, desired);
        return checked(file, wanted, "desired", () -> {
            List<Statements.Statement> keys = componentKeys(
                    Statements.of(text), index, before.components().size());
            return set(text, keys, "desired", TomlText.string(desired.toString()), "name");
        });
    }

    /**
     * Sets the service's {@code active} key, which is inserted below {@code node} if it is absent and not the default.
     *
     * @throws dev.metacircular.model.ProblemException as {@link #setDesired}
     */
    public static String setActive(Path file, String text, boolean active) {
        Service before = DefinitionReader.read(file, text).orThrow();
        if (before.active() == active) {
            return text;
        }
        return checked(file, withActive(before, active), "active", () -> {
            List<Statements.Statement> keys = keysFrom(Statements.of(text), 0);
            return set(text, keys, "active", Boolean.toString(active), "node");
        });
    }

    private static List<Statements.Statement> componentKeys(
            List<Statements.Statement> statements, int index, int components) {
        int[] headers = IntStream.range(0, statements.size())
                .filter(i -> statements.get(i).kind() == Statements.Kind.ARRAY_TABLE
                        && statements.get(i).keys().equals(List.of("components")))
                .toArray();
        if (headers.length != components) {
            throw new IllegalArgumentException("'components' is not written as [[components]] tables");
        }
        return keysFrom(statements, headers[index] + 1);
    }

    private static List<Statements.Statement> keysFrom(List<Statements.Statement> statements, int first) {
        return statements.subList(first, statements.size()).stream()
                .takeWhile(s -> s.kind() == Statements.Kind.KEY)
                .toList();
    }

    private static String set(
            String text, List<Statements.Statement> keys, String key, String value, String insertBelow) {
        return keys.stream()
                .filter(s -> s.keys().equals(List.of(key)))
                .findFirst()
                .map(s -> TextEdit.replace(text, s.valueStart(), s.end(), value))
                .orElseGet(() -> keys.stream()
                        .filter(s -> s.keys().equals(List.of(insertBelow)))
                        .findFirst()
                        .map(s -> TextEdit.insertBelow(text, s, key, value))
                        .orElseThrow(() -> new IllegalArgumentException(
                                "'" + insertBelow + "' does not stand on a line of its own")));
    }

    private static String checked(Path file, Service wanted, String key, Supplier<String> edit) {
        String why = "the result would mean something else";
        try {
            String edited = edit.get();
            if (DefinitionReader.read(file, edited) instanceof Parsed.Valid<Service>(Service after)
                    && after.equals(wanted)) {
                return edited;
            }
        } catch (IllegalArgumentException e) {
            why = String.valueOf(e.getMessage());
        }
        throw Problem.of(Problem.Kind.UNSUPPORTED, "'" + key + "' cannot be set in this file: " + why)
                .at(file.toString())
                .next("edit the file by hand, or write each component as a [[components]] table")
                .exception();
    }

    private static Service withDesired(Service s, Name component, Desired desired) {
        return withComponents(
                s,
                s.active(),
                s.components().stream()
                        .map(e ->
                                e.component().name().equals(component) ? new Service.Entry(e.component(), desired) : e)
                        .toList());
    }

    private static Service withActive(Service s, boolean active) {
        return withComponents(s, active, s.components());
    }

    private static Service withComponents(Service s, boolean active, List<Service.Entry> components) {
        return new Service(s.name(), s.node(), active, s.path(), s.buildImages(), components);
    }
}
