package dev.metacircular.agent;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RotatedFileTest {
    private static final int LINE_BYTES = 10;

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    private static byte[] line(int number) {
        return "line %04d\n".formatted(number).getBytes(UTF_8);
    }

    private String read(String name) throws IOException {
        return Files.readString(directory.resolve(name));
    }

    @Test
    void soManyFilesOfSoManyBytesAreKept() throws IOException {
        try (RotatedFile log = new RotatedFile(directory.resolve("log"), 2 * LINE_BYTES, 3)) {
            for (int i = 1; i <= 7; i++) {
                log.write(line(i));
            }
        }
        assertThat(read("log")).isEqualTo("line 0007\n");
        assertThat(read("log.1")).isEqualTo("line 0005\nline 0006\n");
        assertThat(read("log.2")).isEqualTo("line 0003\nline 0004\n");
        assertThat(directory.resolve("log.3")).doesNotExist();
    }

    @Test
    void aRotationThatFailedLosesNoOlderFileAndTheNextLineIsWritten() throws IOException {
        try (RotatedFile log = new RotatedFile(directory.resolve("log"), LINE_BYTES, 5)) {
            for (int i = 1; i <= 3; i++) {
                log.write(line(i));
            }
            // Somebody took it away: there is nothing to rotate.
            Files.delete(directory.resolve("log"));
            assertThatThrownBy(() -> log.write(line(4))).isInstanceOf(NoSuchFileException.class);
            for (int i = 5; i <= 6; i++) {
                log.write(line(i));
            }
        }
        assertThat(read("log")).isEqualTo("line 0006\n");
        assertThat(read("log.1")).isEqualTo("line 0005\n");
        assertThat(read("log.2")).isEqualTo("line 0002\n");
        assertThat(read("log.3")).isEqualTo("line 0001\n");
    }
}
