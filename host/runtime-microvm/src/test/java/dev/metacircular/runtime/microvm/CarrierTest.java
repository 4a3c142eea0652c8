package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Kernel;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.Usage;
import dev.metacircular.vm.Accelerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a VM is carried by: confined, one with the containers of its service, and gone without a trace. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class CarrierTest extends SceneBench {
    @Test
    void theVmmHasNoPrivilegesAndSeesNothingOfTheNodesButItsPrograms() throws IOException {
        // As the agent's own directory: podman's user could read it.
        Path key = Files.writeString(node.folder().resolve("agent.key"), "key");
        InstanceId id = scene.started("web", "talks");
        scene.awaitLog(id, "three");
        Path process = Path.of("/proc").resolve(Long.toString(scene.vmm().pid()));

        String status = Files.readString(process.resolve("status"));
        for (String set : List.of("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")) {
            assertThat(status).contains(set + ":\t0000000000000000\n");
        }
        assertThat(status).contains("NoNewPrivs:\t1\n").contains("Seccomp:\t2\n");
        for (String namespace : List.of("user", "mnt", "pid", "net", "ipc", "uts")) {
            assertThat(Files.readSymbolicLink(process.resolve("ns").resolve(namespace)))
                    .as(namespace)
                    .isNotEqualTo(
                            Files.readSymbolicLink(Path.of("/proc/self/ns").resolve(namespace)));
        }

        Path root = process.resolve("root");
        assertThat(root.resolve("usr/bin")).isDirectory();
        assertThat(root.resolve("image")).exists();
        assertThat(root.resolve(Path.of("/").relativize(key))).doesNotExist();
        try (var all = Files.list(root.resolve("tmp"))) {
            assertThat(all).isEmpty();
        }
        assertThat(Shell.podman("exec", id.value(), "sh", "-c", "cat " + key + " 2>&1 || echo refused"))
                .endsWith("refused\n");
        assertThat(Shell.podman("exec", id.value(), "sh", "-c", "(echo x > /image) 2>&1 || echo refused"))
                .endsWith("refused\n");
        Files.delete(key);
    }

    @Test
    void aSecretIsInOneFileOfModeSixHundredThatGoesWithTheInstance() throws IOException {
        Component component =
                scene.component("web", "reports").secrets(List.of("PASSWORD")).build();
        InstanceId id = scene.runtime().create(scene.spec(component, List.of()));
        scene.runtime().start(id);
        scene.awaitLog(id, "secret=s3cret-word");

        Path directory = scene.directory().path();
        try (var files = Files.walk(directory)) {
            assertThat(files.filter(Files::isRegularFile).filter(CarrierTest::holdsTheSecret))
                    .containsExactly(directory.resolve("root/config"));
        }
        assertThat(Files.getPosixFilePermissions(directory.resolve("root/config")))
                .hasToString("[OWNER_READ, OWNER_WRITE]");
        assertThat(Shell.podman("inspect", id.value())).doesNotContain("s3cret-word");
        assertThat(Files.readString(Path.of("/proc/" + scene.vmm().pid() + "/cmdline")))
                .doesNotContain("s3cret-word");
        scene.runtime().remove(id);
        assertThat(directory).doesNotExist();
    }

    private static boolean holdsTheSecret(Path file) {
        try {
            return new String(Files.readAllBytes(file), java.nio.charset.StandardCharsets.ISO_8859_1)
                    .contains("s3cret-word");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aContainerAndAVmReachEachOtherByName() {
        InstanceId vm = scene.started("web", "serves");
        HealthCheck check = new HealthCheck.Tcp(8080, Duration.ofSeconds(5));
        Scene.await(
                "the VM's answer",
                () -> scene.runtime().probe(vm, check, Duration.ofSeconds(5)) instanceof ProbeResult.Healthy);
        String container = "c-" + scene.network().name().replace('.', '-');
        // The image that rootless-podman-env tries podman with, and the node's bash: a static busybox resolves no
        // names.
        Shell.podman(
                "run",
                "--detach",
                "--name=" + container,
                "--log-driver=k8s-file",
                "--network=" + scene.network().name(),
                "--network-alias=api",
                "--volume=/usr:/usr:ro",
                "--volume=/usr/lib:/lib:ro",
                "--volume=/usr/lib64:/lib64:ro",
                "localhost/metacircular-probe",
                "/bin/busybox",
                "httpd",
                "-f",
                "-p",
                "8080");
        try {
            String ask = "exec 3<>/dev/tcp/web/8080; printf 'GET /ok HTTP/1.0\\r\\n\\r\\n' >&3; timeout 20 cat <&3";
            assertThat(Shell.podman("exec", container, "/usr/bin/bash", "-c", ask))
                    .contains("200 OK")
                    .endsWith("ok\n");
            InstanceId asker = scene.started("worker", "ask", "api", "8080");
            scene.awaitLog(asker, "HTTP/1.");
        } finally {
            Shell.podman("rm", "-f", "-t", "0", container);
        }
    }

    @Test
    void aVmFindsAnotherOnceItIsThere() {
        InstanceId asking = scene.started("web", "ask", "worker", "8080");
        // Asked for before it is there, then found: the name and what it leads to come with the component.
        scene.awaitLog(asking, "NotFound");
        scene.started("worker", "serves");
        scene.awaitLog(asking, "HTTP/1.1 404 Not Found");
    }

    @Test
    void whatACrashLeftIsCollectedAndWhatIsInUseIsNot() throws IOException {
        InstanceId kept = scene.created("web", "runs");
        Path left = Files.createDirectories(node.vms().resolve("shop-web-00000000-00000000/root"));
        Path other = scene.directory().path();

        scene.runtime().collect();
        assertThat(left.getParent()).doesNotExist();
        assertThat(other).exists();
        scene.runtime().start(kept);

        Shell.podman("rm", "-f", "-t", "0", kept.value());
        try (MicrovmRuntime later = node.reopened(node.node())) {
            later.collect();
        }
        assertThat(other).doesNotExist();
    }

    @Test
    void measuresTheVmm() {
        InstanceId id = scene.started("web", "talks");
        scene.awaitLog(id, "three");
        Map<InstanceId, Usage> usage = scene.runtime().usage();
        assertThat(usage).containsOnlyKeys(id).allSatisfy((_, taken) -> {
            assertThat(taken.memoryBytes()).isBetween(10L << 20, 400L << 20);
            assertThat(taken.cpu()).isBetween(Duration.ofMillis(10), Duration.ofMinutes(5));
        });
    }

    @Test
    void saysWhatItRunsOnAndWhatIsMissing() {
        assertThat(scene.runtime().availability()).isInstanceOfSatisfying(Availability.Available.class, available -> {
            assertThat(available.version()).matches("QEMU [0-9.]+ in podman [0-9.]+");
            assertThat(available.accelerator()).isEqualTo("emulation");
        });
        try (MicrovmRuntime without = node.reopened(node.node(), "/nowhere", Optional.of(Accelerator.EMULATION))) {
            assertThat(without.availability())
                    .isEqualTo(new Availability.Unavailable(
                            "there is no qemu-system-x86_64 on the search path: apt-get install qemu-system-x86"));
            RuntimeFailure failure = catchThrowableOfType(
                    RuntimeFailure.class,
                    () -> without.create(
                            scene.spec(scene.component("web", "runs").build(), List.of())));
            assertThat(failure.kind()).isEqualTo(Kind.UNSUPPORTED);
        }
    }

    @Test
    void refusesWhatAVmCannotBe() {
        InstanceSpec plain = scene.spec(scene.component("web", "runs").build(), List.of());
        assertRefused(
                scene.spec(
                        scene.component("web", "runs")
                                .kernel(Kernel.NANOS)
                                .memoryMb(128)
                                .build(),
                        List.of()),
                Kind.UNSUPPORTED,
                "kernel = \"nanos\" needs NanoVMs' ops");
        assertRefused(
                scene.spec(scene.component("web", "runs").build(), List.of(node.folder())),
                Kind.INVALID,
                "truncate -s 1G " + node.folder());
        assertRefused(
                new InstanceSpec(
                        plain.identity(),
                        plain.component(),
                        plain.imageId(),
                        List.of(
                                plain.networks().getFirst(),
                                new InstanceSpec.Attachment(new Network("shared"), List.of("web"))),
                        List.of(),
                        Map.of(),
                        true),
                Kind.UNSUPPORTED,
                "one network interface");
        assertRefused(
                scene.spec(
                        scene.component("web", "runs")
                                .env(List.of("LONG=" + "x".repeat(64 << 10)))
                                .build(),
                        List.of()),
                Kind.INVALID,
                "65");
        assertThat(scene.runtime().list()).isEmpty();
    }

    private void assertRefused(InstanceSpec spec, Kind kind, String part) {
        RuntimeFailure failure =
                catchThrowableOfType(RuntimeFailure.class, () -> scene.runtime().create(spec));
        assertThat(failure.kind()).isEqualTo(kind);
        assertThat(failure).hasMessageStartingWith("cannot create ").hasMessageContaining(part);
    }
}
