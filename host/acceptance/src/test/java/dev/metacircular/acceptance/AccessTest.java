package dev.metacircular.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class AccessTest {
    private static Node node;
    private static String image;

    @BeforeAll
    static void setUp() {
        image = TestImages.make("acceptance-access", "v1", TestImages.SERVES);
        node = Node.started("access");
        node.define(
                "shop",
                "[[components]]\nname = \"web\"\nimage = \"%s\"\n%s\nhold_s = 0.2\n"
                        .formatted(image, TestImages.COMMAND));
        node.mcp("deploy", "shop").ok();
    }

    @AfterAll
    static void tearDown() {
        node.close();
        TestImages.remove(image);
    }

    private static final List<List<String>> MUTATING = List.of(
            List.of("deploy", "shop"),
            List.of("restart", "shop"),
            List.of("purge", "shop"),
            List.of("token", "add", "mallory", "--role", "operator", "--node"),
            List.of("token", "revoke", "nobody", "--node"),
            List.of("exec", "shop/web", "--", "true"));

    private static Shell.Result with(String token, List<String> command) throws IOException {
        Path file = node.operator.resolve(node.name + ".token");
        List<String> arguments = new java.util.ArrayList<>(command);
        if (command.getLast().equals("--node")) {
            arguments.add(node.name);
        }
        String own = Files.readString(file);
        try {
            Files.writeString(file, token);
            return node.mcp(arguments.toArray(String[]::new));
        } finally {
            Files.writeString(file, own);
        }
    }

    private static void assertRefusedEverywhere(String token) throws IOException {
        Node.Container before = node.container("shop/web");
        for (List<String> command : MUTATING) {
            Shell.Result result = with(token, command);
            assertThat(result.exit()).as(command + result.all()).isEqualTo(4);
        }
        assertThat(node.onePerComponent()).containsEntry("shop/web", before);
        assertThat(node.mcp("token", "list", "--node", node.name).ok().out()).doesNotContain("mallory");
    }

    @Test
    void aWrongOrRevokedTokenAndAViewersIsRefusedAndAudited() throws IOException {
        assertRefusedEverywhere("mct_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
        String viewer = node.json("token", "add", "eve", "--role", "viewer", "--node", node.name)
                .get("token")
                .asText();
        assertRefusedEverywhere(viewer + "\n");
        assertThat(with(viewer, List.of("status")).exit()).isZero();
        node.mcp("token", "revoke", "eve", "--node", node.name).ok();
        assertRefusedEverywhere(viewer + "\n");
        assertThat(with(viewer, List.of("status")).exit()).isEqualTo(4);
        String audit = Files.readString(node.agentDirectory().resolve("audit.log"))
                + Files.readString(node.agentDirectory().resolve("audit-refused.log"));
        assertThat(audit.lines()
                        .filter(l -> l.contains("Restart")
                                && (l.contains("NOT_PERMITTED") || l.contains("UNAUTHENTICATED"))))
                .hasSize(3);
        assertThat(audit).contains("eve").doesNotContain(viewer);
    }

    @Test
    void aClientWithAnotherAuthorityRefusesTheAgent() throws IOException {
        try (Node other = new Node("other")) {
            Path ca = node.operator.resolve(node.name + "-ca.pem");
            String own = Files.readString(ca);
            Files.writeString(ca, Files.readString(other.ca()));
            try {
                Shell.Result result = node.mcp("status");
                assertThat(result.exit()).as(result.all()).isEqualTo(3);
                assertThat(result.all()).containsIgnoringCase("certificate");
            } finally {
                Files.writeString(ca, own);
            }
        }
    }

    @Test
    void noTokenIsInAnyFileOfTheAgents() throws IOException {
        String token = Files.readString(node.token()).strip();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(node.token())))
                .isEqualTo("rw-------");
        try (Stream<Path> files = Files.walk(node.agentDirectory())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                assertThat(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1))
                        .as(file.toString())
                        .doesNotContain(token);
            }
        }
        assertThat(node.log()).doesNotContain(token);
        assertThat(Files.readString(Path.of("/proc/" + node.pid() + "/cmdline")))
                .doesNotContain(token);
    }
}
