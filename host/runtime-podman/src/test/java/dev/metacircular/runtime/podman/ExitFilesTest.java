package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.InstanceId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class ExitFilesTest {
    private static final String CONTAINER = "0123456789abcdef".repeat(4);

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path user;

    private final BlockingQueue<InstanceId> told = new LinkedBlockingQueue<>();

    private final Kinds kinds = new Kinds(RuntimeKind.CONTAINER);

    private ExitFiles watching() {
        return new ExitFiles(user.resolve("podman/podman.sock"), kinds, new Events.Listener() {
            @Override
            public void changed(InstanceId instance) {
                told.add(instance);
            }

            @Override
            public void gap() {}
        });
    }

    private Optional<InstanceId> toldAfterAnEnd() throws IOException, InterruptedException {
        Path exits = Files.createDirectories(user.resolve("libpod/tmp/exits"));
        for (int tries = 0; tries < 100; tries++) {
            Files.writeString(exits.resolve(CONTAINER), "137");
            InstanceId first = told.poll(500, TimeUnit.MILLISECONDS);
            if (first != null) {
                return Optional.of(first);
            }
            Files.delete(exits.resolve(CONTAINER));
        }
        return Optional.empty();
    }

    @Test
    void tellsOfAContainerWhoseExitFileIsWritten() throws IOException, InterruptedException {
        Files.createDirectories(user.resolve("libpod/tmp/exits"));
        try (ExitFiles _ = watching()) {
            assertThat(toldAfterAnEnd()).contains(new InstanceId(RuntimeKind.CONTAINER, CONTAINER));
        }
    }

    @Test
    void findsTheDirectoryThatPodmanMakesLater() throws IOException, InterruptedException {
        try (ExitFiles _ = watching()) {
            assertThat(toldAfterAnEnd()).contains(new InstanceId(RuntimeKind.CONTAINER, CONTAINER));
        }
    }

    @Test
    void passesOverWhatIsNoContainer() throws IOException, InterruptedException {
        String carrier = "c".repeat(64);
        kinds.know(new InstanceId(RuntimeKind.UNIKERNEL, carrier));
        try (ExitFiles _ = watching()) {
            assertThat(toldAfterAnEnd()).isPresent();
            Path exits = user.resolve("libpod/tmp/exits");
            Files.writeString(exits.resolve(carrier), "0");
            Files.writeString(exits.resolve(CONTAINER + ".tmp"), "0");
            Files.writeString(exits.resolve("f".repeat(64)), "0");
            InstanceId next = told.poll(60, TimeUnit.SECONDS);
            // An end that was written more than once may be told more than once.
            while (next != null && next.value().equals(CONTAINER)) {
                next = told.poll(60, TimeUnit.SECONDS);
            }
            assertThat(next).isEqualTo(new InstanceId(RuntimeKind.CONTAINER, "f".repeat(64)));
        }
    }
}
