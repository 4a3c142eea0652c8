package dev.metacircular.definition;

import java.nio.file.Path;
import java.util.function.Function;
import java.util.function.Supplier;

/** Reads a TOML 1.1 file whose keys another module knows, with every fault at its position. */
public final class TomlFile {
    private TomlFile() {}

    /**
     * Reads the file as a whole.
     *
     * @param reader reads the root table and records further faults; what it returns is asked for only if there are none at all
     * @throws dev.metacircular.model.ProblemException NOT_FOUND if there is no file; FAILED if it cannot be read
     */
    public static <T> Parsed<T> read(Path file, Function<Table, Supplier<T>> reader) {
        return switch (TextFile.read(file)) {
            case Parsed.Valid<String>(String text) -> Source.read(text, Limits.FILE_BYTES, reader, new Faults(file));
            case Parsed.Faulty<String> faulty -> new Parsed.Faulty<>(faulty.faults());
        };
    }
}
