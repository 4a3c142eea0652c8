package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.model.Component;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;

/** Components on the real Nanos, built by the real {@code ops}: they keep what those on our own kernel keep. */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class NanosVmTest {
    private static final String SECRET = "s3cret-word";

    private MicrovmNode node;
    private Scene scene;
    private Image image;

    @BeforeAll
    void open() throws IOException {
        Optional<NanosTools> tools = NanosTools.named();
        if (tools.isEmpty()) {
            System.out.println("NOT RUN: NanosVmTest: " + NanosTools.NOT_RUN);
        }
        assumeTrue(tools.isPresent(), "NOT RUN: " + NanosTools.NOT_RUN);
        node = new MicrovmNode(tools);
        image = node.pulled(
                "linux-program",
                new OciImages.Recipe()
                        .entrypoint("/app/linux-program")
                        .cmd("of", "the image")
                        .env("FROM_IMAGE=yes")
                        .workingDirectory("/srv/data")
                        .layer(new TarWriter()
                                .file("app/linux-program", 0755, program())
                                .file("usr/etc-told", "a file")
                                .folder("tmp")
                                .folder("etc")
                                .link("etc/told", "/usr/etc-told")
                                .link("etc/nowhere", "/run/nowhere")
                                .link("etc/resolv.conf", "../run/resolv.conf")));
    }

    private byte[] program() throws IOException {
        Path folder = node.folder();
        Path source = folder.resolve("linux-program.c");
        try (InputStream text = NanosVmTest.class.getResourceAsStream("linux-program.c")) {
            Files.copy(java.util.Objects.requireNonNull(text), source, StandardCopyOption.REPLACE_EXISTING);
        }
        Path program = folder.resolve("linux-program");
        Shell.run("gcc", "-static", "-O1", "-w", "-o", program.toString(), source.toString());
        return Files.readAllBytes(program);
    }

    @AfterAll
    void close() {
        if (node != null) {
            try (MicrovmNode closing = node) {
                assertThat(closing.leftovers()).isEmpty();
            }
        }
    }

    @BeforeEach
    void begin() {
        scene = new Scene(node);
    }

    @AfterEach
    void end() {
        scene.close();
    }

    private Component.Builder component(String name, String... command) {
        return scene.component(name, command).kernel(Kernel.NANOS).memoryMb(128);
    }

    private InstanceSpec spec(Component component) {
        InstanceSpec ours = scene.spec(component, List.of());
        return new InstanceSpec(
                ours.identity(), component, image.id(), ours.networks(), List.of(), ours.secrets(), true);
    }

    private InstanceId started(Component component) {
        InstanceId id = scene.runtime().create(spec(component));
        scene.runtime().start(id);
        return id;
    }

    @Test
    void theProgramHasItsArgumentsVariablesFolderAndFiles() {
        assertThat(scene.runtime().refusal(component("web").build())).isEmpty();
        InstanceId id = started(component("web")
                .env(List.of("GIVEN=it's = this"))
                .secrets(List.of("PASSWORD"))
                .build());
        assertThat(scene.awaitEnd(id)).isZero();
        assertThat(scene.log(id))
                .contains(
                        "argument /app/linux-program",
                        "argument of",
                        "argument the image",
                        "variable FROM_IMAGE=yes",
                        "variable GIVEN=it's = this",
                        "variable PASSWORD=" + SECRET,
                        "folder /srv/data",
                        "file a file",
                        "written before no",
                        "writes yes")
                .noneMatch(line -> line.contains("OPS_VERSION"));
        // What it wrote was its own for one run, as with our own kernel.
        scene.runtime().start(id);
        Scene.await(
                "a second run",
                () -> scene.log(id).stream().filter("written before no"::equals).count() == 2);
        assertThat(scene.awaitEnd(id)).isZero();
    }

    @Test
    void itsExitStatusIsTold() {
        InstanceId id = started(component("web", "exit", "3").build());
        assertThat(scene.awaitEnd(id)).isEqualTo(3);
        InstanceId other = started(component("worker", "exit", "68").build());
        // QEMU ends with 137 then, as one that is killed does.
        assertThat(scene.awaitEnd(other)).isEqualTo(68);
    }

    @Test
    void aVmmThatIsKilledIsNoEndOfTheProgram() {
        InstanceId id = started(component("web", "serve", "8080").build());
        scene.awaitLog(id, "serves 8080");
        scene.vmm().destroyForcibly();
        assertThat(scene.awaitEnd(id)).isEqualTo(137);
        scene.runtime().start(id);
        Scene.await("it again", () -> scene.state(id) instanceof InstanceState.Running);
        awaitHealthy(id);
    }

    @Test
    void aStopIsAskedForFirst() {
        InstanceId id = started(component("web", "serve", "8080").build());
        scene.awaitLog(id, "serves 8080");
        scene.runtime().stop(id, Duration.ofSeconds(30));
        assertThat(scene.log(id)).contains("asked to end");
        assertThat(scene.awaitEnd(id)).isEqualTo(7);
    }

    private void awaitHealthy(InstanceId id) {
        HealthCheck check = new HealthCheck.Tcp(8080, Duration.ofSeconds(5));
        Scene.await(
                "its answer",
                () -> scene.runtime().probe(id, check, Duration.ofSeconds(5)) instanceof ProbeResult.Healthy);
    }

    @Test
    void itsPortIsPublishedAndItAndAContainerReachEachOtherByName() throws IOException {
        int port = node.freePort();
        InstanceId vm = started(component("web", "serve", "8080")
                .ports(List.of(PortMapping.parse("127.0.0.1:" + port + ":8080")))
                .build());
        awaitHealthy(vm);
        assertThat(answer(port)).startsWith("HTTP/1.0 200 OK").endsWith("from a guest");
        String container = "c-" + scene.network().name().replace('.', '-');
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
                    .endsWith("from a guest");
            InstanceId asker = started(component("worker", "ask", "api", "8080").build());
            scene.awaitLog(asker, "api answers HTTP/1.");
            assertThat(scene.awaitEnd(asker)).isZero();
            InstanceId ours = scene.started("third", "ask", "web", "8080");
            scene.awaitLog(ours, "HTTP/1.0 200 OK");
        } finally {
            Shell.podman("rm", "-f", "-t", "0", container);
        }
    }

    private static String answer(int port) throws IOException {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 5_000);
            socket.setSoTimeout(20_000);
            socket.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    void aSecretIsInItsImageAloneWhichGoesWithTheInstance() throws IOException {
        InstanceId id = started(
                component("web", "serve", "8080").secrets(List.of("PASSWORD")).build());
        scene.awaitLog(id, "serves 8080");
        Path directory = scene.directory().path();
        try (var files = Files.walk(directory)) {
            assertThat(files.filter(Files::isRegularFile).filter(NanosVmTest::holdsTheSecret))
                    .containsExactly(directory.resolve("vm/image"));
        }
        assertThat(Files.getPosixFilePermissions(directory.resolve("vm/image")))
                .hasToString("[OWNER_READ, OWNER_WRITE]");
        assertThat(Shell.podman("inspect", id.value())).doesNotContain(SECRET);
        assertThat(Files.readString(Path.of("/proc/" + scene.vmm().pid() + "/cmdline")))
                .doesNotContain(SECRET);
        scene.runtime().remove(id);
        assertThat(directory).doesNotExist();
    }

    private static boolean holdsTheSecret(Path file) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).contains(SECRET);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void whatItCannotHaveIsRefused() throws IOException {
        Path disk = Files.write(node.folder().resolve("disk"), new byte[512]);
        InstanceSpec plain = spec(component("web").build());
        InstanceSpec withDisk = new InstanceSpec(
                plain.identity(),
                plain.component(),
                plain.imageId(),
                plain.networks(),
                List.of(new InstanceSpec.Mount(disk, "/data", false)),
                Map.of(),
                true);
        assertThatThrownBy(() -> scene.runtime().create(withDisk))
                .isInstanceOf(RuntimeFailure.class)
                .hasMessageContaining("has no volumes so far");
        assertThat(scene.runtime().refusal(component("web").memoryMb(64).build()))
                .hasValueSatisfying(why -> assertThat(why).contains("needs memory_mb = 96 at least"));
        // Our own kernel's test programs are no Linux programs.
        assertThatThrownBy(() -> scene.runtime()
                        .create(scene.spec(component("web", "runs").build(), List.of())))
                .isInstanceOf(RuntimeFailure.class)
                .hasMessageContaining("built for the µKernel's own interface");
        assertThat(scene.runtime().list()).isEmpty();
    }
}
