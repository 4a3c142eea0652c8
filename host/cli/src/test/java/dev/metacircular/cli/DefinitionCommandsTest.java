package dev.metacircular.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.contract.v1.AdoptResponse;
import dev.metacircular.contract.v1.Adopted;
import dev.metacircular.contract.v1.ComponentDocument;
import dev.metacircular.contract.v1.ListRequest;
import dev.metacircular.contract.v1.ListResponse;
import dev.metacircular.contract.v1.NotAdopted;
import dev.metacircular.contract.v1.RegisteredComponent;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.definition.ServiceDefinitions;
import dev.metacircular.model.Name;
import dev.metacircular.model.Service;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code mcp adopt} and {@code mcp service edit, export, new}. */
@Timeout(30)
class DefinitionCommandsTest {
    private static final Name SHOP = Name.of("shop");
    private static final String FULL = """
            name = "shop"
            node = "alpha"
            active = false
            path = "src/shop"

            [build.images]
            shop = "Dockerfile"

            [[components]]
            name = "web"
            image = "registry.example:5000/shop:v1.4.0"
            ports = ["127.0.0.1:18080:8080"]
            env = ["A=\\"quoted\\"", "B=ü"]
            volumes = ["data:/data:ro"]
            cpus = 0.5

            [components.health]
            http = "8080/healthz"
            timeout_s = 1.5

            [[components]]
            name = "job"
            desired = "ignore"
            restart = "on-failure:3"
            image = "registry.example:5000/job@sha256:%s"
            """.formatted("0".repeat(64));

    @TempDir
    private Path home;

    private Operator operator;

    @BeforeEach
    void start() {
        operator = new Operator(home);
    }

    @AfterEach
    void stop() {
        operator.close();
    }

    private Service defined() {
        return new ServiceDefinitions(home).read(SHOP).orThrow();
    }

    /** An agent that has what was deployed from a definition. */
    private static ScriptedAgent holding(Service service) {
        return new ScriptedAgent() {
            @Override
            public void list(ListRequest request, StreamObserver<ListResponse> response) {
                ListResponse.Builder list =
                        ListResponse.newBuilder().setActive(service.active()).setGeneration(3);
                for (Service.Entry e : service.components()) {
                    list.addComponents(RegisteredComponent.newBuilder()
                            .setService("shop")
                            .setComponent(e.component().name().value())
                            .setDocument(ComponentDocument.newBuilder()
                                    .setVersion(ComponentDocuments.VERSION)
                                    .setToml(ComponentDocuments.write(e.component()))
                                    .setDesired(e.desired().toString())));
                }
                answer(response, list.build());
            }
        };
    }

    private static List<String> digests(Service service) {
        return service.components().stream()
                .map(e -> e.component().name() + " " + e.desired() + " " + ComponentDocuments.digest(e.component()))
                .toList();
    }

    @Test
    void whatIsExportedHasTheDigestsOfWhatWasDeployed() throws IOException {
        operator.define("shop", FULL);
        Service deployed = defined();
        operator.node("alpha", holding(deployed));
        Files.delete(home.resolve("services/shop.toml"));

        assertThat(operator.mcp("service", "export", "shop").exit()).isZero();

        assertThat(digests(defined())).isEqualTo(digests(deployed));
        assertThat(defined().active()).isFalse();
        assertThat(operator.mcp("validate", "shop").exit()).isZero();
    }

    @Test
    void anExportReplacesNoDefinitionUnlessForcedAndThenKeepsWhatOnlyTheFileKnows() {
        operator.define("shop", FULL);
        Service deployed = defined();
        operator.node("alpha", holding(deployed));
        operator.define("shop", FULL.replace("v1.4.0", "v9"));

        Operator.Result refused = operator.mcp("service", "export", "shop");
        assertThat(refused.exit()).isEqualTo(1);
        assertThat(refused.err()).contains("has a definition already", "--force");
        assertThat(operator.read("services/shop.toml")).contains("v9");
        Operator.Result shown = operator.mcp("service", "export", "shop", "--stdout");
        assertThat(shown.out()).contains("v1.4.0").doesNotContain("Dockerfile");

        Operator.Result forced = operator.mcp("service", "export", "shop", "--force", "--json");
        assertThat(forced.out())
                .startsWith(
                        "{\"result\":\"ok\",\"service\":\"shop\",\"file\":\"HOME/services/shop.toml\",\"text\":\"name");
        assertThat(defined()).isEqualTo(deployed);
    }

