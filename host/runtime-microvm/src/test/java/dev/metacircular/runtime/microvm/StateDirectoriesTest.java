package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class StateDirectoriesTest {
    @TempDir
    private Path folder;

    /** In a process that may write no file as large as a channel: makes a directory and tells how that fails. */
    static final class Cramped {
        private Cramped() {}

        public static void main(String[] arguments) {
            Path folder = Path.of(arguments[0]);
            try {
                new StateDirectories(folder.resolve("vms"))
                        .make("key", folder.resolve("image"), new byte[0], Optional.empty(), 0);
            } catch (RuntimeFailure e) {
                System.out.println(e.kind() + " " + e.getMessage());
            }
        }
    }

    @Test
    void aChannelThatHasNoRoomIsAFailureLikeAnother() throws IOException {
        Files.writeString(folder.resolve("image"), "image");
        String said = Shell.run(
                "prlimit",
                "--fsize=100000",
                ProcessHandle.current().info().command().orElseThrow(),
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                Cramped.class.getName(),
                folder.toString());
        assertThat(said)
                .startsWith("FAILED cannot make the VM's state directory ")
                .contains("File too large");
    }
}
