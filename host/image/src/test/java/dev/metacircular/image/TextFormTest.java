package dev.metacircular.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextFormTest {
    private static final String SOUND = """
            ukernel-manifest 1
            name hello
            abi 0.1
            adapter native
            start /app/hello
            entry /app/hello
            """;

    private static Manifest parse(String text) {
        return Manifest.parse(text.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void aManifestComesBackAsItWasWritten() {
        Manifest manifest = Samples.manifest();
        assertThat(Manifest.parse(manifest.toBytes())).isEqualTo(manifest);
        assertThat(new String(manifest.toBytes(), StandardCharsets.UTF_8))
                .contains("arg --greeting=hello world\n", "arg 100%25%0A\n", "capability mem:exec-write,pin\n");
    }

    @Test
    void unknownKeysAreIgnoredAndValuesMayBeEmpty() {
        Manifest manifest = parse(SOUND + "colour blue\narg \nenv EMPTY=\n");
        assertThat(manifest.arguments()).containsExactly("");
        assertThat(manifest.environment()).containsEntry("EMPTY", "");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "arg|line 7: it has no key and value",
                "' x'|line 7: it has no key and value",
                "arg %4|line 7: its value has a '%'",
                "arg %zz|line 7: its value has a '%'",
                "arg %ff|line 7: its value has a '%'",
                "arg %FF|line 7: it is not UTF-8",
                "env NAME|line 7: 'NAME' is not NAME=VALUE",
                "capability fly|line 7: 'fly' is not a kind of capability: the kinds are log, time",
                "capability mem:fly|line 7: 'fly' is not a right of 'mem'",
                "capability log:pin|line 7: Capability 'log' has no extra rights",
                "abi 0.1|line 7: 'abi' stands twice",
                "segment kernel 1|line 7: 'kernel 1' is not a segment",
                "digest kernel abc|line 7: 'abc' is not a digest",
            })
    void aWrongLineIsNamed(String line, String message) {
        assertThatThrownBy(() -> parse(SOUND + line + "\n"))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("The manifest cannot be read: " + message);
    }

    @Test
    void aMissingKeyOrLineEndIsNamed() {
        assertThatThrownBy(() -> parse(SOUND.replace("abi 0.1\n", ""))).hasMessageContaining("'abi' is missing");
        assertThatThrownBy(() -> parse(SOUND + "arg x")).hasMessageContaining("line 7: it has no line end");
        assertThatThrownBy(() -> parse("")).hasMessageContaining("empty");
        assertThatThrownBy(() -> parse("ukernel-manifest 2\n")).hasMessageContaining("'ukernel-manifest 2'");
    }

    @Test
    void limitsHold() {
        assertThatThrownBy(() -> parse(SOUND + "x y\n".repeat(1024))).hasMessageContaining("more than 1024 lines");
        assertThatThrownBy(() -> parse(SOUND + "arg " + "x".repeat(70_000) + "\n"))
                .hasMessageContaining("65536");
        RunConfiguration long_ = new RunConfiguration(
                Collections.nCopies(2000, "x"), Map.of(), Instant.EPOCH, RunConfiguration.Seed.random());
        assertThatThrownBy(long_::toBytes)
                .hasMessageContaining("its limit is 1024")
                .hasMessageContaining("fewer");
    }

    @Test
    void aRunConfigurationIsLinesForTheKernel() {
        RunConfiguration configuration = new RunConfiguration(
                List.of("--verbose", "a b\tc"),
                Map.of("TOKEN", "50%=x"),
                Instant.ofEpochSecond(1_790_000_000, 5),
                new RunConfiguration.Seed("0a".repeat(32)));
        RunConfiguration addressed = new RunConfiguration(
                List.of(),
                Map.of(),
                Instant.EPOCH,
                RunConfiguration.Seed.random(),
                Optional.of(new RunConfiguration.Address("10.0.0.2/24 10.0.0.1")));
        assertThat(new String(addressed.toBytes(), StandardCharsets.UTF_8))
                .endsWith("\naddress 10.0.0.2/24 10.0.0.1\n");
        assertThat(List.of("10.0.0.2", "10.0.0.2/33", "10.0.0/8", "10.0.0.256/8", "10.0.0.2/24 x", "1.2.3.4.5/8"))
                .allSatisfy(text -> assertThatThrownBy(() -> new RunConfiguration.Address(text))
                        .isInstanceOf(ImageException.class)
                        .hasMessageContaining(text));
        assertThat(new String(configuration.toBytes(), StandardCharsets.UTF_8)).isEqualTo("""
                        ukernel-config 1
                        arg --verbose
                        arg a b%09c
                        env TOKEN=50%25=x
                        wall_ns 1790000000000000005
                        seed 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
                        """);
        assertThat(configuration.toString())
                .doesNotContain("50%", "verbose", "0a0a")
                .contains("TOKEN");
    }

    @Test
    void aRunConfigurationNamesNameServersAndADomain() {
        RunConfiguration configuration = new RunConfiguration(
                List.of(),
                Map.of(),
                Instant.EPOCH,
                RunConfiguration.Seed.random(),
                Optional.empty(),
                new RunConfiguration.Names(List.of("10.89.0.1", "127.0.0.1", "9.9.9.9"), Optional.of("dns.podman")));
        assertThat(new String(configuration.toBytes(), StandardCharsets.UTF_8))
                .endsWith("\nnameserver 10.89.0.1\nnameserver 127.0.0.1\nnameserver 9.9.9.9\nsearch dns.podman\n");
        assertThat(List.of("10.0.0", "ns.test", "0.0.0.0", "224.0.0.1", "255.1.1.1", "10.0.0.1/8", "1.1.1.1\n"))
                .allSatisfy(server -> assertThatThrownBy(
                                () -> new RunConfiguration.Names(List.of(server), Optional.empty()))
                        .isInstanceOf(ImageException.class)
                        .hasMessageContaining(server));
        assertThatThrownBy(() -> new RunConfiguration.Names(Collections.nCopies(4, "1.1.1.1"), Optional.empty()))
                .isInstanceOf(ImageException.class);
        assertThat(List.of("", "a..b", "a.", ".a", "a b", "ä", "a\n", "a".repeat(64), "abc.".repeat(63) + "ab"))
                .allSatisfy(
                        domain -> assertThatThrownBy(() -> new RunConfiguration.Names(List.of(), Optional.of(domain)))
                                .isInstanceOf(ImageException.class));
    }

    @Test
    void seedsDiffer() {
        assertThat(RunConfiguration.Seed.random()).isNotEqualTo(RunConfiguration.Seed.random());
    }
}
