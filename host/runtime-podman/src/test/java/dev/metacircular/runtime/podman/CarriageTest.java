package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.HealthCheck;
import dev.metacircular.model.Identity;
import dev.metacircular.model.InstanceState;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.ConformanceBackend.Workload;
import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.InstanceSpec.Attachment;
import dev.metacircular.runtime.InstanceSpec.Mount;
import dev.metacircular.runtime.LogOptions;
import dev.metacircular.runtime.LogSink;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.ProbeResult;
import dev.metacircular.runtime.Runtime;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;

/** Instances of another kind, carried by containers of a real podman: here by a shell with the host's programs. */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class CarriageTest {
    private static final String IMAGE_ID = "sha256:0123";
    private static final String WAIT = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    private static final String SERVE = "busybox httpd -f -p 8080 -h /vm & ";

    private TestNode node;
    private Path root;
    private Path state;
    private PodmanRuntime carried;
    private volatile String script = WAIT;

    @BeforeAll
    void open() throws IOException {
        node = new TestNode();
        Files.setPosixFilePermissions(node.folder(), PosixFilePermissions.fromString("rwxr-xr-x"));
        root = node.folder().toRealPath().resolve("root");
        state = node.folder().toRealPath().resolve("state");
        for (String folder : List.of("", "usr", "etc", "dev", "proc", "sys", "tmp", "run", "vm")) {
            writable(root.resolve(folder));
        }
        for (String link : List.of("bin", "sbin", "lib", "lib64")) {
            Files.createSymbolicLink(root.resolve(link), Path.of("usr", link));
        }
        writable(state);
        Files.writeString(state.resolve("ok"), "ok");
        carried = reopened();
        node.runtime().ensureNetwork(network());
    }

    /** For podman's user, who is not the test's. */
    private static void writable(Path folder) throws IOException {
        Files.createDirectories(folder);
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
    }

    private PodmanRuntime reopened() {
        return PodmanRuntime.carrying(node.options(), new Carriage.Maker() {
            @Override
            public RuntimeKind kind() {
                return RuntimeKind.UNIKERNEL;
            }

            @Override
            public Carriage of(InstanceSpec spec) {
                return new Carriage(
                        root,
                        List.of("/bin/sh", "-c", script),
                        List.of(new Mount(Path.of("/usr"), "/usr", true), new Mount(state, "/vm", false)),
                        List.of(Path.of("/dev/net/tun")),
                        Set.of("NET_ADMIN"),
                        Map.of("dev.metacircular.test", "carried"));
            }
        });
    }

    /** What a failed test leaves is not the next one's. */
    @AfterEach
    void removeWhatIsLeft() {
        carried.list(node.node()).forEach(left -> carried.remove(left.id()));
    }

    @AfterAll
    void close() {
        try (TestNode _ = node;
                Runtime _ = carried) {
            // Both are closed.
        }
    }

    private Network network() {
        return Network.ofService(node.node());
    }

    private InstanceSpec spec(String name, RuntimeKind kind, int port) {
        Component.Builder component = Component.builder(name, node.image().toString())
                .runtime(kind)
                .env(List.of("GREETING=hello"))
                .secrets(List.of("PASSWORD"))
                .memoryMb(64)
                .ports(port == 0 ? List.of() : List.of(PortMapping.parse("127.0.0.1:" + port + ":8080")));
        boolean container = kind == RuntimeKind.CONTAINER;
        return new InstanceSpec(
                new Identity(node.node(), ComponentId.of(node.node().value(), name), 1, "d"),
                container ? component.command(node.command(Workload.RUNS)).build() : component.build(),
                container ? node.runtime().image(node.image()).orElseThrow().id() : IMAGE_ID,
                List.of(new Attachment(network(), List.of(name))),
                List.of(),
                Map.of("PASSWORD", "hunter2"),
                false);
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        Instant end = Instant.now().plusSeconds(60);
        while (!condition.getAsBoolean()) {
            assertThat(Instant.now()).as(what).isBefore(end);
            Thread.sleep(50);
        }
    }

    private static String get(int port) {
        try (Socket socket = new Socket(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port)) {
            socket.setSoTimeout(5_000);
            socket.getOutputStream().write("GET /ok HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static List<InstanceId> ids(List<Instance> instances) {
        return instances.stream().map(Instance::id).toList();
    }

    @Test
    void livesAsAContainerDoesUnderItsOwnKind() throws InterruptedException {
        script = SERVE + WAIT;
        int port = node.freePort();
        InstanceSpec spec = spec("life", RuntimeKind.UNIKERNEL, port);
        List<InstanceId> told = new CopyOnWriteArrayList<>();
        List<InstanceId> toldOfContainers = new CopyOnWriteArrayList<>();
        try (Events.Subscription _ = listen(carried, told);
                Events.Subscription _ = listen(node.runtime(), toldOfContainers)) {
            InstanceId id = carried.create(spec);
            assertThat(carried.create(spec)).as("the same identity").isEqualTo(id);
            carried.start(id);
            await("the published port answers", () -> get(port).endsWith("ok"));

            for (PodmanRuntime runtime : List.of(carried, reopened())) {
                Instance instance = runtime.inspect(id).orElseThrow();
                assertThat(instance.id()).isEqualTo(id);
                assertThat(instance.identity()).contains(spec.identity());
                assertThat(instance.imageId()).isEqualTo(IMAGE_ID);
                assertThat(instance.image()).isEqualTo(node.image().toString());
                assertThat(instance.state()).isInstanceOf(InstanceState.Running.class);
                assertThat(instance.ports()).containsExactly(PortMapping.parse("127.0.0.1:" + port + ":8080"));
                assertThat(ids(runtime.list())).containsExactly(id);
                assertThat(ids(runtime.list(node.node()))).containsExactly(id);
                assertThat(ids(runtime.listAll())).contains(id);
                assertThat(ids(runtime.look())).contains(id);
                assertThat(runtime.exec()).isEmpty();
                assertThat(runtime.foreign()).isEmpty();
            }
            Runtime containers = node.runtime();
            for (List<Instance> listing : List.of(
                    containers.list(),
                    containers.list(node.node()),
                    containers.listAll(),
                    containers.look(),
                    containers.lookAll())) {
                assertThat(listing).noneMatch(i -> i.id().value().equals(id.value()));
            }
            assertThat(containers.inspect(new InstanceId(RuntimeKind.CONTAINER, id.value())))
                    .isEmpty();

            carried.setAside(id);
            assertThat(carried.inspect(id).orElseThrow().setAside()).isTrue();
            carried.bringBack(id);
            carried.stop(id, Duration.ofSeconds(10));
            assertThat(carried.inspect(id).orElseThrow().state())
                    .isInstanceOfSatisfying(
                            InstanceState.Ended.class,
                            e -> assertThat(e.exitStatus()).isEqualTo(7));
            await("the end is told", () -> told.contains(id));
            carried.remove(id);
            carried.remove(id);
            assertThat(carried.inspect(id)).isEmpty();
            assertThat(node.podman("ps", "--all", "--quiet", "--filter", "label=dev.metacircular.test=carried"))
                    .isEmpty();
            assertThat(told).allMatch(i -> i.runtime() == RuntimeKind.UNIKERNEL);
            assertThat(toldOfContainers).noneMatch(i -> i.value().equals(id.value()));
        }
    }

    private static Events.Subscription listen(Runtime runtime, List<InstanceId> told) {
        return runtime.events().orElseThrow().subscribe(new Events.Listener() {
            @Override
            public void changed(InstanceId instance) {
                told.add(instance);
            }

            @Override
            public void gap() {}
        });
    }

    @Test
    void aNameIsGivenOnceWhateverTheKind() {
        script = WAIT;
        String name = node.node() + "-both";
        for (RuntimeKind first : RuntimeKind.values()) {
            Runtime holder = first == RuntimeKind.CONTAINER ? node.runtime() : carried;
            Runtime other = first == RuntimeKind.CONTAINER ? carried : node.runtime();
            RuntimeKind second = first == RuntimeKind.CONTAINER ? RuntimeKind.UNIKERNEL : RuntimeKind.CONTAINER;
            InstanceId id = holder.create(spec("both", first, 0));
            assertThat(node.runtime().named(name).map(Instance::id)).contains(id);
            assertThat(holder.named(name).map(Instance::id)).contains(id);
            RuntimeFailure failure =
                    catchThrowableOfType(RuntimeFailure.class, () -> other.create(spec("both", second, 0)));
            assertThat(failure).isNotNull();
            assertThat(failure.kind()).isEqualTo(Kind.CONFLICT);
            // Set aside, it makes room for one of the other kind.
            holder.setAside(id);
            InstanceId beside = other.create(spec("both", second, 0));
            assertThat(holder.create(spec("both", first, 0))).isEqualTo(id);
            assertThat(other.create(spec("both", second, 0))).isEqualTo(beside);
            other.remove(beside);
            holder.bringBack(id);
            holder.remove(id);
        }
    }

    @Test
    void theCarrierHasNoMoreThanItsCarriageGives() throws InterruptedException {
        script =
                "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; ls /dev/net; touch /etc/x 2>/dev/null || echo read-only; "
                        + "touch /usr/x 2>/dev/null || echo usr read-only; echo environment $GREETING$PASSWORD.; "
                        + WAIT;
        InstanceId id = carried.create(spec("confined", RuntimeKind.UNIKERNEL, 0));
        carried.start(id);
        List<String> lines = new ArrayList<>();
        await("the script's end is logged", () -> {
            lines.clear();
            LogSink sink = new LogSink() {
                @Override
                public void line(Instant time, Stream stream, String text) {
                    lines.add(text);
                }

                @Override
                public boolean isCancelled() {
                    return false;
                }
            };
            carried.logs(id, LogOptions.lastLines(100), sink);
            return lines.stream().anyMatch(l -> l.startsWith("environment"));
        });
        assertThat(lines)
                .contains(
                        "CapEff:\t0000000000001000",
                        "CapBnd:\t0000000000001000",
                        "NoNewPrivs:\t1",
                        "tun",
                        "read-only",
                        "usr read-only",
                        "environment .");
        assertThat(node.podman("inspect", id.value())).doesNotContain("hunter2");
        carried.remove(id);
    }

    @Test
    void aCheckConnectsToWhatIsCarriedFromInside() throws InterruptedException {
        HealthCheck tcp = new HealthCheck.Tcp(8080, Duration.ofSeconds(5));
        HealthCheck http = new HealthCheck.Http(8080, "/ok", Duration.ofSeconds(5));
        script = "while [ ! -e /vm/serve ]; do sleep 0.1; done; " + SERVE
                + "while [ ! -e /vm/leave ]; do sleep 0.1; done; ip addr flush dev eth0; touch /vm/left; " + WAIT;
        int port = node.freePort();
        InstanceId id = carried.create(spec("checked", RuntimeKind.UNIKERNEL, port));
        carried.start(id);
        for (HealthCheck check : List.of(tcp, http)) {
            assertThat(probe(id, check))
                    .as("the published port accepts, and nothing listens")
                    .isEqualTo(new ProbeResult.Unhealthy("connection refused"));
        }
        touch("serve");
        await("it listens", () -> probe(id, tcp) instanceof ProbeResult.Healthy);
        assertThat(probe(id, http)).isEqualTo(new ProbeResult.Healthy());
        touch("leave");
        await("the address is gone", () -> Files.exists(state.resolve("left")));
        for (HealthCheck check : List.of(tcp, http)) {
            assertThat(probe(id, check))
                    .as("the carrier listens, and the address leads nowhere")
                    .isInstanceOf(ProbeResult.Unhealthy.class);
        }
        carried.remove(id);
    }

    private ProbeResult probe(InstanceId id, HealthCheck check) {
        return carried.probe(id, check, Duration.ofSeconds(10));
    }

    private void touch(String name) {
        try {
            Files.createFile(state.resolve(name));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
