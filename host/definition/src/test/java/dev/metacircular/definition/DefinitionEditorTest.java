package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class DefinitionEditorTest {
    private static final Path FILE = Path.of("shop.toml");
    private static final Name WEB = Name.of("web");

    @Provide
    Arbitrary<Service> services() {
        return Generated.services();
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    void settingAComponentsDesiredStateChangesThatAlone(
            @ForAll("services") Service service, @ForAll long style, @ForAll Desired desired, @ForAll int which) {
        String text = Styled.write(service, style);
        assertThat(DefinitionReader.read(FILE, text).orThrow()).isEqualTo(service);
        int index = Math.floorMod(which, service.components().size());
        Service.Entry entry = service.components().get(index);

        String edited =
                DefinitionEditor.setDesired(FILE, text, entry.component().name(), desired);

        List<Service.Entry> entries = new ArrayList<>(service.components());
        entries.set(index, new Service.Entry(entry.component(), desired));
        assertThat(DefinitionReader.read(FILE, edited).orThrow())
                .isEqualTo(new Service(
                        service.name(),
                        service.node(),
                        service.active(),
                        service.path(),
                        service.buildImages(),
                        entries));
        assertOnlyOneValueDiffers(text, edited, entry.desired() == desired);
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    void settingTheActiveFlagChangesThatAlone(
            @ForAll("services") Service service, @ForAll long style, @ForAll boolean active) {
        String text = Styled.write(service, style);

        String edited = DefinitionEditor.setActive(FILE, text, active);

        assertThat(DefinitionReader.read(FILE, edited).orThrow())
                .isEqualTo(new Service(
                        service.name(),
                        service.node(),
                        active,
                        service.path(),
                        service.buildImages(),
                        service.components()));
        assertOnlyOneValueDiffers(text, edited, service.active() == active);
    }

    /** What is not common to both, at the beginning and the end, is one value or one line. */
    private static void assertOnlyOneValueDiffers(String text, String edited, boolean same) {
        if (same) {
            assertThat(edited).isEqualTo(text);
            return;
        }
        int start = 0;
        while (start < Math.min(text.length(), edited.length()) && text.charAt(start) == edited.charAt(start)) {
            start++;
        }
        int tail = 0;
        while (tail < Math.min(text.length(), edited.length()) - start
                && text.charAt(text.length() - 1 - tail) == edited.charAt(edited.length() - 1 - tail)) {
            tail++;
        }
        assertThat(text.substring(start, text.length() - tail)).matches("(?s).{0,24}");
        assertThat(edited.substring(start, edited.length() - tail))
                .matches("(?s).{0,40}")
                .doesNotContain("\n\n");
        assertThat(edited.lines().count() - text.lines().count()).isBetween(-1L, 1L);
    }

    @Example
    void aPresentKeyKeepsItsSpacingAndComment() {
        String text = """
                name = "shop"
                node = "alpha"
                [[components]]
                name = "web"
                  desired='running'# for now
                image = "localhost/shop"
                """;

        assertThat(DefinitionEditor.setDesired(FILE, text, WEB, Desired.STOPPED))
                .isEqualTo(text.replace("'running'#", "\"stopped\"#"));
    }

    @Example
    void anAbsentKeyIsAlignedBelowTheName() {
        String text = """
                name   = "shop"
                node   = "alpha"   # the big one

                [[components]]
                  name    = "web"   # the front
                  image   = "localhost/shop"
                """;

        assertThat(DefinitionEditor.setDesired(FILE, text, WEB, Desired.IGNORE))
                .isEqualTo(text.replace("the front\n", "the front\n  desired = \"ignore\"\n"));
        assertThat(DefinitionEditor.setActive(FILE, text, false))
                .isEqualTo(text.replace("big one\n", "big one\nactive = false\n"));
    }

    @Example
    void theFilesNewlinesAndItsLackOfALastOneAreKept() {
        String text = "name='shop'\r\nnode='alpha'\r\n[[components]]\r\nimage='localhost/shop'\r\nname='web'";

        assertThat(DefinitionEditor.setDesired(FILE, text, WEB, Desired.STOPPED))
                .isEqualTo(text + "\r\ndesired=\"stopped\"");
    }

    @Example
    void componentsInInlineTablesAreNotTouched() {
        String text = """
                name = "shop"
                node = "alpha"
                components = [{name = "web", image = "localhost/shop"}]
                """;

        assertThatThrownBy(() -> DefinitionEditor.setDesired(FILE, text, WEB, Desired.STOPPED))
                .isInstanceOfSatisfying(ProblemException.class, e -> {
                    assertThat(e.problem().kind()).isEqualTo(Problem.Kind.UNSUPPORTED);
                    assertThat(e.problem().toString()).isEqualTo("""
                            shop.toml: 'desired' cannot be set in this file: 'components' is not written as [[components]] tables
                              next: edit the file by hand, or write each component as a [[components]] table""");
                });
    }

    @Example
    void aComponentThatIsNotThereIsNotFound() {
        assertThatThrownBy(() ->
                        DefinitionEditor.setDesired(FILE, DefinitionReaderTest.SHOP, Name.of("api"), Desired.STOPPED))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.NOT_FOUND));
    }

    @Example
    void aFaultyFileIsNotTouched() {
        assertThatThrownBy(() -> DefinitionEditor.setActive(FILE, "name = \"shop\"\n", false))
                .isInstanceOfSatisfying(
                        ProblemException.class,
                        e -> assertThat(e.problem().kind()).isEqualTo(Problem.Kind.INVALID));
    }
}
