package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgentConfigFileTest {
    static final String FULL = """
            node   = "alpha"
            listen = "10.0.0.2:7443"
            limits = "best-effort"
            [paths]
            services = "data"
            allow    = ["/etc/ssl/certs"]
            [alert]
            command    = ["/usr/local/bin/page", "-v"]
            cooldown_s = 60
            timeout_s  = 2.5
            [registries."registry.example:5000"]
            auth_file = "auth.json"
            ca        = "registry-ca.pem"
            [registries.localhost]
            insecure = true
            [microvm]
            vmm   = "qemu"
            accel = "emulation"
            ops_home = "/home/mcp"
            [podman]
            socket = "/run/user/1000/podman/podman.sock"
            [files]
            max_mb = 64
            """;

    @TempDir
    private Path directory;

    private Parsed<AgentConfig> parse(String text) {
        return new AgentConfigFile(directory).parse(text);
    }

    @Test
    void everyKeyIsReadAndPathsAreResolved() {
        assertThat(parse(FULL).orThrow())
                .isEqualTo(new AgentConfig(
                        Name.of("alpha"),
                        Address.parse("10.0.0.2:7443"),
                        false,
                        AgentConfig.LimitMode.BEST_EFFORT,
                        directory.resolve("data"),
                        List.of(Path.of("/etc/ssl/certs")),
                        Optional.of(new AgentConfig.Alert(
                                List.of("/usr/local/bin/page", "-v"), Duration.ofMinutes(1), Duration.ofMillis(2_500))),
                        Map.of(
                                "registry.example:5000",
                                new AgentConfig.Registry(
                                        Optional.of(directory.resolve("auth.json")),
                                        Optional.of(directory.resolve("registry-ca.pem")),
                                        false),
                                "localhost",
                                new AgentConfig.Registry(Optional.empty(), Optional.empty(), true)),
                        AgentConfig.Vmm.QEMU,
                        AgentConfig.Accelerator.EMULATION,
                        Optional.of(Path.of("/home/mcp")),
                        Optional.of(Path.of("/run/user/1000/podman/podman.sock")),
                        64L << 20));
    }

    @Test
    void twoKeysSuffice() {
        assertThat(parse("node = \"alpha\"\nlisten = \"a.example:7443\"\n").orThrow())
                .isEqualTo(AgentConfig.initial(Name.of("alpha"), Address.parse("a.example:7443")));
    }

    @Test
    void aWildcardAddressMustBeAllowed() {
        for (String address : List.of("0.0.0.0:7443", "[::]:7443", "[0::0]:1")) {
            String text = "node = \"alpha\"\nlisten = \"" + address + "\"\n";

            assertThat(parse(text).faults()).singleElement().satisfies(f -> {
                assertThat(f.line()).isEqualTo(2);
                assertThat(f.expected()).isEqualTo("the overlay network's address, or allow_wildcard_bind = true");
            });
            assertThat(parse(text + "allow_wildcard_bind = true\n").orThrow().allowWildcardBind())
                    .isTrue();
        }
    }

    @Test
    void faultsHaveTheirPlaces() {
        assertThat(parse("""
                        listen = "10.0.0.2:70000"
                        limits = "none"
                        [paths]
                        allow = ["certs"]
                        [alert]
                        cooldown_s = -1
                        [registries."http://x"]
                        [registries."x:1"]
                        ca = "c"
                        insecure = true
                        [microvm]
                        vmm = "xen"
                        """).faults())
                .extracting(f -> f.line() + ":" + f.column() + " " + f.message())
                .containsExactly(
                        "1:1 'listen' is '10.0.0.2:70000': expected " + Address.EXPECTED,
                        "1:1 no key 'node': expected " + Name.EXPECTED,
                        "2:1 'limits' is 'none': expected \"enforce\" or \"best-effort\"",
                        "4:10 'allow' is 'certs': expected an absolute path",
                        "5:1 no key 'command': expected a program and its arguments",
                        "6:1 'cooldown_s' is -1.0: expected a number from 0 to 86400",
                        "7:1 image registry 'http://x': expected host[:port] as images name it, in quotes",
                        "10:1 'insecure' besides 'ca': expected one of them",
                        "12:1 'vmm' is 'xen': expected \"auto\" or \"firecracker\" or \"qemu\"");
    }

    @Test
    void aNewFileSaysWhatItWasMadeFrom() throws IOException {
        AgentConfig full = parse(FULL).orThrow();
        AgentConfigFile file = new AgentConfigFile(directory.resolve("new"));

        assertThat(file.create(full)).isEqualTo(full);
        assertThat(file.read().orThrow()).isEqualTo(full);
        assertThatThrownBy(() -> file.create(full))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.CONFLICT));
        assertThat(directory.resolve("new"))
                .isDirectoryContaining("glob:**/agent.toml")
                .isDirectoryNotContaining("glob:**/.*");
    }

    @Test
    void aNewFilesCommentsAreValidKeysToo() {
        AgentConfig initial = AgentConfig.initial(Name.of("alpha"), Address.parse("a:1"));
        String text = AgentConfigWriter.write(initial);

        assertThat(parse(text).orThrow()).isEqualTo(initial);
        AgentConfig filledIn = parse(text.replaceAll("(?m)^# ", "")).orThrow();
        assertThat(filledIn.alert()).isPresent();
        assertThat(filledIn.registries()).containsOnlyKeys("registry.example:5000");
    }

    @Test
    void noFileIsNotFound() {
        assertThatThrownBy(() -> new AgentConfigFile(directory).read())
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.NOT_FOUND));
    }
}
