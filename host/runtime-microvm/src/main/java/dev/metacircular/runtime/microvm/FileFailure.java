package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;

/** What is said of a file that cannot be read or written. */
final class FileFailure {
    private FileFailure() {}

    /** @param what was not possible, such as {@code make FILE} */
    static RuntimeFailure of(String what, IOException e) {
        String why = String.valueOf(e.getMessage());
        return new RuntimeFailure(
                kind(why),
                "cannot " + what + ": " + e.getClass().getSimpleName() + " " + why.replaceAll("[\\p{Cntrl}\\s]+", " "),
                e);
    }

    /** By what a failure says of itself: whether there was no room, or something else. */
    static Kind kind(String why) {
        return why.contains("No space left") || why.contains("quota") ? Kind.EXHAUSTED : Kind.FAILED;
    }
}
