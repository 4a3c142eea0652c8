package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.model.InstanceState;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

final class ContainerListingTest {
    private static String container(String id, String state) {
        return """
                {"AutoRemove":false,"Command":["web",{"a":[1]}],"Created":"2026-11-21T10:00:00.5Z","ExitedAt":1795255260,"ExitCode":3,"Id":"%s",\
                "Image":"registry.example/app:v1","ImageID":"07","IsInfra":false,"Labels":{"dev.metacircular.node":"alpha","dev.metacircular.service":"shop",\
                "dev.metacircular.component":"web","dev.metacircular.generation":"4","dev.metacircular.document":"d1"},"Names":["shop-web","other"],\
                "Ports":[{"host_ip":"","container_port":80,"host_port":8000,"range":2,"protocol":"tcp,udp"}],"Size":null,"StartedAt":1795255200,"State":"%s"}""".formatted(id, state);
    }

    private static byte[] listing(String... containers) {
        return ("[" + String.join(",", containers) + "]").getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void readsWhatItNeedsAndPassesOverTheRest() {
        List<Instance> instances = ContainerListing.read(
                listing(
                        container("a", "exited"),
                        "{\"Id\":\"i\",\"IsInfra\":true,\"Labels\":{}}",
                        "{\"Id\":\"f\",\"Labels\":null,\"Names\":[\"foreign\"],\"Ports\":null,\"Image\":\"x\",\"State\":\"paused\"}"));
        assertThat(instances).hasSize(2);
        Instance ours = instances.getFirst();
        assertThat(ours.name()).isEqualTo("shop-web");
        assertThat(ours.setAside()).isFalse();
        assertThat(ours.identity().orElseThrow().generation()).isEqualTo(4);
        assertThat(ours.createdAt()).isEqualTo(Instant.parse("2026-11-21T10:00:00.500Z"));
        assertThat(ours.state())
                .isEqualTo(new InstanceState.Ended(
                        3, Instant.ofEpochSecond(1_795_255_200), Instant.ofEpochSecond(1_795_255_260)));
        assertThat(ours.ports().stream().map(Object::toString))
                .containsExactlyInAnyOrder(
                        "0.0.0.0:8000:80", "0.0.0.0:8001:81", "0.0.0.0:8000:80/udp", "0.0.0.0:8001:81/udp");
        Instance foreign = instances.getLast();
        assertThat(foreign.identity()).isEmpty();
        assertThat(foreign.image()).isEqualTo("x");
        assertThat(foreign.state()).isEqualTo(new InstanceState.Unclear("paused"));
    }

    @Test
    void whatAContainerCarriesIsOfItsOwnKindAndImage() {
        String carrier = container("c", "running")
                .replace(
                        "\"dev.metacircular.node\"",
                        "\"dev.metacircular.runtime\":\"unikernel\",\"dev.metacircular.image-id\":\"sha256:77\",\"dev.metacircular.node\"");
        Instance carried = ContainerListing.read(listing(carrier)).getFirst();
        assertThat(carried.id()).isEqualTo(new InstanceId(RuntimeKind.UNIKERNEL, "c"));
        assertThat(carried.imageId()).isEqualTo("sha256:77");
        assertThat(carried.identity()).isPresent();
    }

    @Test
    void anAnswerThatIsNoListingIsNoKnowledge() {
        for (String answer : List.of("", "{}", "[", "[{\"Id\":", "[1]", "hello")) {
            assertThatThrownBy(() -> ContainerListing.read(answer.getBytes(StandardCharsets.UTF_8)))
                    .as(answer)
                    .isInstanceOf(RuntimeFailure.class)
                    .matches(e -> ((RuntimeFailure) e).leavesUnknown());
        }
    }

    @Test
    void aChangedAnswerIsReadAnewAndAnEqualOneIsNot() {
        Deque<byte[]> answers = new ArrayDeque<>(List.of(
                listing(container("a", "running")),
                listing(container("a", "running")),
                listing(container("a", "exited")),
                listing(container("a", "running"))));
        ContainerListing listing = new ContainerListing(answers::removeFirst, UnaryOperator.identity());
        List<Instance> first = listing.ask();
        assertThat(listing.ask()).isSameAs(first);
        assertThat(listing.ask().getFirst().state()).isInstanceOf(InstanceState.Ended.class);
        assertThat(listing.ask()).isEqualTo(first).isNotSameAs(first);
    }
}
