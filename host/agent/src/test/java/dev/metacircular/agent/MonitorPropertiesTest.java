package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.contract.v1.AdoptRequest;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Desired;
import dev.metacircular.model.Name;
import dev.metacircular.model.RestartPolicy;
import dev.metacircular.model.Service;
import dev.metacircular.runtime.FakeFaults;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;

/** Of whole looks of the supervisor at a node on which other hands meddled, with containers on it that are none of ours. */
final class MonitorPropertiesTest {
    private static final String IMAGE = "registry.example:5000/shop:v1";
    private static final Name SHOP = Name.of("shop");

    enum Meddling {
        NONE,
        CRASHED,
        REMOVED,
        STARTED
    }

    record Part(Desired desired, RestartPolicy restart, Meddling meddling) {}

    @Provide
    Arbitrary<List<Part>> nodes() {
        return Combinators.combine(
                        Arbitraries.of(Desired.class),
                        Arbitraries.of(new RestartPolicy.Always(), new RestartPolicy.UnlessStopped()),
                        Arbitraries.of(Meddling.class))
                .as(Part::new)
                .list()
                .ofMinSize(1)
                .ofMaxSize(5);
    }

    /** A node on which the parts were deployed and then meddled with, besides containers that are not ours, two of them adopted. */
    private static final class Meddled implements AutoCloseable {
        final Path directory;
        final TestNode node;
        final List<Part> parts;
        final List<InstanceId> foreign = new ArrayList<>();

        Meddled(List<Part> parts) throws InterruptedException {
            this.parts = parts;
            try {
                this.directory = Files.createTempDirectory("monitor-properties");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            this.node = new TestNode(directory);
            node.fake.publish(IMAGE, FakeProgram.serves());
            foreign.add(node.fake.addForeign("postgres", "registry.example:5000/postgres:16"));
            foreign.add(node.fake.addForeign("shop-other", IMAGE));
            foreign.add(node.fake.addForeign("shop", IMAGE));
            deploy();
            foreign.add(node.fake.addForeign("old-web", IMAGE));
            foreign.add(node.fake.addForeign("old-db", IMAGE));
            node.adoption.adopt(
                    "tester", AdoptRequest.newBuilder().setService("old").build());
            node.settle();
            for (int i = 0; i < parts.size(); i++) {
                meddle(parts.get(i).meddling(), node.only(id(i)).id());
            }
            node.fake.crash(foreign.get(1), 3);
            node.fake.crash(foreign.getLast(), 3);
        }

        private void deploy() {
            List<Service.Entry> running = new ArrayList<>();
            for (int i = 0; i < parts.size(); i++) {
                Component component = TestNode.serving("c" + i, IMAGE)
                        .restart(parts.get(i).restart())
                        .build();
                running.add(new Service.Entry(component, Desired.RUNNING));
            }
            assertThat(node.deploy(new Service(SHOP, TestNode.NODE, true, Optional.empty(), Map.of(), running))
                            .error())
                    .isEmpty();
            Map<Name, Desired> desired = new HashMap<>();
            for (int i = 0; i < parts.size(); i++) {
                desired.put(Name.of("c" + i), parts.get(i).desired());
            }
            node.actions.setDesired("tester", SHOP, node.generation(SHOP), Optional.empty(), desired);
        }

        private void meddle(Meddling meddling, InstanceId instance) {
            switch (meddling) {
                case NONE -> {}
                case CRASHED -> node.fake.crash(instance, 7);
                case REMOVED -> node.fake.remove(instance);
                case STARTED -> node.fake.start(instance);
            }
        }

        static ComponentId id(int part) {
            return new ComponentId(SHOP, Name.of("c" + part));
        }

        /** Until every delay is over and nothing is left to do. */
        void heal() throws InterruptedException {
            for (int i = 0; i < 4; i++) {
                node.settle();
                node.clock.advance(Duration.ofMinutes(2));
            }
        }

        List<Instance> foreigners() {
            return node.fake.listAll().stream()
                    .filter(i -> i.identity().isEmpty())
                    .toList();
        }

        List<Instance> ignored() {
            List<Instance> ignored = new ArrayList<>();
            for (int i = 0; i < parts.size(); i++) {
                if (parts.get(i).desired() == Desired.IGNORE) {
                    ignored.addAll(node.instances(id(i)));
                }
            }
            return ignored;
        }

        /** How often the runtime was asked to change something. */
        int changes() {
            return Stream.of(
                            Operation.CREATE,
                            Operation.START,
                            Operation.STOP,
                            Operation.REMOVE,
                            Operation.SET_ASIDE,
                            Operation.BRING_BACK,
                            Operation.PULL)
                    .mapToInt(o -> node.fake.faults().calls(o))
                    .sum();
        }

        @Override
        public void close() {
            node.close();
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @Property(tries = 20, shrinking = ShrinkingMode.OFF)
    void whatShouldRunRunsOnceWhatShouldNotDoesNotAndTheRestIsAsItWas(@ForAll("nodes") List<Part> parts)
            throws InterruptedException {
        try (Meddled m = new Meddled(parts)) {
            List<Instance> foreign = m.foreigners();
            List<Instance> ignored = m.ignored();
            m.heal();
            assertThat(m.foreigners()).isEqualTo(foreign);
            assertThat(m.ignored()).isEqualTo(ignored);
            for (int i = 0; i < parts.size(); i++) {
                List<Instance> own = m.node.instances(Meddled.id(i));
                switch (parts.get(i).desired()) {
                    case RUNNING -> assertThat(own).singleElement().matches(Instances::isRunning);
                    case STOPPED -> assertThat(own).noneMatch(Instances::isRunning);
                    case IGNORE -> {}
                }
            }
            int changes = m.changes();
            m.node.settle();
            assertThat(m.changes()).as("changes by looks at a healed node").isEqualTo(changes);
        }
    }

    @Property(tries = 8, shrinking = ShrinkingMode.OFF)
    void nothingIsDoneWhileTheRuntimeCannotBeAskedAndAllIsHealedOnceItCan(@ForAll("nodes") List<Part> parts)
            throws InterruptedException {
        try (Meddled m = new Meddled(parts)) {
            int changes = m.changes();
            m.node.fake
                    .faults()
                    .set(
                            Operation.LIST,
                            new FakeFaults.Fault.Fails(RuntimeFailure.Kind.UNREACHABLE, "connection refused"));
            m.heal();
            assertThat(m.changes()).as("changes while nothing is known").isEqualTo(changes);
            m.node.fake.faults().clear();
            m.heal();
            for (int i = 0; i < parts.size(); i++) {
                if (parts.get(i).desired() == Desired.RUNNING) {
                    assertThat(m.node.instances(Meddled.id(i))).singleElement().matches(Instances::isRunning);
                }
            }
        }
    }
}
