package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.Component;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import java.time.Duration;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class ComponentDocumentsTest {
    @Provide
    Arbitrary<Component> components() {
        return Generated.components();
    }

    @Property(tries = 300, edgeCases = EdgeCasesMode.NONE)
    void whatIsWrittenIsReadAsTheSameComponent(@ForAll("components") Component component) {
        String document = ComponentDocuments.write(component);

        Component read = ComponentDocuments.read(1, document);
        assertThat(read).isEqualTo(component);
        assertThat(ComponentDocuments.write(read)).isEqualTo(document);
    }

    @Property(tries = 100, edgeCases = EdgeCasesMode.NONE)
    void documentsAreEqualJustWhereComponentsAre(
            @ForAll("components") Component one, @ForAll("components") Component other) {
        assertThat(ComponentDocuments.digest(one).equals(ComponentDocuments.digest(other)))
                .isEqualTo(one.equals(other));
    }

    @Example
    void theCanonicalFormLeavesOutDefaultsAndHasOneOrder() {
        String document = """
                health = {timeout_s = 30.0, http = "8080/healthz"}
                restart = "unless-stopped"
                hold_s = 2
                ports = [
                  "18080:8080/tcp", # a comment
                ]
                volumes = ["data/:/data/"]
                env = []
                cpus = 2
                runtime = "container"
                image = 'registry.example:5000/shop:v1'
                name = "web"
                """;

        assertThat(ComponentDocuments.write(ComponentDocuments.read(1, document)))
                .isEqualTo("""
                name = "web"
                image = "registry.example:5000/shop:v1"
                ports = ["0.0.0.0:18080:8080"]
                volumes = ["data:/data"]
                cpus = 2.0

                [health]
                http = "8080/healthz"
                """);
    }

    @Example
    void aUnikernelsDefaultsAreFilledIn() {
        Component component = ComponentDocuments.read(1, """
                name = "w"
                runtime = "unikernel"
                image = "localhost/w"
                """);

        assertThat(component.runtime()).isEqualTo(RuntimeKind.UNIKERNEL);
        assertThat(component.kernel()).contains(Kernel.UKERNEL);
        assertThat(component.vcpus()).hasValue(1);
        assertThat(component.memoryMb()).hasValue(128);
    }

    /** A digest is in the labels of what runs: were it to change with a release, everything would drift. */
    @Example
    void theDigestOfAComponentNeverChanges() {
        Component component = Component.builder("web", "registry.example:5000/shop:v1.4.0")
                .hold(Duration.ofMillis(1_500))
                .build();

        assertThat(ComponentDocuments.write(component))
                .isEqualTo("name = \"web\"\nimage = \"registry.example:5000/shop:v1.4.0\"\nhold_s = 1.5\n");
        assertThat(ComponentDocuments.digest(component))
                .isEqualTo("e9936afed3a484deb911d03b252c5137b3d35b3cbff78f69f9ff2c3c00010864");
    }

    @Example
    void allFaultsOfADocumentAreOneInvalidProblem() {
        assertThatThrownBy(() -> ComponentDocuments.read(1, "name = \"web\"\ndesired = \"stopped\"\n"))
                .isInstanceOfSatisfying(ProblemException.class, e -> {
                    assertThat(e.problem().kind()).isEqualTo(Problem.Kind.INVALID);
                    assertThat(e.problem().what())
                            .startsWith("document:1:1: no key 'image': expected host[:port]/path")
                            .endsWith(
                                    "\ndocument:2:1: key 'desired': expected no such key: the desired state stands beside the document");
                });
    }

    @Example
    void aDocumentOfANewerVersionIsRefused() {
        assertThatThrownBy(() -> ComponentDocuments.read(2, "name = \"web\"\nimage = \"localhost/x\"\n"))
                .isInstanceOfSatisfying(ProblemException.class, e -> {
                    assertThat(e.problem().kind()).isEqualTo(Problem.Kind.UNSUPPORTED);
                    assertThat(e.problem().what())
                            .isEqualTo("component document of version 2: this program knows version 1");
                });
    }
}
