package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a start refuses, and what a creation that failed leaves. */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class PodmanStartTest {
    private static final int MORE_THAN_PODMAN_TAKES = 600_000;

    private TestNode node;

    @BeforeAll
    void open() {
        node = new TestNode();
    }

    @AfterAll
    void close() {
        node.close();
    }

    private InstanceSpec spec(String name, List<InstanceSpec.Mount> mounts, Map<String, String> secrets) {
        Component component = Component.builder(name, node.image().toString())
                .command(node.command(Workload.RUNS))
                .secrets(List.copyOf(secrets.keySet()))
                .build();
        return new InstanceSpec(
                new Identity(node.node(), ComponentId.of(node.node().value(), name), 1, "d"),
                component,
                node.runtime().image(node.image()).orElseThrow().id(),
                List.of(),
                mounts,
                secrets,
                true);
    }

    @Test
    void aFolderThatALinkTookThePlaceOfIsNotMountedAtTheNextStart(@TempDir Path scratch) throws IOException {
        Path root = scratch.toRealPath();
        Files.setPosixFilePermissions(root, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path folder = Files.createDirectories(root.resolve("data/up"));
        Path hidden = Files.createDirectory(root.resolve("hidden"));
        InstanceId id =
                node.runtime().create(spec("mounts", List.of(new InstanceSpec.Mount(folder, "/u", false)), Map.of()));
        node.runtime().start(id);
        node.runtime().stop(id, Duration.ZERO);
        Files.delete(folder);
        Files.createSymbolicLink(folder, hidden);

        for (Runtime runtime : List.of(node.runtime(), node.reopened(node.node()))) {
            RuntimeFailure failure = catchThrowableOfType(RuntimeFailure.class, () -> runtime.start(id));
            assertThat(failure).isNotNull();
            assertThat(failure.kind()).isEqualTo(Kind.CONFLICT);
            assertThat(failure).hasMessageContaining(folder + " leads to " + hidden + " now, by a link");
        }
        assertThat(node.runtime().inspect(id).orElseThrow().state()).isInstanceOf(InstanceState.Ended.class);

        Files.delete(folder);
        Files.createDirectory(folder);
        node.runtime().start(id);
        assertThat(node.runtime().inspect(id).orElseThrow().state()).isInstanceOf(InstanceState.Running.class);
        node.runtime().remove(id);
    }

    @Test
    void whereOneSecretCannotBeStoredNoneStays() {
        RuntimeFailure failure = catchThrowableOfType(
                RuntimeFailure.class,
                () -> node.runtime()
                        .create(spec(
                                "secrets", List.of(), Map.of("A", "first", "B", "x".repeat(MORE_THAN_PODMAN_TAKES)))));
        assertThat(failure).isNotNull().hasMessageContaining("store the secret B");
        assertThat(node.podman("secret", "ls", "--format", "{{.Name}}")).doesNotContain(Secrets.prefix(node.node()));
    }
}
