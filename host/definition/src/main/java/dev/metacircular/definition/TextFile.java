package dev.metacircular.definition;

import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.tomlj.TomlPosition;

/** Text files of bounded size in UTF-8. */
final class TextFile {
    private TextFile() {}

    /** @throws dev.metacircular.model.ProblemException NOT_FOUND; FAILED if the file cannot be read */
    static Parsed<String> read(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(Limits.FILE_BYTES + 1);
        } catch (NoSuchFileException _) {
            throw Problem.of(Problem.Kind.NOT_FOUND, "no such file")
                    .at(file.toString())
                    .exception();
        } catch (IOException e) {
            throw failed("cannot be read", file, e);
        }
        Faults faults = new Faults(file);
        if (bytes.length > Limits.FILE_BYTES) {
            faults.add(Faults.START, "more than " + Limits.FILE_BYTES + " bytes", "a smaller file");
            return faults.faulty();
        }
        Utf8.Decoded text = Utf8.decode(bytes);
        if (!text.complete()) {
            faults.add(end(text.valid()), "a byte that is not UTF-8", "text in UTF-8");
            return faults.faulty();
        }
        return new Parsed.Valid<>(text.valid());
    }

    static RuntimeException failed(String what, Path file, IOException cause) {
        String reason =
                cause.getClass().getSimpleName() + (cause.getMessage() == null ? "" : ": " + cause.getMessage());
        return Problem.of(Problem.Kind.FAILED, what + " (" + reason + ")")
                .at(file.toString())
                .exception();
    }

    private static TomlPosition end(String text) {
        int line = 1 + (int) text.chars().filter(c -> c == '\n').count();
        int start = text.lastIndexOf('\n') + 1;
        return TomlPosition.positionAt(line, 1 + text.codePointCount(start, text.length()));
    }
}
