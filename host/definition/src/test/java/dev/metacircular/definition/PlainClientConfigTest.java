package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Name;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class PlainClientConfigTest {
    private static final Path FILE = Path.of("/c/mcp.toml");
    private static final ClientConfigFile READER = new ClientConfigFile(Path.of("/c"), Map.of("HOME", "/h"));
    private static final List<String> LINES = List.of(
            "[build]",
            "[nodes.alpha]",
            "[nodes.beta]",
            "[nodes.Beta]",
            "[nodes]",
            "[[nodes.alpha]]",
            "[ build ]",
            "[build] # c",
            "address = \"10.0.0.2:7443\"",
            "address=\"a:1\"#c",
            "address = \"a\"",
            "address = 'a:1'",
            "ca = \"c\"",
            "ca = \"~/c\"",
            "ca = \"\"",
            "ca = \"\"\"c\"\"\"",
            "ca = \"a\\u0041\"",
            "\"ca\" = \"c\"",
            "token_file = \"/t\"",
            "token_file = \"t\" x",
            "\t token_file\t=\t\"ä#\" \t# \"",
            "token-file = \"t\"",
            "workspace = \"~\"",
            "builder = \"podman\"",
            "builder = \"docker\"",
            "parallel = 4",
            "parallel = 64",
            "parallel = 65",
            "parallel = 04",
            "parallel = 4_0",
            "parallel = +4",
            "parallel = \"4\"",
            "# comment é",
            "#\u0001",
            "\u00a0",
            "ä = \"x\"",
            " ",
            "",
            "\r",
            "x",
            "= \"x\"",
            "ca =");

    private static Optional<ClientConfig> plain(String text) {
        return PlainClientConfig.read(text, new Paths(FILE, Optional.of(Path.of("/h"))));
    }

    @Provide
    Arbitrary<String> texts() {
        Arbitrary<String> node = Arbitraries.of(
                "[nodes.alpha]\naddress = \"a:1\"\nca = \"c\"\ntoken_file = \"t\"\n",
                "[nodes.beta]\ntoken_file=\"t\"\r\n  ca=\"/c\"\r\naddress=\"[::1]:2\" # x\r\n",
                "[build]\nworkspace = \"~/src\"\nparallel = 3\n");
        return Arbitraries.oneOf(
                        node,
                        node,
                        Arbitraries.of(LINES).map(l -> l + "\n"),
                        Arbitraries.of(LINES).map(l -> l + "\r\n"))
                .list()
                .ofMaxSize(4)
                .map(parts -> String.join("", parts));
    }

    @Property(tries = 2_000, edgeCases = EdgeCasesMode.NONE)
    void whateverIsReadPlainlyMeansTheSameToTheParser(@ForAll("texts") String text) {
        plain(text)
                .ifPresent(config -> assertThat(READER.parseAny(text).orThrow()).isEqualTo(config));
    }

    @Example
    void whatMcpItselfWritesIsPlain() {
        ClientConfig.Node node = new ClientConfig.Node(
                Name.of("gamma"), new Address("fd00::2", 7443), Path.of("/c/a.pem"), Path.of("/t"));

        assertThat(plain(ClientConfigEditor.add(ClientConfigFileTest.FULL, node, FILE))
                        .orElseThrow()
                        .nodes())
                .hasSize(3);
        assertThat(plain("")).contains(ClientConfig.empty());
    }
}
