package dev.metacircular.definition;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.tomlj.TomlPosition;

/** Collects what is wrong with one file. */
final class Faults {
    static final TomlPosition START = TomlPosition.positionAt(1, 1);

    private final Path file;
    private final List<Fault> found = new ArrayList<>();
    private final Set<Integer> brokenLines = new HashSet<>();

    Faults(Path file) {
        this.file = file;
    }

    void add(TomlPosition at, String what, String expected) {
        if (!brokenLines.contains(at.line())) {
            found.add(new Fault(file, at.line(), at.column(), what, expected));
        }
    }

    /** What is absent is not reported once the syntax has faults: it may well stand where the parser lost its way. */
    void addMissing(TomlPosition at, String key, String expected) {
        if (brokenLines.isEmpty()) {
            add(at, "no key '" + key + "'", expected);
        }
    }

    /** Of one line only the first fault of syntax is kept, and nothing else: the rest follows from it. */
    void addSyntax(TomlPosition at, String what, String expected) {
        if (brokenLines.add(at.line())) {
            found.add(new Fault(file, at.line(), at.column(), what, expected));
        }
    }

    boolean isEmpty() {
        return found.isEmpty();
    }

    <T> Parsed<T> faulty() {
        return new Parsed.Faulty<>(found);
    }

    /** A value for a message: quoted, printable and short. */
    static String quote(String value) {
        StringBuilder out = new StringBuilder("'");
        int[] points = value.codePoints().limit(Limits.QUOTED_CHARS).toArray();
        for (int c : points) {
            if (Character.isISOControl(c) || Character.getType(c) == Character.FORMAT) {
                out.append(String.format("\\u%04x", c));
            } else {
                out.appendCodePoint(c);
            }
        }
        return out.append(value.codePointCount(0, value.length()) > points.length ? "…'" : "'")
                .toString();
    }
}
