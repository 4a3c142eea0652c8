package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.Messages;
import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.contract.v1.AdoptResponse;
import dev.metacircular.contract.v1.Adopted;
import dev.metacircular.contract.v1.ComponentStatus;
import dev.metacircular.definition.ComponentDocuments;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Service;
import dev.metacircular.registry.RegistryEvent;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class AdoptionTest {
    private static final String OLD = "registry.example:5000/shop:v1";
    private static final String NEW = "registry.example:5000/shop:v2";
    private static final String BAD = "registry.example:5000/shop:bad";
    private static final Name SHOP = Name.of("shop");
    private static final ComponentId WEB = ComponentId.of("shop", "web");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    @BeforeEach
    void open() {
        node = new TestNode(directory);
        node.fake.install(OLD, FakeProgram.serves());
        node.fake.publish(NEW, FakeProgram.serves());
        node.fake.publish(BAD, FakeProgram.exits(3, "no"));
    }

    @AfterEach
    void close() {
        node.close();
    }

    private InstanceId foreign(String name) {
        return node.fake.addForeign(
                name,
                Component.builder("x", OLD)
                        .ports(List.of(PortMapping.parse(
                                "127.0.0.1:" + (20_000 + Math.floorMod(name.hashCode(), 10_000)) + ":80")))
                        .build());
    }

    private static AdoptRequest.Builder request() {
        return AdoptRequest.newBuilder().setService("shop");
    }

    private static AdoptRequest.Builder with(Service definition) {
        return request().setDefinition(Messages.toMessage(definition, ComponentDocuments::write));
    }

    private AdoptResponse adopt(AdoptRequest.Builder request) {
        return node.adoption.adopt("tester", request.build());
    }

    private Map<String, String> left(AdoptResponse response) {
        Map<String, String> left = new java.util.TreeMap<>();
        response.getLeftList().forEach(l -> left.put(l.getName(), l.getWhy()));
        return left;
    }

    private ComponentStatus status() {
        return node.status.status(Optional.of(SHOP)).getComponents(0);
    }

    private Instance only() {
        List<Instance> all = node.fake.listAll();
        assertThat(all).hasSize(1);
        return all.getFirst();
    }

    @Test
    void takesByTheServicesPrefixAndALongerKnownNameWins() {
        foreign("shop");
        foreign("shop-web");
        foreign("shop-api-db");
        foreign("shop-tool-x");
        foreign("shop_old");
        foreign("shopping");
        assertThat(node.deploy(service("shop-tool", serving("y", OLD).build())).error())
                .isEmpty();

        AdoptResponse response = adopt(request().addKnownServices("shop-api"));

        assertThat(response.getAdoptedList()).extracting(Adopted::getComponent).containsExactly("shop", "web");
        assertThat(response.getAdopted(0).getRestartPolicy()).isEqualTo("always");
        assertThat(response.getAdopted(0).getLostList()).containsExactly("its charm");
        assertThat(left(response))
                .containsOnlyKeys("shop-api-db", "shop-tool-x", "shop-tool-y", "shop_old")
                .hasEntrySatisfying("shop-api-db", w -> assertThat(w).contains("'shop-api'"))
                .hasEntrySatisfying("shop-tool-x", w -> assertThat(w).contains("'shop-tool'"))
                .hasEntrySatisfying("shop-tool-y", w -> assertThat(w).contains("shop-tool/y"))
                .hasEntrySatisfying("shop_old", w -> assertThat(w).contains("podman rename shop_old shop-old"));
    }

    @Test
    void takesByTheDefinitionsCanonicalNamesAndNothingElse() {
        InstanceId web = foreign("shop-web");
        foreign("shop-db");
        Service definition =
                service("shop", serving("web", NEW).build(), serving("api", NEW).build());

        AdoptResponse response = adopt(with(definition));

        assertThat(response.getAdoptedList()).extracting(Adopted::getInstance).containsExactly(web.value());
        assertThat(left(response))
                .containsOnlyKeys("shop-api", "shop-db")
                .hasEntrySatisfying("shop-api", w -> assertThat(w).contains("no instance"))
                .hasEntrySatisfying("shop-db", w -> assertThat(w).contains("no component of the definition"));
        assertThat(node.view.require(SHOP).find(Name.of("web")).orElseThrow().component())
                .isEqualTo(serving("web", NEW).build());
    }

    @Test
    void aDryRunChangesNothing() {
        foreign("shop-web");
        assertThat(adopt(request().setDryRun(true)).getAdoptedCount()).isEqualTo(1);
        assertThat(node.view.service(SHOP)).isEmpty();
        assertThat(node.registry.adopted()).isEmpty();
    }

    @Test
    void whatDoesNotRunIsNotTaken() {
        node.fake.crash(foreign("shop-web"), 0);
        AdoptResponse response = adopt(request());
        assertThat(response.getAdoptedCount()).isZero();
        assertThat(left(response)).containsEntry("shop-web", "it does not run");
        assertThat(node.view.service(SHOP)).isEmpty();
    }

    @Test
    void whatTheDefinitionWantsStoppedIsNotTakenForItWouldBeStopped() throws InterruptedException {
        foreign("shop-web");
        Service definition = new Service(
                SHOP,
                TestNode.NODE,
                true,
                Optional.empty(),
                Map.of(),
                List.of(new Service.Entry(serving("web", NEW).build(), Desired.STOPPED)));
        assertThat(adopt(with(definition)).getAdoptedCount()).isZero();
        node.settle();
        assertThat(Instances.isRunning(only())).isTrue();
    }

    @Test
    void itIsShownAndHeldByItsIdOverARestartOfTheAgentAndNothingOfItChanges() throws InterruptedException {
        InstanceId web = foreign("shop-web");
        Instance before = only();
        adopt(request());
        node.settle();
        node.restart();
        node.settle();

        assertThat(status().getObserved()).isEqualTo("running");
        assertThat(status().getDriftList()).containsExactly("config");
        assertThat(only()).isEqualTo(before);
        assertThat(only().id()).isEqualTo(web);
        assertThat(node.eventKinds()).contains("adopted");
    }

    @Test
    void itsOwnRestartPolicyHoldsAndAnEndIsRecorded() throws InterruptedException {
        InstanceId web = foreign("shop-web");
        adopt(request());
        node.settle();
        node.fake.crash(web, 3);
        node.settle();
        node.clock.advance(java.time.Duration.ofMinutes(5));
        node.settle();

        assertThat(Instances.isRunning(only())).isFalse();
        assertThat(status().getObserved()).isEqualTo("exited");
        assertThat(status().getDriftList()).contains("state");
        assertThat(node.eventKinds()).containsOnlyOnce("exited");
        node.fake.remove(web);
        node.settle();
        assertThat(node.fake.listAll()).isEmpty();
        assertThat(status().getObserved()).isEqualTo("removed");
        assertThat(node.eventKinds()).containsExactly("adopted", "exited", "removed");
    }

    @Test
    void afterTheNodesBootItRunsAgain() throws InterruptedException {
        foreign("shop-web");
        adopt(request());
        node.fake.reboot();
        node.restart(true);
        node.settle();
        assertThat(Instances.isRunning(only())).isTrue();
    }

    @Test
    void itIsStoppedAndStartedAsAnyOther() {
        foreign("shop-web");
        long generation = adopt(request()).getGeneration();
        Outcome stopped = node.actions.setDesired("tester", SHOP, generation, Optional.of(false), Map.of());
        assertThat(stopped.parts().getFirst().outcome()).isEqualTo("stopped");
        assertThat(status().getObserved()).isEqualTo("stopped");
        Outcome started = node.actions.setDesired("tester", SHOP, stopped.generation(), Optional.of(true), Map.of());
        assertThat(started.parts().getFirst().outcome()).isEqualTo("started");
        assertThat(Instances.isRunning(only())).isTrue();
    }

    @Test
    void itsFirstDeployReplacesIt() throws InterruptedException {
        InstanceId old = foreign("shop-web");
        adopt(request());
        Outcome outcome = node.deploy(service("shop", serving("web", NEW).build()));

        assertThat(outcome.error()).isEmpty();
        assertThat(outcome.parts().getFirst().outcome()).isEqualTo("replaced");
        assertThat(only().id()).isNotEqualTo(old);
        assertThat(only().name()).isEqualTo("shop-web");
        assertThat(node.only(WEB).identity()).isPresent();
        assertThat(node.registry.adopted()).isEmpty();
        assertThat(status().getDriftList()).isEmpty();
        node.fake.crash(only().id(), 1);
        node.settle();
        node.clock.advance(java.time.Duration.ofSeconds(5));
        node.settle();
        assertThat(Instances.isRunning(only())).isTrue();
    }

    @Test
    void whereTheNewOneDoesNotHoldTheAdoptedOneComesBack() {
        InstanceId old = foreign("shop-web");
        adopt(request());
        Outcome outcome = node.deploy(service("shop", serving("web", BAD).build()));

        assertThat(outcome.error()).isPresent();
        assertThat(only().id()).isEqualTo(old);
        assertThat(only().name()).isEqualTo("shop-web");
        assertThat(Instances.isRunning(only())).isTrue();
        assertThat(node.registry.adopted()).hasSize(1);
        assertThat(status().getObserved()).isEqualTo("running");
    }

    @Test
    void anInstanceOfOursWhoseRowWasLostIsTakenByItsLabels() {
        Component web = serving("web", NEW).build();
        node.deploy(service("shop", web));
        Instance before = only();
        node.registry.forget(
                SHOP, node.generation(SHOP), new RegistryEvent(Instant.EPOCH, "shop", "", "purged", "", false, false));
        node.view.refresh(SHOP);

        AdoptResponse response = adopt(with(service("shop", web)));

        assertThat(response.getAdoptedCount()).isEqualTo(1);
        assertThat(node.registry.adopted()).isEmpty();
        assertThat(only()).isEqualTo(before);
        assertThat(status().getDriftList()).isEmpty();
        assertThat(response.getGeneration()).isGreaterThan(Instances.generation(before));
    }

    @Test
    void aSecondAdoptionTakesWhatCameSinceAndASecondServiceNone() {
        foreign("shop-web");
        long generation = adopt(request()).getGeneration();
        foreign("shop-db");
        AdoptResponse second = adopt(request().setBaseGeneration(generation));
        assertThat(second.getAdoptedList()).extracting(Adopted::getComponent).containsExactly("db");
        assertThat(left(second)).containsEntry("shop-web", "shop/web is registered already");
        assertThat(node.view.require(SHOP).components()).hasSize(2);

        Service thief = service("shop-web", serving("shop-web", NEW).build());
        AdoptResponse third = node.adoption.adopt(
                "tester",
                AdoptRequest.newBuilder()
                        .setService("shop-web")
                        .setDefinition(Messages.toMessage(thief, ComponentDocuments::write))
                        .build());
        assertThat(third.getAdoptedCount()).isZero();
        assertThat(third.getLeft(0).getWhy()).contains("shop/web");
    }

    @Test
    void ofTwoInstancesNoneIsHeldTwiceAndAllRowsComeInOneTransaction() {
        foreign("shop-web");
        foreign("shop-db");
        adopt(request());
        assertThat(node.registry.adopted()).hasSize(2);
        assertThat(node.registry.service(SHOP).orElseThrow().generation()).isEqualTo(1);
    }
}
