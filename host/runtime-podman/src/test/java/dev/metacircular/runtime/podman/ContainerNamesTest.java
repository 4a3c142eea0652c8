package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Identity;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.Network;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.Timeout;

/** Names of containers on a real podman, after what podman, or a kill of it, leaves behind. */
@TestInstance(Lifecycle.PER_CLASS)
@Timeout(value = 240, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ContainerNamesTest {
    private static final Name NODE = Name.of("names");
    private static final Network NETWORK = Network.ofService(Name.of("shop"));
    private static final String NOBODY = "0123456789abcdef".repeat(4);
    private static final int LOOKS = 100;

    private OwnPodman podman;
    private PodmanRuntime runtime;

    @BeforeAll
    void open() throws IOException {
        podman = new OwnPodman();
        runtime = new PodmanRuntime(PodmanOptions.of(podman.socket(), NODE).withHome(podman.home()));
        // As an agent asks at its start; where podman keeps the resolver's files is known from then on.
        assertThat(runtime.availability()).isInstanceOf(Availability.Available.class);
        runtime.ensureNetwork(NETWORK);
    }

    @AfterAll
    void close() {
        runtime.close();
        podman.close();
    }

    @AfterEach
    void endAll() {
        podman.podman("rm", "-f", "-a", "-t", "0");
        runtime.heal();
    }

    private InstanceId create(String name, List<PortMapping> ports) {
        Component component = Component.builder(name, OwnPodman.IMAGE)
                .command(List.of("/bin/busybox", "sleep", "1000"))
                .ports(ports)
                .build();
        return runtime.create(new InstanceSpec(
                new Identity(NODE, ComponentId.of("shop", name), 1, "d"),
                component,
                runtime.image(ImageRef.parse(OwnPodman.IMAGE)).orElseThrow().id(),
                List.of(new InstanceSpec.Attachment(NETWORK, List.of(name))),
                List.of(),
                Map.of(),
                true));
    }

    private InstanceId started(String name) {
        InstanceId id = create(name, List.of());
        runtime.start(id);
        return id;
    }

    private void startForeign(String name) {
        podman.podman(
                "run",
                "-d",
                "--name",
                name,
                "--network",
                NETWORK.name(),
                OwnPodman.IMAGE,
                "/bin/busybox",
                "sleep",
                "1000");
    }

    private boolean finds(String container, String name) {
        OwnPodman.Result result = podman.asUser(
                "timeout",
                "20",
                "podman",
                "exec",
                container,
                "/bin/busybox",
                "nslookup",
                "-type=a",
                name + ".dns.podman");
        int named = result.output().indexOf("Name:");
        return named >= 0 && result.output().indexOf("Address:", named) > named;
    }

    /** Of the one bridge that there is. */
    private String bridgeAddress() {
        String shown = podman.podman("unshare", "--rootless-netns", "ip", "-o", "link", "show", "type", "bridge");
        assertThat(shown.strip().lines()).hasSize(1);
        return shown.replaceFirst("(?s).* link/ether ([0-9a-f:]{17}) .*", "$1");
    }

    @Test
    void theBridgeKeepsItsAddressWhoeverComesAndGoes() {
        InstanceId first = started("first");
        String address = bridgeAddress();
        assertThat(address).matches("[0-9a-f:]{17}");
        started("second");
        assertThat(bridgeAddress()).isEqualTo(address);
        // Unless it was set, it is the lowest of those connected: without the first it cannot be the first's.
        podman.podman("stop", "-t", "0", first.value());
        assertThat(bridgeAddress()).isEqualTo(address);
    }

    private Path pidFile() {
        return podman.files().resolve("aardvark.pid");
    }

    private ProcessHandle resolver() throws IOException {
        return ProcessHandle.of(Long.parseLong(Files.readString(pidFile()).strip()))
                .orElseThrow();
    }

    private String entries() throws IOException {
        StringBuilder all = new StringBuilder();
        try (Stream<Path> files = Files.list(podman.files())) {
            for (Path file : files.filter(f -> !f.equals(pidFile())).toList()) {
                all.append(Files.readString(file));
            }
        }
        return all.toString();
    }

    /** As kill -9 of podman in the middle of a start leaves it: then the last container ends. */
    private ProcessHandle outlivedResolver() throws IOException {
        startForeign("last");
        Files.writeString(
                podman.files().resolve(NETWORK.name()),
                NOBODY + " 10.99.0.9  nobody,0123456789ab\n",
                StandardOpenOption.APPEND);
        ProcessHandle resolver = resolver();
        podman.podman("rm", "-f", "-t", "0", "last");
        assertThat(entries()).contains(NOBODY);
        assertThat(resolver.isAlive()).isTrue();
        return resolver;
    }

    private static void awaitEnd(ProcessHandle process) {
        for (int i = 0; i < LOOKS && process.info().arguments().isPresent(); i++) {
            OwnPodman.pause();
        }
        assertThat(process.info().arguments()).isEmpty();
    }

    @Test
    void aStartThatFailsForATakenPortLeavesNoNameOfNobody() throws IOException {
        InstanceId peer = started("peer");
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            InstanceId web = create("web", List.of(PortMapping.parse("127.0.0.1:" + taken.getLocalPort() + ":8080")));
            RuntimeFailure refused = catchThrowableOfType(RuntimeFailure.class, () -> runtime.start(web));
            assertThat(refused.kind()).isEqualTo(Kind.PORT_TAKEN);
            assertThat(entries()).doesNotContain(web.value()).contains(peer.value());
        }
        assertThat(finds("shop-peer", "peer")).isTrue();
        assertThat(finds("shop-peer", "web")).isFalse();
    }

    @Test
    void theNextStartHasNamesAfterAResolverOutlivedItsNamespace() throws IOException {
        ProcessHandle outlived = outlivedResolver();
        assertThat(runtime.obstacles()).extracting(Obstacle::check).contains("names");

        started("web");
        started("db");

        assertThat(finds("shop-web", "db")).isTrue();
        assertThat(finds("shop-db", "web")).isTrue();
        awaitEnd(outlived);
        assertThat(runtime.heal())
                .anySatisfy(what -> assertThat(what).contains("had ended or outlived its network namespace"))
                .anySatisfy(what -> assertThat(what).contains("names of 1 container(s)", NETWORK.name()));
        assertThat(entries()).doesNotContain(NOBODY);
        assertThat(runtime.obstacles()).extracting(Obstacle::check).doesNotContain("names");
        assertThat(finds("shop-web", "db")).isTrue();
    }

    @Test
    void containersThatOthersStartedBesideSuchAResolverGetTheirNames() throws IOException {
        outlivedResolver();
        startForeign("one");
        startForeign("two");
        assertThat(finds("one", "two")).isFalse();

        assertThat(runtime.heal()).isNotEmpty();

        assertThat(finds("one", "two")).isTrue();
        assertThat(finds("two", "one")).isTrue();
        assertThat(podman.podman("ps", "-a", "--format", "{{.Names}}").lines()).containsExactlyInAnyOrder("one", "two");
    }

    @Test
    void aResolverThatWasKilledIsBegunAgainWhileContainersRun() throws IOException {
        startForeign("other");
        started("web");
        ProcessHandle killed = resolver();
        killed.destroyForcibly();
        awaitEnd(killed);
        assertThat(runtime.heal()).isNotEmpty();
        assertThat(finds("shop-web", "other")).isTrue();
        assertThat(finds("other", "web")).isTrue();
    }

    @Test
    void whatIsSoundIsLeftAlone() throws IOException {
        started("web");
        startForeign("other");
        ProcessHandle resolver = resolver();
        String entries = entries();

        assertThat(runtime.heal()).isEmpty();
        assertThat(entries()).isEqualTo(entries);
        assertThat(resolver()).isEqualTo(resolver);
        assertThat(resolver.isAlive()).isTrue();
        assertThat(finds("other", "web")).isTrue();
    }

    @Test
    void aProcessThatIsNotTheResolverIsNeverTakenForIt() throws IOException {
        started("web");
        ProcessHandle resolver = resolver();
        Process other = new ProcessBuilder("sleep", "100").start();
        try {
            Files.writeString(pidFile(), Long.toString(other.pid()));
            assertThat(runtime.heal()).isNotEmpty();
            assertThat(other.isAlive()).isTrue();
            assertThat(Optional.of(resolver().pid())).isNotEqualTo(Optional.of(other.pid()));
        } finally {
            other.destroy();
            resolver.destroy();
        }
    }
}
