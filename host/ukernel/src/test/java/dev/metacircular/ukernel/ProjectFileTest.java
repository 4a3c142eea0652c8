package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.definition.Fault;
import dev.metacircular.image.Capability;
import dev.metacircular.image.RunConfiguration;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProjectFileTest {
    private static final String LEAST = """
            [project]
            name = "hello"
            language = "c"
            entry = "src/main.c"
            """;

    @TempDir
    Path folder;

    private Project valid(String text) throws IOException {
        Files.writeString(folder.resolve("ukernel.toml"), text);
        return ProjectFile.find(folder);
    }

    private List<String> faults(String text) throws IOException {
        Files.writeString(folder.resolve("ukernel.toml"), text);
        return ProjectFile.parse(folder).faults().stream()
                .map(Fault::toString)
                .map(fault -> fault.substring(folder.toString().length() + 1))
                .toList();
    }

    @Test
    void whatIsNotSaidHasADefault() throws IOException {
        Project project = valid(LEAST);
        assertThat(project.adapter()).isEqualTo("native");
        assertThat(project.kernel()).isEqualTo("full");
        assertThat(project.capabilities())
                .hasSize(8)
                .allMatch(c -> c.extraRights().isEmpty());
        assertThat(project.run())
                .isEqualTo(new Project.Run(1, 256, new Project.Net.User(), Optional.empty(), List.of()));
        assertThat(project.files()).isEmpty();
    }

    @Test
    void everythingCanBeSaid() throws IOException {
        Project project = valid("""
                [project]
                name     = "worker-2"
                language = "zig"
                entry    = "src/main.zig"

                [env]
                packages = []

                [build]
                adapter = "native"
                kernel  = "minimal"
                files   = "root"

                [capabilities]
                kinds = ["log", "mem:exec-write,pin"]

                [run]
                vcpu      = 4
                memory_mb = 64
                net       = "user"
                address   = "10.0.2.20/24,10.0.2.2"
                ports     = ["127.0.0.1:8080:80"]
                """);
        assertThat(project.language()).isEqualTo(Language.ZIG);
        assertThat(project.kernel()).isEqualTo("minimal");
        assertThat(project.files()).isEqualTo(Optional.of(Path.of("root")));
        assertThat(project.capabilities())
                .containsExactly(Capability.of(Capability.Kind.LOG), Capability.parse("mem:exec-write,pin"));
        assertThat(project.run().vcpus()).isEqualTo(4);
        assertThat(project.run().ports()).hasSize(1);
        assertThat(project.run().address()).contains(new RunConfiguration.Address("10.0.2.20/24 10.0.2.2"));
    }

    @Test
    void aProjectIsFoundFromAFolderWithinIt() throws IOException {
        valid(LEAST);
        Path deep = Files.createDirectories(folder.resolve("src/deep"));
        assertThat(ProjectFile.find(deep).folder()).isEqualTo(folder);
        assertThatThrownBy(() -> ProjectFile.find(Path.of("/")))
                .isInstanceOf(ProblemException.class)
                .hasMessageContaining("no ukernel.toml")
                .hasMessageContaining("ukernel init");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "[runn]|ukernel.toml:5:1: unknown key 'runn': expected 'run', the nearest of",
                "[run]%vpcu = 2|ukernel.toml:6:1: unknown key 'vpcu': expected 'vcpu', the nearest of",
                "[run]%vcpu = 0|ukernel.toml:6:1: 'vcpu' is 0: expected an integer from 1 to 32",
                "[run]%memory_mb = \"much\"|ukernel.toml:6:1: 'memory_mb' is the string 'much': expected an integer",
                "[run]%net = \"tap\"|ukernel.toml:6:1: 'net' is 'tap': expected \"user\", \"tap:IFACE\" or \"none\"",
                "[run]%net = \"none\"%ports = [\"1:1\"]|ukernel.toml:7:1: 'ports' without net = \"user\"",
                "[run]%address = \"10.0.2.20\"|ukernel.toml:6:1: 'address' is '10.0.2.20': expected \"ADDRESS/LENGTH\" or",
                "[run]%net = \"none\"%address = \"10.0.2.2/24\"|ukernel.toml:7:1: 'address' without a network",
                "[run]%ports = [\"80\"]|ukernel.toml:6:10: 'ports' is '80': expected [address:]host:guest",
                "[build]%kernel = \"big\"|ukernel.toml:6:1: 'kernel' is 'big': expected one of minimal, net, full",
                "[build]%adapter = \"linux\"|ukernel.toml:6:1: 'adapter' is 'linux': expected 'native'",
                "[build]%files = \"../x\"|ukernel.toml:6:1: 'files' is '../x': expected the path of a folder within",
                "[capabilities]%kinds = [\"log\", \"fly\"]|ukernel.toml:6:17: 'kinds' is 'fly': expected a capability",
                "[env]%packages = [\"x\"]|ukernel.toml:6:13: package 'x': expected no packages",
            })
    void aFaultHasItsPlaceAndWhatIsExpected(String lines, String message) throws IOException {
        assertThat(faults(LEAST + lines.replace('%', '\n') + "\n"))
                .singleElement()
                .asString()
                .startsWith(message);
    }

    @Test
    void everyFaultIsReportedAtOnce() throws IOException {
        assertThat(faults("[project]\nname = \"Hello\"\nlanguage = \"cobol\"\nlanguag = 1\n[run]\nvcpu = 99\n"))
                .satisfiesExactly(
                        fault -> assertThat(fault).startsWith("ukernel.toml:1:1: no key 'entry'"),
                        fault -> assertThat(fault).startsWith("ukernel.toml:2:1: 'name' is 'Hello'"),
                        fault -> assertThat(fault).startsWith("ukernel.toml:3:1: 'language' is 'cobol'"),
                        fault -> assertThat(fault).startsWith("ukernel.toml:4:1: unknown key 'languag'"),
                        fault -> assertThat(fault).startsWith("ukernel.toml:6:1: 'vcpu' is 99"));
    }

    @Test
    void aLanguageOfALaterVersionIsSaidSo() throws IOException {
        assertThat(faults(LEAST.replace("\"c\"", "\"python\"")))
                .singleElement()
                .asString()
                .contains("language 'python' is not built by this version")
                .contains("expected \"c\" or \"zig\"");
    }
}