    @Test
    void aNewDefinitionIsValidAndReplacesNone() {
        operator.node("beta", new ScriptedAgent());
        Operator.Result made = operator.mcp("service", "new", "shop", "--json");
        assertThat(made.out())
                .isEqualTo("{\"result\":\"ok\",\"service\":\"shop\",\"file\":\"HOME/services/shop.toml\"}\n");
        assertThat(operator.mcp("validate", "shop").exit()).isZero();
        assertThat(defined().node()).isEqualTo(Name.of("beta"));
        String text = operator.read("services/shop.toml");
        assertThat(operator.mcp("service", "new", "shop").exit()).isEqualTo(1);
        assertThat(operator.read("services/shop.toml")).isEqualTo(text);
    }

    @Test
    void everyCommentedKeyOfANewDefinitionIsValidToo() {
        operator.define(
                "shop",
                ServiceNewCommand.template(SHOP, "alpha", "registry.example/shop:v1")
                        .replaceAll("(?m)^# (?=[a-z]+ += |\\[|[a-z_]+ *=)", ""));
        assertThat(operator.mcp("validate", "shop").err()).isEmpty();
        assertThat(defined().components().getFirst().component().health()).isPresent();
    }

    private Operator editor(String script) {
        return operator.variable("EDITOR", "x() { " + script + "; }; x");
    }

    private List<Path> copies() throws IOException {
        try (Stream<Path> all = Files.list(home.resolve("services"))) {
            return all.filter(f -> String.valueOf(f.getFileName()).startsWith(".shop.toml.edit-"))
                    .toList();
        }
    }

    @Test
    void anEditReplacesTheFileByAValidOne() throws IOException {
        operator.define("shop", FULL);
        Operator.Result result = editor("sed -i s/v1.4.0/v1.5.0/ \"$1\"").mcp("service", "edit", "shop", "--json");
        assertThat(result.out())
                .isEqualTo(
                        "{\"result\":\"ok\",\"service\":\"shop\",\"file\":\"HOME/services/shop.toml\",\"changed\":true}\n");
        assertThat(operator.read("services/shop.toml")).isEqualTo(FULL.replace("v1.4.0", "v1.5.0"));
        assertThat(copies()).isEmpty();
        assertThat(editor("true").mcp("service", "edit", "shop").out()).contains("nothing was changed");
    }

    @Test
    void aFaultyEditIsToldAndGoneOnWith() throws IOException {
        operator.define("shop", FULL);
        Operator.Result result = editor("if grep -q imagine \"$1\"; then sed -i s/imagine/image/ \"$1\";"
                        + " else sed -i '0,/^image/s//imagine/' \"$1\"; fi; sed -i s/v1.4.0/v2/ \"$1\"")
                .types("y\n")
                .mcp("service", "edit", "shop");
        assertThat(result.exit()).isZero();
        assertThat(result.err()).contains("imagine", "the nearest of", "go on editing?");
        assertThat(operator.read("services/shop.toml")).isEqualTo(FULL.replace("v1.4.0", "v2"));
        assertThat(copies()).isEmpty();
    }

    @Test
    void givenUpTheFileIsAsItWasAndTheCopyIsKeptAndNamed() throws IOException {
        operator.define("shop", FULL);
        Operator.Result result = editor("echo nonsense >> \"$1\"").types("n\n").mcp("service", "edit", "shop");
        assertThat(result.exit()).isEqualTo(2);
        assertThat(operator.read("services/shop.toml")).isEqualTo(FULL);
        assertThat(copies()).hasSize(1);
        assertThat(result.err())
                .contains("what you wrote is kept in HOME/services/"
                        + copies().getFirst().getFileName());
        assertThat(Files.readString(copies().getFirst())).endsWith("nonsense\n");
        assertThat(operator.mcp("validate").exit()).isZero();
    }

    @Test
    void aFileThatChangedMeanwhileAndAnEditorThatFailsLoseNothing() throws IOException {
        operator.define("shop", FULL);
        Operator.Result result = editor("echo '# mine' >> \"$1\"; echo '# theirs' >> " + home + "/services/shop.toml")
                .mcp("service", "edit", "shop");
        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.err()).contains("changed by another program", "what you wrote is kept in");
        assertThat(operator.read("services/shop.toml")).isEqualTo(FULL + "# theirs\n");
        assertThat(Files.readString(copies().getFirst())).endsWith("# mine\n");

