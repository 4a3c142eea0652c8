package dev.metacircular.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.contract.v1.ServiceDocument;
import dev.metacircular.model.Component;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.Observed;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.Service;
import io.grpc.Metadata;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;

class MessagesTest {
    private static final Component WEB =
            Component.builder("web", "localhost/web").build();
    private static final Service SHOP = new Service(
            Name.of("shop"),
            Name.of("alpha"),
            true,
            Optional.empty(),
            Map.of(),
            List.of(new Service.Entry(WEB, Desired.STOPPED)));

    @Test
    void aServiceSurvivesTheWire() {
        ServiceDocument message = Messages.toMessage(SHOP, c -> "document of " + c.name());

        assertThat(message.getComponents(0).getToml()).isEqualTo("document of web");
        assertThat(Messages.fromMessage(message, toml -> WEB)).isEqualTo(SHOP);
    }

    @Test
    void aDocumentOfAnotherVersionIsUnsupported() {
        ServiceDocument.Builder message = Messages.toMessage(SHOP, c -> "").toBuilder();
        message.getComponentsBuilder(0).setVersion(2);

        assertRefused(message.build(), Problem.Kind.UNSUPPORTED);
    }

    @Test
    void faultyNamesAndStatesAndDoubleComponentsAreInvalid() {
        ServiceDocument good = Messages.toMessage(SHOP, c -> "");
        ServiceDocument.Builder badState = good.toBuilder();
        badState.getComponentsBuilder(0).setDesired("asleep");

        assertRefused(good.toBuilder().setName("No").build(), Problem.Kind.INVALID);
        assertRefused(good.toBuilder().setNode("").build(), Problem.Kind.INVALID);
        assertRefused(badState.build(), Problem.Kind.INVALID);
        assertRefused(good.toBuilder().addComponents(good.getComponents(0)).build(), Problem.Kind.INVALID);
    }

    @Test
    void anExitCodeExistsOnlyWhereTheStateIsExited() {
        assertThat(Messages.exitCode(new Observed.Exited(3))).hasValue(3);
        assertThat(Messages.exitCode(new Observed.Stopped())).isEmpty();
    }

    @Test
    void onlyABearerTokenIsTakenFromTheHeaders() {
        Metadata headers = new Metadata();
        assertThat(Bearer.token(headers)).isEmpty();
        headers.put(Bearer.AUTHORIZATION, "Basic abc");
        assertThat(Bearer.token(headers)).isEmpty();

        Metadata bearer = new Metadata();
        bearer.put(Bearer.AUTHORIZATION, Bearer.header("secret"));
        assertThat(Bearer.token(bearer)).hasValue("secret");
    }

    private static void assertRefused(ServiceDocument message, Problem.Kind kind) {
        assertThatThrownBy(() -> Messages.fromMessage(message, toml -> WEB))
                .asInstanceOf(InstanceOfAssertFactories.type(ProblemException.class))
                .extracting(e -> e.problem().kind())
                .isEqualTo(kind);
    }
}
