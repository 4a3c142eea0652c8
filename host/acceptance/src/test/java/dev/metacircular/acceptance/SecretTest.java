package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A secret's value is nowhere but in its store, in its component, and in podman's copy, which goes with the instance. */
final class SecretTest {
    private static final SecureRandom RANDOM = new SecureRandom();

    private static Node node;
    private static String image;

    /** All that any command has printed. */
    private final List<String> printed = new ArrayList<>();

    @BeforeAll
    static void setUp() {
        image = TestImages.make("acceptance-secret", "v1", """
                echo "has $(printf %s "$VAULT_TOKEN" | sha256sum | cut -c1-64)"
                trap exit TERM; sleep 1000 & wait""");
        node = Node.started("alpha");
    }

    @AfterAll
    static void tearDown() {
        node.close();
        TestImages.remove(image);
    }

    private Shell.Result mcp(String... arguments) {
        Shell.Result result = node.mcp(arguments).ok();
        printed.add(result.all());
        return result;
    }

    private void set(String value) throws IOException {
        Path input = Files.writeString(node.scratch.resolve("input"), value + "\n");
        try {
            printed.add(Shell.run(
                            node.environment(),
                            "/bin/sh",
                            "-c",
                            "exec \"$0\" secret set vault VAULT_TOKEN <\"$1\"",
                            Node.bin("mcp"),
                            input.toString())
                    .ok()
                    .all());
        } finally {
            Files.delete(input);
        }
    }

    private static String digest(String value) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(value.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    private void awaitThatTheComponentHas(String value) {
        Node.await(
                Duration.ofSeconds(30),
                "the component has its secret",
                () -> mcp("logs", "vault").out().contains("has " + digest(value)));
    }

    /**
     * Every view of the node that an operator has, and podman's lists. What {@code podman inspect} tells of one container that runs has its whole
     * environment: it is podman's copy, told to the one user who may read it anyway.
     */
    private void lookAtEverything() {
        for (String view : List.of(
                "ps", "list", "status", "events", "doctor", "secret list vault", "logs vault", "service show vault")) {
            mcp(view.split(" "));
            mcp((view + " --json").split(" "));
        }
        mcp("node", "show", node.name, "--json");
        mcp("deploy", "vault", "--dry-run");
        printed.add(Shell.podman("ps", "-a", "--format", "json").ok().all());
        printed.add(Shell.podman("secret", "ls").ok().all());
    }

    private static SortedSet<Path> files(Traces traces) throws IOException {
        SortedSet<Path> found = new TreeSet<>(traces.filesBelow(node.scratch));
        found.addAll(traces.filesBelow(Shell.podmanHome()));
        found.addAll(traces.filesBelow(Shell.podmanSocket().resolve("../..").normalize()));
        try (Stream<Path> temporary = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            for (Path file : temporary.filter(Files::isRegularFile).toList()) {
                found.addAll(traces.filesBelow(file));
            }
        }
        return found;
    }

    private static Path stored() {
        return node.agentDirectory().resolve("secrets/vault/VAULT_TOKEN");
    }

    private static boolean isPodmansCopy(Path file, String container) {
        return file.startsWith(Shell.podmanHome())
                && (file.toString().contains("/secrets/filedriver/")
                        || file.toString().contains("/" + container + "/"));
    }

    private void requireOnlyWhereItBelongs(Traces traces) throws IOException {
        Node.Container container = node.container("vault/web");
        assertThat(files(traces))
                .contains(stored())
                .allMatch(
                        f -> f.equals(stored()) || isPodmansCopy(f, container.id()), "is the store's or podman's copy");
        Path namespace = Files.readSymbolicLink(Path.of(
                "/proc",
                Shell.podman("inspect", "--format", "{{.State.Pid}}", container.id())
                        .ok()
                        .out()
                        .strip(),
                "ns/pid"));
        assertThat(traces.processes()).isNotEmpty().allSatisfy(p -> {
            assertThat(p.what()).isEqualTo("environ");
            assertThat(Files.readSymbolicLink(Path.of("/proc", p.pid(), "ns/pid")))
                    .isEqualTo(namespace);
        });
        assertThat(printed).noneMatch(traces::in);
    }

    private static void requireNowhere(Traces traces) throws IOException {
        assertThat(files(traces)).isEmpty();
        assertThat(traces.processes()).isEmpty();
    }

    @Test
    void aValueIsNowhereButInItsStoreItsComponentAndPodmansCopyWhichGoesWithIt() throws IOException {
        String first = new BigInteger(160, RANDOM).toString(36) + "first";
        String second = new BigInteger(160, RANDOM).toString(36) + "second";
        Traces firsts = new Traces(first);
        Traces seconds = new Traces(second);
        node.define("vault", """
                [[components]]
                name = "web"
                image = "%s"
                %s
                secrets = ["VAULT_TOKEN"]
                volumes = ["data:/data"]
                hold_s = 0.2
                """.formatted(image, TestImages.COMMAND));
        Shell.Result unset = node.mcp("deploy", "vault");
        assertThat(unset.exit()).isEqualTo(1);
        assertThat(unset.all()).contains("VAULT_TOKEN", "mcp secret set vault");

        set(first);
        mcp("deploy", "vault", "--json");
        awaitThatTheComponentHas(first);
        requireOnlyWhereItBelongs(firsts);

        set(second);
        mcp("deploy", "vault");
        awaitThatTheComponentHas(second);
        mcp("restart", "vault");
        awaitThatTheComponentHas(second);
        lookAtEverything();
        requireOnlyWhereItBelongs(seconds);
        requireNowhere(firsts);

        mcp("stop", "vault");
        mcp("purge", "vault");
        assertThat(node.containers()).isEmpty();
        assertThat(files(seconds)).containsExactly(stored());
        assertThat(seconds.processes()).isEmpty();

        mcp("secret", "remove", "vault", "VAULT_TOKEN");
        requireNowhere(seconds);
        assertThat(printed).noneMatch(seconds::in).noneMatch(firsts::in);
    }
}
