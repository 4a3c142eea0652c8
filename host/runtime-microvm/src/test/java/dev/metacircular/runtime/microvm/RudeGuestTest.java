package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.InstanceId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Guests that do not behave, and VMMs that die: contained, visible, stoppable. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class RudeGuestTest extends SceneBench {
    private static final long MEBIBYTE = 1 << 20;
    /** What podman keeps of a log, and what it may hold when it notices. */
    private static final long LOG_MAX = 11 * MEBIBYTE;

    @Test
    void oneThatHangsIsEndedByForce() {
        InstanceId id = scene.started("web", "hang");
        scene.awaitLog(id, "computing for ever");
        scene.runtime().stop(id, Duration.ofSeconds(1));
        assertThat(scene.awaitEnd(id)).isEqualTo(137);
    }

    @Test
    void oneThatPanicsEndsWithItsStatusAndItsLastWords() {
        InstanceId id = scene.started("web", "panic");
        assertThat(scene.awaitEnd(id)).isEqualTo(139);
        assertThat(scene.log(id)).contains("writing to nowhere").noneMatch(line -> line.contains("\r"));
    }

    @Test
    void theLogOfOneThatFloodsItsConsoleStaysBoundedAndItCanBeStopped() throws IOException {
        InstanceId id = scene.started("web", "flood");
        Path log = Path.of(Shell.podman("inspect", id.value(), "--format", "{{.HostConfig.LogConfig.Path}}")
                .strip());
        long longest = 0;
        Instant end = Instant.now().plusSeconds(90);
        for (long now = 0; now >= longest; now = Files.exists(log) ? Files.size(log) : 0) {
            longest = now;
            assertThat(Instant.now())
                    .as("waiting for the log to begin anew at " + now)
                    .isBefore(end);
            Scene.pause(Duration.ofMillis(100));
        }
        assertThat(longest).isBetween(MEBIBYTE, LOG_MAX);
        scene.runtime().stop(id, Duration.ofSeconds(20));
        assertThat(scene.awaitEnd(id))
                .as("it took no notice of the stop, so the kernel ended it")
                .isEqualTo(143);
    }

    @Test
    void oneThatFillsItsDiskGetsNoMoreThanTheDisk() throws IOException {
        Path disk = Files.write(node.folder().resolve("disk"), new byte[(int) MEBIBYTE]);
        Files.setPosixFilePermissions(disk, PosixFilePermissions.fromString("rw-rw-rw-"));
        InstanceId id =
                scene.runtime().create(scene.spec(scene.component("web", "fill").build(), java.util.List.of(disk)));
        scene.runtime().start(id);
        scene.awaitLog(id, "behind the end");
        assertThat(scene.log(id)).contains("fill: wrote " + MEBIBYTE + " of " + MEBIBYTE + " bytes");
        assertThat(disk).hasSize(MEBIBYTE);
        assertThat(Files.readAllBytes(disk)).containsOnly('f');
        Files.delete(disk);
    }

    @Test
    void theDeathOfTheVmmIsNoticedAndTheVmCanBeStartedAgain() {
        InstanceId id = scene.started("web", "talks");
        scene.awaitLog(id, "three");
        assertThat(scene.vmm().destroyForcibly()).isTrue();
        assertThat(scene.awaitEnd(id)).isEqualTo(137);
        assertThat(scene.log(id)).contains("microVM: the VMM ended with status 137");
        scene.runtime().start(id);
        Scene.await(
                "six lines",
                () -> scene.log(id).stream().filter("three"::equals).count() == 2);
        assertThat(scene.state(id)).isInstanceOf(InstanceState.Running.class);
    }
}
