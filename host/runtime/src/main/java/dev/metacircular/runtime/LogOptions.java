package dev.metacircular.runtime;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a log's reader wants.
 *
 * @param follow whether to go on with lines as they are written
 * @param tail so many of the last lines, empty for all
 */
public record LogOptions(boolean follow, Optional<Instant> since, OptionalInt tail) {
    public static LogOptions lastLines(int lines) {
        return new LogOptions(false, Optional.empty(), OptionalInt.of(lines));
    }
}
