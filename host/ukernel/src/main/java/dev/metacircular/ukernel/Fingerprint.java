package dev.metacircular.ukernel;

import dev.metacircular.image.Digest;
import dev.metacircular.model.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a step was made of, as a digest: the names and contents of files, and words. Equal digests mean that the step has nothing
 * to do.
 */
final class Fingerprint {
    private static final int BUFFER_BYTES = 1 << 16;

    private final MessageDigest digest = Digest.sha256();

    /** Adds a word. */
    Fingerprint add(String word) {
        byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
        digest.update((bytes.length + ":").getBytes(StandardCharsets.UTF_8));
        digest.update(bytes);
        return this;
    }

    /** Adds a file's content, or that there is none. */
    Fingerprint addFile(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            MessageDigest own = Digest.sha256();
            byte[] buffer = new byte[BUFFER_BYTES];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                own.update(buffer, 0, read);
            }
            return add(Digest.finish(own).toString());
        } catch (NoSuchFileException e) {
            return add("absent");
        } catch (IOException e) {
            throw cannotRead(file, e);
        }
    }

    /** Adds names, contents and execute permissions of all files below a folder, or that there is none. */
    Fingerprint addFolder(Path folder) {
        if (!Files.isDirectory(folder)) {
            return add("absent");
        }
        List<Path> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files = all.sorted().toList();
        } catch (IOException e) {
            throw cannotRead(folder, e);
        }
        for (Path file : files) {
            add(folder.relativize(file).toString());
            if (Files.isSymbolicLink(file)) {
                try {
                    add("link").add(Files.readSymbolicLink(file).toString());
                } catch (IOException e) {
                    throw cannotRead(file, e);
                }
            } else if (Files.isRegularFile(file)) {
                add(Files.isExecutable(file) ? "program" : "file").addFile(file);
            }
        }
        return this;
    }

    /** The digest of all that was added. */
    String text() {
        return Digest.finish(digest).hex();
    }

    private static RuntimeException cannotRead(Path file, IOException e) {
        return Problem.of(Problem.Kind.FAILED, "cannot read it (" + e + ")")
                .at(file.toString())
                .exception();
    }

    /** A file that remembers the fingerprint of the last complete step. */
    record Stamp(Path file) {
        boolean holds(String fingerprint) {
            try {
                return Files.readString(file).equals(fingerprint);
            } catch (IOException e) {
                return false;
            }
        }

        void clear() throws IOException {
            Files.deleteIfExists(file);
        }

        void write(String fingerprint) throws IOException {
            Files.writeString(file, fingerprint);
        }
    }
}
