package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.Size;

/**
 * Whatever a file holds, reading it ends in a value or in faults inside the file, and changing it in a problem. A failure tells its seed;
 * {@code -Djqwik.tries.default} makes it longer.
 */
class FuzzTest {
    private static final Path FILE = Path.of("/c/shop.toml");
    private static final List<String> SNIPPETS = List.of(
            "[",
            "]",
            "[[",
            "]]",
            "\"",
            "'",
            "\"\"\"",
            "'''",
            "=",
            ".",
            ",",
            "{",
            "}",
            "#",
            "\n",
            "\r",
            "\t",
            "\\",
            "\0",
            "\ud800",
            "\uFEFF",
            "1e999",
            "-1",
            "9223372036854775808",
            "nan",
            "inf",
            "1979-05-27",
            "true",
            "[components]",
            "[[components]]\n",
            "[[components.ports]]\n",
            "name = 1\n",
            "components = 1\n",
            "health = []\n",
            "\\uD800",
            "é");

    @Provide
    Arbitrary<String> arbitraryTexts() {
        return Arbitraries.oneOf(
                Arbitraries.strings().all().ofMaxLength(300),
                Arbitraries.strings().ascii().ofMaxLength(300),
                Arbitraries.of(SNIPPETS).list().ofMaxSize(60).map(parts -> String.join("", parts)));
    }

    @Provide
    Arbitrary<String> mutatedFiles() {
        Arbitrary<String> valid = Arbitraries.oneOf(
                Arbitraries.of(DefinitionReaderTest.SHOP, AgentConfigFileTest.FULL, ClientConfigFileTest.FULL),
                Combinators.combine(Generated.services(), Arbitraries.longs()).as(Styled::write));
        return Combinators.combine(
                        valid, Arbitraries.longs(), Arbitraries.integers().between(1, 8))
                .as(FuzzTest::mutate);
    }

    private static String mutate(String text, long seed, int times) {
        Random random = new Random(seed);
        StringBuilder out = new StringBuilder(text);
        for (int i = 0; i < times; i++) {
            int at = random.nextInt(out.length() + 1);
            int end = Math.min(out.length(), at + random.nextInt(6));
            switch (random.nextInt(4)) {
                case 0 -> out.delete(at, end);
                case 1 -> out.insert(at, SNIPPETS.get(random.nextInt(SNIPPETS.size())));
                case 2 -> out.replace(at, end, SNIPPETS.get(random.nextInt(SNIPPETS.size())));
                default -> {
                    int lineStart = out.lastIndexOf("\n", at) + 1;
                    int from = random.nextInt(out.length() + 1);
                    out.insert(lineStart, out.substring(from, Math.min(out.length(), from + random.nextInt(80))));
                }
            }
        }
        return out.toString();
    }

    @Property(edgeCases = EdgeCasesMode.NONE)
    void arbitraryTextIsReadOrFaulty(@ForAll("arbitraryTexts") String text) {
        readAsEverything(text);
    }

    @Property(edgeCases = EdgeCasesMode.NONE)
    void aMutatedFileIsReadOrFaulty(@ForAll("mutatedFiles") String text) {
        readAsEverything(text);
    }

    @Property(edgeCases = EdgeCasesMode.NONE)
    void aFileOfAnyBytesIsReadOrFaulty(@ForAll @Size(max = 400) byte[] bytes, @ForAll boolean afterAValidStart)
            throws IOException {
        Path file = Files.createTempFile("fuzz", ".toml");
        try {
            byte[] start = afterAValidStart ? DefinitionReaderTest.SHOP.getBytes(StandardCharsets.UTF_8) : new byte[0];
            byte[] all = Arrays.copyOf(start, start.length + bytes.length);
            System.arraycopy(bytes, 0, all, start.length, bytes.length);
            Files.write(file, all);
            assertThat(TextFile.read(file)
                            .flatMap(text -> DefinitionReader.read(FILE, text))
                            .faults())
                    .allSatisfy(f -> assertThat(f.line()).isPositive());
        } finally {
            Files.delete(file);
        }
    }

    /** What makes parsers take forever, or all of the stack or the memory. */
    @Provide
    Arbitrary<String> monstrousTexts() {
        int size = Limits.FILE_BYTES;
        return Arbitraries.of(
                "a = " + "[".repeat(size / 2),
                "a = " + "[".repeat(5_000) + "]".repeat(5_000),
                "a = " + "{b=".repeat(100_000),
                "[" + "a.".repeat(200_000) + "a]",
                "a.".repeat(200_000) + "a = 1",
                "[[a]]\n".repeat(100_000),
                "[[components]]\n".repeat(Limits.FILE_LINES + 1),
                "name = \"" + "x".repeat(size) + "\"",
                "name = \"\"\"" + "\"\" ".repeat(200_000),
                "name = " + "9".repeat(500_000),
                "name = 0." + "9".repeat(500_000),
                "name = 1e" + "9".repeat(500_000),
                "name = 0x" + "f".repeat(500_000),
                "= \n".repeat(Limits.FILE_LINES),
                "\n".repeat(size),
                "\"\\u".repeat(100_000),
                IntStream.range(0, 15_000).mapToObj(i -> "k" + i + " = 1\n").collect(Collectors.joining()),
                "k = [" + "1,".repeat(250_000) + "]",
                "# " + "\u20ac".repeat(300_000));
    }

    @Property
    void aMonstrousFileIsFaultyInBoundedTime(@ForAll("monstrousTexts") String text) {
        assertTimeoutPreemptively(
                Duration.ofSeconds(60), () -> assertFaultsLieInside(text, DefinitionReader.read(FILE, text)));
    }

    private static void readAsEverything(String text) {
        assertFaultsLieInside(text, new AgentConfigFile(Path.of("/a")).parse(text));
        assertFaultsLieInside(text, new ClientConfigFile(Path.of("/c"), Map.of()).parse(text));
        Parsed<Service> service = DefinitionReader.read(FILE, text);
        assertFaultsLieInside(text, service);
        try {
            ComponentDocuments.read(1, text);
        } catch (ProblemException e) {
            assertThat(e.problem().kind()).isEqualTo(Problem.Kind.INVALID);
        }
        try {
            assertThat(DefinitionReader.read(FILE, DefinitionEditor.setActive(FILE, text, false))
                            .orThrow()
                            .active())
                    .isFalse();
        } catch (ProblemException e) {
            assertThat(e.problem().kind())
                    .isEqualTo(service.faults().isEmpty() ? Problem.Kind.UNSUPPORTED : Problem.Kind.INVALID);
        }
    }

    private static void assertFaultsLieInside(String text, Parsed<?> parsed) {
        List<String> lines = List.of(text.split("\n", -1));
        assertThat(parsed.faults()).isSorted().allSatisfy(fault -> {
            assertThat(fault.line()).isBetween(1, lines.size());
            assertThat(fault.column()).isBetween(1, lines.get(fault.line() - 1).length() + 1);
            assertThat(fault.message()).hasSizeLessThan(1_500).doesNotContain("\n");
        });
    }
}
