package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServiceDefinitionsTest {
    private static final Name SHOP = Name.of("shop");
    private static final Name WEB = Name.of("web");

    @TempDir
    private Path directory;

    private ServiceDefinitions definitions = new ServiceDefinitions(Path.of("unset"));

    @BeforeEach
    void makeFolder() throws IOException {
        Files.createDirectory(directory.resolve("services"));
        definitions = new ServiceDefinitions(directory);
    }

    private Path write(String name, String text) throws IOException {
        return Files.writeString(directory.resolve("services").resolve(name + ".toml"), text);
    }

    private static String definition(String service, String node, String component) {
        return "name = \"" + service + "\"\nnode = \"" + node + "\"\n\n[[components]]\nname = \"" + component
                + "\"\nimage = \"localhost/x\"\n";
    }

    private static void assertProblem(Problem.Kind kind, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(kind));
    }

    @Test
    void aServiceIsReadFromTheFileOfItsName() throws IOException {
        write("shop", DefinitionReaderTest.SHOP);

        assertThat(definitions.read(SHOP).orThrow().components()).hasSize(2);
        assertThat(definitions.names()).containsExactly(SHOP);
    }

    @Test
    void aServiceWithoutAFileIsNotFoundAndTheOthersAreNamed() throws IOException {
        write("shop", DefinitionReaderTest.SHOP);

        assertThatThrownBy(() -> definitions.read(Name.of("shp")))
                .hasMessageContaining("service 'shp' has no definition")
                .hasMessageContaining("there are definitions of shop");
        assertProblem(Problem.Kind.NOT_FOUND, () -> definitions.read(Name.of("shp")));
        assertThat(new ServiceDefinitions(directory.resolve("none")).names()).isEmpty();
    }

    @Test
    void everyFileIsReadAndACanonicalNameIsTakenOnceANode() throws IOException {
        write("shop", definition("shop", "alpha", "web-x"));
        write("shop-web", definition("shop-web", "alpha", "x"));
        write("other", definition("other", "alpha", "other"));
        write("bad", "name = \"bad\"\n");
        write("Bad Name", definition("shop", "alpha", "x"));

        List<ServiceDefinitions.Definition> all = definitions.readAll();

        assertThat(all)
                .extracting(
                        d -> String.valueOf(d.file().getFileName()),
                        d -> d.service().faults().stream()
                                .map(Fault::message)
                                .toList()
                                .toString()
                                .replaceFirst(":.*", ""))
                .containsExactly(
                        tuple("Bad Name.toml", "['name' is 'shop'"),
                        tuple("bad.toml", "[no key 'components'"),
                        tuple("other.toml", "[]"),
                        tuple("shop-web.toml", "[]"),
                        tuple("shop.toml", "[the canonical name 'shop-web-x', which shop-web/x has on node 'alpha'"));
        assertThat(all.getLast().service().faults())
                .singleElement()
                .satisfies(f -> assertThat(f.line() + ":" + f.column()).isEqualTo("5:1"));

        write("shop-web", definition("shop-web", "beta", "x"));
        assertThat(definitions.readAll().getLast().service().faults()).isEmpty();
    }

    @Test
    void aChangeKeepsTheFilesModeAndLeavesNothingBehind() throws IOException {
        Path file = write("shop", DefinitionReaderTest.SHOP);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));

        assertThat(definitions
                        .setDesired(SHOP, WEB, Desired.STOPPED)
                        .find(WEB)
                        .orElseThrow()
                        .desired())
                .isEqualTo(Desired.STOPPED);
        assertThat(definitions.setActive(SHOP, false).active()).isFalse();

        assertThat(Files.readString(file))
                .isEqualTo(DefinitionReaderTest.SHOP
                        .replace("active = true", "active = false")
                        .replace("name    = \"web\"\n", "name    = \"web\"\ndesired = \"stopped\"\n"));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-r-----");
        assertThat(directory.resolve("services").toFile().list()).containsExactly("shop.toml");
    }

    @Test
    void aSymbolicLinkStaysOne() throws IOException {
        Path elsewhere = Files.writeString(directory.resolve("shop-in-git"), DefinitionReaderTest.SHOP);
        Path link = Files.createSymbolicLink(definitions.file(SHOP), elsewhere);

        definitions.setActive(SHOP, false);

        assertThat(link).isSymbolicLink();
        assertThat(elsewhere).content().contains("active = false");
    }

    @Test
    void aFileThatAnotherProgramChangedIsNotOverwritten() throws IOException {
        Path file = write("shop", DefinitionReaderTest.SHOP + "# more\n");

        assertProblem(
                Problem.Kind.CONFLICT,
                () -> definitions.replace(SHOP, DefinitionReaderTest.SHOP, DefinitionReaderTest.SHOP + "# else\n"));
        assertThat(file).hasContent(DefinitionReaderTest.SHOP + "# more\n");
    }

    @Test
    void aDefinitionIsCreatedOnce() {
        ServiceDefinitions fresh = new ServiceDefinitions(directory.resolve("new"));

        assertThat(fresh.create(SHOP, DefinitionReaderTest.SHOP)).hasContent(DefinitionReaderTest.SHOP);
        assertProblem(Problem.Kind.CONFLICT, () -> fresh.create(SHOP, DefinitionReaderTest.SHOP));
        assertProblem(Problem.Kind.INVALID, () -> fresh.create(Name.of("other"), DefinitionReaderTest.SHOP));
        assertThat(fresh.names()).containsExactly(SHOP);
    }

    @Test
    void aFileThatIsNotTextIsAFault() throws IOException {
        Files.write(
                definitions.file(SHOP), new byte[] {'n', '=', '1', '\n', (byte) 0xc3, (byte) 0xa4, ' ', (byte) 0xff});

        assertThat(definitions.read(SHOP).faults())
                .singleElement()
                .satisfies(f -> assertThat(f.line() + ":" + f.column() + " " + f.message())
                        .isEqualTo("2:3 a byte that is not UTF-8: expected text in UTF-8"));

        Files.write(definitions.file(SHOP), new byte[(1 << 20) + 1]);
        assertThat(definitions.read(SHOP).faults()).hasSize(1);
    }

    @Test
    void aDirectoryInAFilesPlaceIsAFailure() throws IOException {
        Files.createDirectory(definitions.file(SHOP));

        assertProblem(Problem.Kind.FAILED, () -> definitions.read(SHOP));
    }
}
