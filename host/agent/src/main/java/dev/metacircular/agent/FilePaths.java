package dev.metacircular.agent;

import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Paths below a service's folder, as callers give them. */
final class FilePaths {
    private static final int MAX_BYTES = 4_000;
    private static final int MAX_PART_BYTES = 255;

    private FilePaths() {}

    /**
     * The path without empty and {@code .} parts.
     *
     * @throws ProblemException {@code INVALID} for one that is empty, absolute or too long, has {@code ..}, control characters, or was no UTF-8
     */
    static String checked(String path) {
        if (path.startsWith("/")) {
            throw refused("it is absolute: give a path below the service's folder");
        }
        if (path.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
            throw refused("it is longer than " + MAX_BYTES + " bytes");
        }
        path.codePoints().forEach(FilePaths::checkCharacter);
        List<String> parts = new ArrayList<>();
        for (String part : path.split("/", -1)) {
            if (part.equals("..")) {
                throw refused("it has '..'");
            }
            if (part.getBytes(StandardCharsets.UTF_8).length > MAX_PART_BYTES) {
                throw refused("a part of it is longer than " + MAX_PART_BYTES + " bytes");
            }
            if (part.startsWith(FileHelper.UNFINISHED)) {
                throw refused("names that begin with " + FileHelper.UNFINISHED + " are those of unfinished files");
            }
            if (!part.isEmpty() && !part.equals(".")) {
                parts.add(part);
            }
        }
        if (parts.isEmpty() || path.endsWith("/") || path.endsWith("/.")) {
            throw refused("it names no file");
        }
        return String.join("/", parts);
    }

    private static void checkCharacter(int c) {
        if (Character.isISOControl(c)) {
            throw refused("it has a control character (line breaks are some)");
        }
        if (c == 0xFFFD || (c >= 0xD800 && c <= 0xDFFF)) {
            throw refused("it is not UTF-8");
        }
    }

    private static ProblemException refused(String why) {
        return Problem.of(Problem.Kind.INVALID, "the path is refused: " + why)
                .next("give SERVICE:PATH, with a path below the service's folder")
                .exception();
    }
}
