package dev.metacircular.definition;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/** Paths in configuration files: relative ones are the file's folder's, a leading {@code ~/} is the user's home. */
final class Paths {
    static final String EXPECTED = "a path of at most " + Limits.PATH_CHARS + " characters";

    private final Path folder;
    private final Optional<Path> home;

    /** @param file absolute */
    Paths(Path file, Optional<Path> home) {
        this.folder = Optional.ofNullable(file.getParent()).orElse(file);
        this.home = home;
    }

    Optional<Path> path(Table table, String key) {
        return table.string(key, EXPECTED, this::resolve);
    }

    Optional<Path> required(Table table, String key) {
        return table.requiredString(key, EXPECTED, this::resolve);
    }

    /** @throws InvalidPathException for what the file system cannot name */
    Optional<Path> resolve(String text) {
        if (text.isEmpty() || text.length() > Limits.PATH_CHARS) {
            return Optional.empty();
        }
        boolean homes = text.equals("~") || text.startsWith("~/");
        return (homes
                        ? home.map(h -> h.resolve(text.substring(Math.min(2, text.length()))))
                        : Optional.of(Path.of(text)))
                .map(p -> folder.resolve(p).normalize());
    }
}
