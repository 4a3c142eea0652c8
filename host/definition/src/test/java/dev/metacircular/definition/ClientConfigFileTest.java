package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClientConfigFileTest {
    static final String FULL = """
            # My nodes.
            [build]
            workspace = "~/src"
            builder   = "podman"
            parallel  = 4

            # The big one,
            # in the cellar.
            [nodes.alpha]
            address    = "10.0.0.2:7443"   # overlay
            ca         = "alpha-ca.pem"
            token_file = "/run/secrets/alpha.token"

            # The other one.
            [nodes.beta]
            address    = "[fd00::2]:7443"
            ca         = "beta-ca.pem"
            token_file = "beta.token"
            """;

    @TempDir
    private Path directory;

    private ClientConfigFile file() {
        return new ClientConfigFile(directory, Map.of("HOME", "/home/op"));
    }

    private String write(String text) throws IOException {
        Files.writeString(directory.resolve("mcp.toml"), text);
        return text;
    }

    private String text() throws IOException {
        return Files.readString(directory.resolve("mcp.toml"));
    }

    private ClientConfig.Node node(String name) {
        return new ClientConfig.Node(
                Name.of(name),
                Address.parse("10.0.0.3:7443"),
                directory.resolve(name + "-ca.pem"),
                Path.of("/run/" + name + ".token"));
    }

    @Test
    void everyKeyIsReadAndPathsAreResolved() throws IOException {
        write(FULL);

        ClientConfig config = file().read().orThrow();

        assertThat(config.workspace()).contains(Path.of("/home/op/src"));
        assertThat(config.builder()).isEqualTo("podman");
        assertThat(config.parallel()).isEqualTo(4);
        assertThat(config.nodes()).containsOnlyKeys(Name.of("alpha"), Name.of("beta"));
        assertThat(config.nodes().get(Name.of("alpha")))
                .isEqualTo(new ClientConfig.Node(
                        Name.of("alpha"),
                        new Address("10.0.0.2", 7443),
                        directory.resolve("alpha-ca.pem"),
                        Path.of("/run/secrets/alpha.token")));
        assertThat(config.nodes().values())
                .last()
                .extracting(ClientConfig.Node::address)
                .hasToString("[fd00::2]:7443");
    }

    @Test
    void noFileIsAConfigurationWithoutNodes() {
        assertThat(file().read().orThrow()).isEqualTo(ClientConfig.empty());
    }

    @Test
    void faultsHaveTheirPlaces() throws IOException {
        write("""
                [build]
                builder = "make"
                paralel = 2
                [nodes.alpha]
                address = "10.0.0.2"
                ca = ""
                [nodes.Beta]
                address = "x:0"
                ca = "b"
                token_file = 1
                """);

        assertThat(file().read().faults())
                .extracting(f -> f.line() + ":" + f.column() + " " + f.message())
                .containsExactly(
                        "2:1 'builder' is 'make': expected \"podman\"",
                        "3:1 unknown key 'paralel': expected 'parallel', the nearest of workspace, builder, parallel",
                        "4:1 no key 'token_file': expected a path of at most 1024 characters",
                        "5:1 'address' is '10.0.0.2': expected " + Address.EXPECTED,
                        "6:1 'ca' is '': expected a path of at most 1024 characters",
                        "7:1 node 'Beta': expected " + Name.EXPECTED,
                        "8:1 'address' is 'x:0': expected " + Address.EXPECTED,
                        "10:1 'token_file' is the integer 1: expected a string");
    }

    @Test
    void theFirstNodeMakesTheFile() throws IOException {
        ClientConfig config = file().addNode(node("gamma"));

        assertThat(config.nodes()).containsValue(node("gamma"));
        assertThat(text()).isEqualTo("""
                [nodes.gamma]
                address    = "10.0.0.3:7443"
                ca         = "gamma-ca.pem"
                token_file = "/run/gamma.token"
                """);
    }

    @Test
    void addingANodeKeepsTheRestAsItIs() throws IOException {
        String before = write(FULL);

        assertThat(file().addNode(node("gamma")).nodes()).hasSize(3);
        assertThat(text()).startsWith(before).contains("\n\n[nodes.gamma]\n");
    }

    @Test
    void addingAndRemovingANodeLeavesTheFileAsItWas() throws IOException {
        for (String text : new String[] {FULL, FULL.replace("\n", "\r\n"), "# only a comment\n"}) {
            write(text);
            file().addNode(node("gamma"));
            file().removeNode(Name.of("gamma"));
            assertThat(text()).isEqualTo(text);
        }
    }

    @Test
    void removingANodeTakesItsCommentsAlong() throws IOException {
        write(FULL);

        file().removeNode(Name.of("alpha"));

        assertThat(text()).isEqualTo("""
                # My nodes.
                [build]
                workspace = "~/src"
                builder   = "podman"
                parallel  = 4

                # The other one.
                [nodes.beta]
                address    = "[fd00::2]:7443"
                ca         = "beta-ca.pem"
                token_file = "beta.token"
                """);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "nodes.alpha = {address = \"a.b:1\", ca = \"c\", token_file = \"t\"}\n",
                "nodes.alpha.address = \"a.b:1\"\nnodes.alpha.ca = \"c\"\nnodes.alpha.token_file = \"t\"\n",
                "[nodes]\nalpha = {address = \"a.b:1\", ca = \"c\", token_file = \"t\"}\n",
                "[nodes]\nalpha.address = \"a.b:1\"\nalpha.ca = \"c\"\nalpha.token_file = \"t\"",
                "[ nodes . 'alpha' ]\naddress = \"a.b:1\"\nca = \"c\"\ntoken_file = '''\nt'''",
            })
    void aNodeIsRemovedHoweverItIsWritten(String text) throws IOException {
        write(text + "\n[nodes.beta]\naddress = \"b:1\"\nca = \"c\"\ntoken_file = \"t\"\n");

        assertThat(file().removeNode(Name.of("alpha")).nodes()).containsOnlyKeys(Name.of("beta"));
        assertThat(text()).doesNotContain("alpha", "a.b:1").endsWith("token_file = \"t\"\n");
    }

    @Test
    void nodesInAnInlineTableAreNotTouched() throws IOException {
        String text = write("nodes = {alpha = {address = \"a:1\", ca = \"c\", token_file = \"t\"}}\n");

        assertThatThrownBy(() -> file().removeNode(Name.of("alpha")))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.UNSUPPORTED));
        assertThatThrownBy(() -> file().addNode(node("beta")))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.UNSUPPORTED));
        assertThat(text()).isEqualTo(text);
    }

    @Test
    void aNodeIsAddedOnceAndRemovedOnce() throws IOException {
        write(FULL);

        assertThatThrownBy(() -> file().addNode(node("alpha")))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.CONFLICT));
        assertThatThrownBy(() -> file().removeNode(Name.of("gamma")))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.NOT_FOUND));
    }
}
