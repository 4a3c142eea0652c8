package dev.metacircular.definition;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

class DefinitionWriterTest {
    @Provide
    Arbitrary<Service> services() {
        return Generated.services();
    }

    @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
    void aWrittenDefinitionIsReadAsTheSameService(@ForAll("services") Service service) {
        assertThat(DefinitionReaderTest.read(DefinitionWriter.write(service)).orThrow())
                .isEqualTo(service);
    }

    @Example
    void aDefinitionIsWrittenForPeople() {
        Service service = DefinitionReaderTest.read("""
                node='alpha'
                name="shop"
                components=[{name="web",image="localhost/shop",health.tcp=8080,desired="stopped",memory_mb=256}]
                """).orThrow();

        assertThat(DefinitionWriter.write(service)).isEqualTo("""
                name   = "shop"
                node   = "alpha"
                active = true

                [[components]]
                name      = "web"
                desired   = "stopped"
                image     = "localhost/shop"
                memory_mb = 256

                [components.health]
                tcp = 8080
                """);
    }

    @Example
    void theTemplateIsAValidDefinition() {
        String text =
                DefinitionWriter.template(Name.of("shop"), Name.of("alpha"), ImageRef.parse("r.io/x/shop.web:v1"));

        Service service = DefinitionReaderTest.read(text).orThrow();
        assertThat(service.node()).isEqualTo(Name.of("alpha"));
        assertThat(service.components())
                .singleElement()
                .satisfies(e -> assertThat(e.component().image()).hasToString("r.io/x/shop.web:v1"));
    }

    @Example
    void theTemplatesCommentsAreValidKeysToo() {
        String text = DefinitionWriter.template(Name.of("shop"), Name.of("alpha"), ImageRef.parse("r.io/x/shop:v1"))
                .replace("# ", "");

        assertThat(DefinitionReaderTest.faults(text.replace("   sources, below [build].workspace of mcp.toml", "")
                        .replace("   no, on-failure[:n], always", "")
                        .replace("     below /srv/<service>/", "")))
                .isEmpty();
    }
}
