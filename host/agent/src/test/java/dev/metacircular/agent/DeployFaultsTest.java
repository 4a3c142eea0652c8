package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.registry.RegistryException;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A fault at every call that a deploy makes to the runtime and the registry, found by counting them: whatever it is, the registry then
 * holds the old or the new state, and exactly one instance of each component runs, made from the registered document. Of the
 * components, one stays a VM, one is a VM that is dropped, and one becomes a VM.
 */
class DeployFaultsTest {
    private static final Name SHOP = Name.of("shop");
    private static final String IMAGE = "registry.example:5000/shop";

    private static final List<String> GOOD_ENDS = List.of("deployed", "rolled_forward");
    private static final List<String> BAD_ENDS = List.of("deploy_failed", "rolled_back");

    @TempDir
    private Path directory;

    private static Component web(String version) {
        return serving("web", IMAGE + ":" + version)
                .ports(List.of(PortMapping.parse("127.0.0.1:18080:80")))
                .build();
    }

    private static Service before() {
        return service(
                "shop",
                web("v1"),
                serving("worker", IMAGE + ":v1").build(),
                vm("calm").build(),
                vm("former").build());
    }

    private static Service after() {
        return service(
                "shop",
                web("v2"),
                vm("worker").build(),
                vm("calm").build(),
                serving("extra", IMAGE + ":v2").build());
    }

    private static Component.Builder vm(String name) {
        return serving(name, IMAGE + ":v1").runtime(RuntimeKind.UNIKERNEL);
    }

    private TestNode prepared(int run) {
        Path home = directory.resolve("run" + run);
        try {
            java.nio.file.Files.createDirectories(home);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        TestNode node = TestNode.withVms(home);
        node.vms.publish(IMAGE + ":v1", FakeProgram.serves());
        node.fake.publish(IMAGE + ":v1", FakeProgram.serves());
        node.fake.publish(IMAGE + ":v2", FakeProgram.serves());
        assertThat(node.deploy(before()).error()).isEmpty();
        return node;
    }

    @ParameterizedTest
    @EnumSource(names = "NONE", mode = EnumSource.Mode.EXCLUDE)
    void leavesTheOldOrTheNewStateWhateverCallIsSpoiled(Steps.Fault fault) throws InterruptedException {
        int oldOnes = 0;
        int newOnes = 0;
        boolean more = true;
        for (int index = 0; more; index++) {
            try (TestNode node = prepared(index)) {
                Instance calm = node.only(new ComponentId(SHOP, Name.of("calm")));
                int events = node.eventKinds().size();
                node.steps.spoil(index, fault);
                boolean died = deploySpoiled(node);
                more = node.steps.seen().size() > index;
                node.steps.spoil(-1, Steps.Fault.NONE);
                if (died) {
                    node.restart();
                }
                node.settle();
                String where = fault + " at call " + index + " " + node.steps.seen();
                boolean isNew = requireConsistent(node, where);
                List<String> all = node.eventKinds();
                requireToldOnce(all.subList(events, all.size()), isNew, where);
                oldOnes += isNew ? 0 : 1;
                newOnes += isNew ? 1 : 0;
                Instance calmNow = node.only(calm.identity().orElseThrow().component());
                assertThat(calmNow.id()).as(where).isEqualTo(calm.id());
                assertThat(TestNode.startedAt(calmNow)).as(where).isEqualTo(TestNode.startedAt(calm));
                assertThat(node.deploy(after()).error()).as(where).isEmpty();
                assertThat(requireConsistent(node, where)).as(where).isTrue();
            }
        }
        assertThat(oldOnes).as("faults before the commit").isGreaterThan(10);
        assertThat(newOnes).as("faults after the commit").isGreaterThan(1);
    }

    /** A deploy is one event, however it ended; one that never began may be none. */
    private static void requireToldOnce(List<String> kinds, boolean isNew, String where) {
        String told = where + " told " + kinds;
        assertThat(kinds).as(told).filteredOn(GOOD_ENDS::contains).hasSize(isNew ? 1 : 0);
        assertThat(kinds).as(told).filteredOn(BAD_ENDS::contains).hasSizeLessThanOrEqualTo(isNew ? 0 : 1);
        assertThat(kinds).as(told).doesNotContain("exited", "removed", "running", "started", "stopped", "recovered");
    }

    /** @return whether the agent died of it */
    private static boolean deploySpoiled(TestNode node) {
        try {
            Outcome _ = node.deploy(after());
        } catch (Steps.Dead _) {
            // What it leaves behind is examined below.
        } catch (ProblemException | RegistryException _) {
            // Refused, or the registry failed before anything was begun.
        }
        return node.steps.isDead();
    }

    /** @return whether the registry holds the new state */
    private static boolean requireConsistent(TestNode node, String where) {
        assertThat(node.registry.pendingDeploys()).as(where).isEmpty();
        KnownService registered = node.view.service(SHOP).orElseThrow();
        List<String> names = registered.components().stream()
                .map(m -> m.id().component().value())
                .toList();
        boolean isNew = names.contains("extra");
        assertThat(names)
                .as(where)
                .isEqualTo(
                        isNew ? List.of("web", "worker", "calm", "extra") : List.of("web", "worker", "calm", "former"));
        for (KnownService.Member m : registered.components()) {
            Instance instance = node.only(m.id());
            assertThat(instance.identity().orElseThrow().documentDigest())
                    .as(where)
                    .isEqualTo(m.row().documentDigest());
            Instant _ = TestNode.startedAt(instance);
            assertThat(instance.name()).as(where).isEqualTo(m.id().canonicalName());
            assertThat(instance.imageId()).as(where).isEqualTo(m.row().imageId());
        }
        assertThat(node.fake.listAll()).as(where).hasSize(2);
        assertThat(node.vms.listAll()).as(where).hasSize(2);
        assertThat(node.status.status(Optional.of(SHOP)).getComponentsList())
                .as(where)
                .allSatisfy(c -> assertThat(c.getDriftList()).isEmpty());
        return isNew;
    }
}