        Operator.Result failed = editor("echo '# more' >> \"$1\"; false").mcp("service", "edit", "shop");
        assertThat(failed.exit()).isEqualTo(1);
        assertThat(failed.err()).contains("ended with status 1", "what you wrote is kept in");
        assertThat(copies()).hasSize(2);
        editor("false").mcp("service", "edit", "shop");
        assertThat(copies()).hasSize(2);
    }

    /** Takes one and leaves one. */
    private static final class Adopting extends ScriptedAgent {
        final List<AdoptRequest> adoptions = new CopyOnWriteArrayList<>();

        @Override
        public void list(ListRequest request, StreamObserver<ListResponse> response) {
            answer(response, ListResponse.getDefaultInstance());
        }

        @Override
        public void adopt(AdoptRequest request, StreamObserver<AdoptResponse> response) {
            adoptions.add(request);
            answer(
                    response,
                    AdoptResponse.newBuilder()
                            .setGeneration(1)
                            .addAdopted(Adopted.newBuilder()
                                    .setComponent("web")
                                    .setName("shop-web")
                                    .setInstance("0123456789abcdef")
                                    .setRuntime("container")
                                    .setImage("registry.example/shop:v1")
                                    .setRestartPolicy("always")
                                    .addLost("podman's volume x at /y"))
                            .addLeft(NotAdopted.newBuilder().setName("shop-db").setWhy("it does not run"))
                            .build());
        }
    }

    @Test
    void adoptSaysWhichNamesItLookedForWhereThereIsNothing() {
        operator.node("alpha", new ScriptedAgent() {
            @Override
            public void list(ListRequest request, StreamObserver<ListResponse> response) {
                answer(response, ListResponse.getDefaultInstance());
            }

            @Override
            public void adopt(AdoptRequest request, StreamObserver<AdoptResponse> response) {
                answer(response, AdoptResponse.getDefaultInstance());
            }
        });
        assertThat(operator.mcp("adopt", "nope").out())
                .contains("nothing to adopt on node alpha", "named 'nope' or begin with 'nope-'");
        assertThat(operator.shop().mcp("adopt", "shop").out())
                .contains("the names of its definition's components: shop-web");
    }

    @Test
    void adoptShowsWhatWasTakenAndWhatNotAndWhy() {
        Adopting agent = new Adopting();
        operator.node("alpha", agent).define("shop-api", FULL.replace("\"shop\"", "\"shop-api\""));

        Operator.Result result = operator.mcp("adopt", "shop");
        assertThat(result.exit()).isZero();
        assertThat(result.out())
                .contains("adopted on node alpha", "shop/web   shop-web", "0123456789ab ", "always")
                .contains("shop-db", "it does not run");
        assertThat(result.err()).contains("podman's volume x at /y", "mcp service export shop");
        AdoptRequest asked = agent.adoptions.getFirst();
        assertThat(asked.hasDefinition()).isFalse();
        assertThat(asked.getKnownServicesList()).containsExactly("shop-api");
        assertThat(asked.getIdempotencyKey()).isNotEmpty();

        operator.define("shop", FULL);
        assertThat(operator.mcp("adopt", "shop", "--dry-run", "--json").out())
                .isEqualTo("{\"result\":\"ok\",\"node\":\"alpha\",\"service\":\"shop\",\"generation\":1,"
                        + "\"adopted\":[{\"component\":\"web\",\"name\":\"shop-web\",\"instance\":\"0123456789abcdef\","
                        + "\"runtime\":\"container\",\"image\":\"registry.example/shop:v1\",\"restart_policy\":\"always\","
                        + "\"lost\":[\"podman's volume x at /y\"]}],\"left\":[{\"name\":\"shop-db\",\"instance\":null,"
                        + "\"why\":\"it does not run\"}]}\n");
        assertThat(agent.adoptions.getLast().getDryRun()).isTrue();
        assertThat(agent.adoptions.getLast().getDefinition().getComponentsCount())
                .isEqualTo(2);
    }

    @Test
    void withoutDefinitionAndWithSeveralNodesOneMustBeNamed() {
        operator.node("alpha", new Adopting()).node("beta", new Adopting());
        assertThat(operator.mcp("adopt", "shop").exit()).isEqualTo(2);
        assertThat(operator.mcp("adopt", "shop", "--node", "beta").exit()).isZero();
    }
}
