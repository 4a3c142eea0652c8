package dev.metacircular.definition;

import java.nio.file.Path;
import java.util.Comparator;

/**
 * One thing that is wrong in one file.
 *
 * @param line from 1
 * @param column from 1, counted in Unicode code points
 * @param found what stands there
 * @param expected what should
 */
public record Fault(Path file, int line, int column, String found, String expected) implements Comparable<Fault> {
    private static final Comparator<Fault> ORDER = Comparator.comparing(Fault::file)
            .thenComparingInt(Fault::line)
            .thenComparingInt(Fault::column)
            .thenComparing(Fault::found)
            .thenComparing(Fault::expected);

    /** What is wrong, without the position. */
    public String message() {
        return found + ": expected " + expected;
    }

    @Override
    public int compareTo(Fault other) {
        return ORDER.compare(this, other);
    }

    /** {@code file:line:column: message}. */
    @Override
    public String toString() {
        return file + ":" + line + ":" + column + ": " + message();
    }
}
