package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands that ask no node, and how values are written. */
class OfflineCommandsTest {
    @Nested
    class Commands {
        @TempDir
        private Path home;

        private Operator operator;

        @BeforeEach
        void start() {
            operator = new Operator(home);
        }

        @Test
        void validateTellsEveryFaultWithItsPosition() {
            operator.shop().define("bad", "name = \"bad\"\nnode = \"alpha\"\nactiv = true\n");
            Operator.Result result = operator.mcp("validate");

            assertThat(result.exit()).isEqualTo(2);
            assertThat(result.out()).isEqualTo("HOME/services/shop.toml: ok\n");
            assertThat(result.err())
                    .contains("error: HOME/services/bad.toml:3:1: ")
                    .contains("active");
            assertThat(operator.mcp("validate", "shop").exit()).isZero();
            assertThat(operator.mcp("validate", "nix").exit()).isEqualTo(1);
            assertThat(operator.mcp("validate", "--json").out())
                    .startsWith(
                            "{\"definitions\":[{\"service\":\"bad\",\"file\":\"HOME/services/bad.toml\",\"valid\":false,"
                                    + "\"faults\":[{\"file\":\"HOME/services/bad.toml\",\"line\":")
                    .endsWith(
                            "{\"service\":\"shop\",\"file\":\"HOME/services/shop.toml\",\"valid\":true,\"faults\":[]}]}\n");
        }

        @Test
        void serviceShowPrintsTheFileAsItStands() {
            operator.shop();

            assertThat(operator.mcp("service", "show", "shop").out()).isEqualTo(operator.read("services/shop.toml"));
            assertThat(operator.mcp("service", "show", "shop", "--json").out())
                    .startsWith(
                            "{\"name\":\"shop\",\"file\":\"HOME/services/shop.toml\",\"node\":\"alpha\",\"active\":true,"
                                    + "\"components\":[{\"component\":\"web\",\"name\":\"shop-web\",");
        }

        @ParameterizedTest
        @ValueSource(
                strings = {
                    "nonsense",
                    "ps --jsn",
                    "deploy",
                    "deploy shop shop",
                    "list shop extra",
                    "stop",
                    "exec shop/web",
                    "node",
                    "node add a",
                    "token add x",
                    "logs Shop",
                    "ps --timeout 0",
                    "ps --timeout x",
                    "completion fish",
                    "deploy a/b/c"
                })
        void wrongUsageEndsWithTwoAndSaysWhatToDo(String line) {
            Operator.Result result = operator.mcp(line.split(" "));

            assertThat(result.exit()).as(result.all()).isEqualTo(2);
            assertThat(result.err()).startsWith("error: ").doesNotContain("Exception");
            assertThat(result.out()).isEmpty();
        }

        @Test
        void aMistypedCommandIsGuessed() {
            assertThat(operator.mcp("deploi").err())
                    .isEqualTo(
                            "error: 'deploi' is not a command of mcp\n  next: did you mean 'deploy'? see mcp --help\n");
        }

        @Test
        void aFaultyConfigurationIsToldWithItsPosition() {
            operator.write("mcp.toml", "[nodes.alpha]\nadress = \"x\"\n");

            assertThat(operator.mcp("ps").exit()).isEqualTo(2);
            assertThat(operator.mcp("ps").err()).contains("mcp.toml:2:1: ").contains("address");
        }

        @Test
        void everyCommandHasHelpAndJson() {
            String root = operator.mcp("--help").out();
            List<String> lines = List.of(
                    "deploy",
                    "validate",
                    "start",
                    "stop",
                    "restart",
                    "list",
                    "ps",
                    "status",
                    "logs",
                    "exec",
                    "service show",
                    "purge",
                    "node list",
                    "node add",
                    "node remove",
                    "node show",
                    "token list",
                    "token add",
                    "token revoke",
                    "doctor",
                    "completion");
            for (String line : lines) {
                assertThat(root).contains("  " + line.split(" ")[0]);
                Operator.Result help = operator.mcp((line + " --help").split(" "));
                assertThat(help.exit()).isZero();
                assertThat(help.out()).startsWith("Usage: mcp " + line).contains("--json");
            }
        }

        @Test
        void theManualHasAPageForEveryCommand() throws IOException {
            Path directory = home.resolve("man");
            operator.mcp("manual", directory.toString());

            try (Stream<Path> pages = Files.list(directory)) {
                assertThat(pages.map(p -> String.valueOf(p.getFileName())))
                        .contains("mcp.1", "mcp-deploy.1", "mcp-node-add.1", "mcp-token-revoke.1");
            }
            assertThat(Files.readString(directory.resolve("mcp-logs.1")))
                    .startsWith(".TH MCP-LOGS 1 ")
                    .contains(".SH OPTIONS\n.TP\n\\fB\\-\\-follow\\fR\n")
                    .contains("\\fB\\-\\-tail\\fR \\fIN\\fR");
        }

        @Test
        void theCompletionScriptIsValidBashAndKnowsTheCommands() throws IOException, InterruptedException {
            Path script = Files.writeString(
                    home.resolve("completion.bash"),
                    operator.mcp("completion", "bash").out());
            Process bash = new ProcessBuilder(
                            "bash",
                            "-c",
                            "source " + script
                                    + "; COMP_WORDS=(mcp de); COMP_CWORD=1; _complete_mcp; echo ${COMPREPLY[@]}")
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();

            assertThat(new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .isEqualTo("deploy\n");
            assertThat(bash.waitFor()).isZero();
        }
    }

    @Property(tries = 300)
    void whateverIsWrittenAsJsonIsReadBack(@ForAll Map<String, String> object, @ForAll List<Long> numbers)
            throws JsonProcessingException {
        String written = Json.write(Json.object("object", object, "numbers", numbers, "none", null, "yes", true));

        assertThat(written).doesNotContain("\n");
        JsonNode read = new ObjectMapper().readTree(written);
        Map<String, String> strings = new HashMap<>();
        read.get("object")
                .properties()
                .forEach(e -> strings.put(e.getKey(), e.getValue().asText()));
        assertThat(strings).isEqualTo(object);
        List<Long> longs = new ArrayList<>();
        read.get("numbers").forEach(n -> longs.add(n.asLong()));
        assertThat(longs).isEqualTo(numbers);
        assertThat(read.get("none").isNull()).isTrue();
        assertThat(read.get("yes").asBoolean()).isTrue();
    }

    @Test
    void aTerminalWithoutSizeHasTheUsualOne() {
        assertThat(RawTerminal.parse("50 132").getColumns()).isEqualTo(132);
        assertThat(RawTerminal.parse("0 0").getRows()).isEqualTo(24);
        assertThat(RawTerminal.parse("stty: no size").getColumns()).isEqualTo(80);
    }

    @Test
    void durationsAndSizesAreShort() {
        assertThat(Text.duration(Duration.ofSeconds(-3))).isEqualTo("0s");
        assertThat(Text.duration(Duration.ofSeconds(59))).isEqualTo("59s");
        assertThat(Text.duration(Duration.ofSeconds(3_599))).isEqualTo("59m 59s");
        assertThat(Text.duration(Duration.ofHours(25))).isEqualTo("1d 1h");
        assertThat(Text.bytes(1_023)).isEqualTo("1023 B");
        assertThat(Text.bytes(1_536)).isEqualTo("1.5 KiB");
        assertThat(Text.bytes(Long.MAX_VALUE)).isEqualTo("8192.0 PiB");
    }
}
