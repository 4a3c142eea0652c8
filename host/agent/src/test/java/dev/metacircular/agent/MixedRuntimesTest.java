package dev.metacircular.agent;

import static dev.metacircular.agent.TestNode.service;
import static dev.metacircular.agent.TestNode.serving;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.contract.v1.CollectedImage;
import dev.metacircular.contract.v1.PsResponse;
import dev.metacircular.contract.v1.StatusResponse;
import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.ImageRef;
import dev.metacircular.model.Name;
import dev.metacircular.model.PortMapping;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.model.Service;
import dev.metacircular.model.Volume;
import dev.metacircular.runtime.FakeFaults.Fault;
import dev.metacircular.runtime.FakeFaults.Operation;
import dev.metacircular.runtime.FakeProgram;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.Instance;
import dev.metacircular.runtime.InstanceId;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node with containers and VMs: whatever a component runs as, it is deployed, watched and shown alike. */
@Timeout(120)
class MixedRuntimesTest {
    private static final String IMAGE = "registry.example:5000/shop:v1";
    private static final String BROKEN = "registry.example:5000/shop:broken";
    private static final Name SHOP = Name.of("shop");
    private static final ComponentId WEB = ComponentId.of("shop", "web");
    private static final ComponentId WORKER = ComponentId.of("shop", "worker");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path directory;

    @SuppressWarnings("NullAway.Init")
    private TestNode node;

    @BeforeEach
    void open() {
        node = TestNode.withVms(directory);
        node.fake.publish(IMAGE, FakeProgram.serves());
        node.vms.publish(IMAGE, FakeProgram.serves());
        node.fake.publish(BROKEN, FakeProgram.exits(3, "no database"));
        node.vms.publish(BROKEN, FakeProgram.exits(125, "no kernel"));
    }

    @AfterEach
    void close() {
        node.close();
    }

    private static Component.Builder vm(String name) {
        return serving(name, IMAGE).runtime(RuntimeKind.UNIKERNEL).memoryMb(64).vcpus(1);
    }

    private static Service mixed() {
        return service("shop", serving("web", IMAGE).build(), vm("worker").build());
    }

    private void deployed(Service service) throws InterruptedException {
        assertThat(node.deploy(service).error()).isEmpty();
        node.settle();
    }

    private Map<String, String> observed() {
        return status().getComponentsList().stream()
                .collect(Collectors.toMap(c -> c.getComponent().getComponent(), c -> c.getObserved()));
    }

    private StatusResponse status() {
        return node.status.status(Optional.of(SHOP));
    }

    private Map<String, String> shown() {
        PsResponse ps = node.status.ps(Optional.empty());
        return ps.getInstancesList().stream()
                .collect(Collectors.toMap(
                        dev.metacircular.contract.v1.Instance::getName, i -> i.getRuntime() + " " + i.getState()));
    }

    private long told(String kind) {
        return node.eventKinds().stream().filter(kind::equals).count();
    }

    private void refused(Problem.Kind kind, String why, String next, Service service) {
        assertThatThrownBy(() -> node.deploy(service)).isInstanceOfSatisfying(ProblemException.class, e -> {
            assertThat(e.problem().kind()).isEqualTo(kind);
            assertThat(e.problem().what()).contains(why);
            assertThat(String.valueOf(e.problem().next())).contains(next);
        });
        assertThat(node.fake.listAll()).isEmpty();
        assertThat(node.vms.listAll()).isEmpty();
        assertThat(node.view.service(SHOP)).isEmpty();
    }

    @Test
    void oneDeployBringsUpAContainerAndAVmFromOneReference() throws InterruptedException {
        deployed(mixed());
        assertThat(node.only(WEB).id().runtime()).isEqualTo(RuntimeKind.CONTAINER);
        Instance worker = node.only(WORKER);
        assertThat(worker.id().runtime()).isEqualTo(RuntimeKind.UNIKERNEL);
        assertThat(worker.imageId())
                .as("each runtime's own image")
                .isNotEqualTo(node.only(WEB).imageId());
        assertThat(node.registry
                        .service(SHOP)
                        .orElseThrow()
                        .find(Name.of("worker"))
                        .orElseThrow()
                        .imageId())
                .isEqualTo(worker.imageId());
        assertThat(shown())
                .containsOnly(
                        Map.entry("shop-web", "container running"), Map.entry("shop-worker", "unikernel running"));
        assertThat(status().getComponentsList())
                .allSatisfy(c -> assertThat(c.getDriftList()).isEmpty());
        assertThat(status().getRuntimesList()).extracting(r -> r.getName()).containsExactly("container", "unikernel");
        assertThat(node.deploy(mixed()).parts())
                .extracting(Outcome.Part::outcome)
                .containsOnly("unchanged");
    }

    @Test
    void aVmOfTheServicesOwnNameIsCalledByItAlone() throws InterruptedException {
        deployed(service("shop", vm("shop").build(), vm("worker").build()));
        assertThat(node.vms.listAll()).extracting(Instance::name).containsExactlyInAnyOrder("shop", "shop-worker");
        assertThat(node.vms.listAll()).noneMatch(Instance::setAside);
        assertThat(shown().keySet()).containsExactlyInAnyOrder("shop", "shop-worker");
        // Watched, and found again, by what it is and not by how it is called.
        node.vms.crash(node.only(ComponentId.of("shop", "shop")).id(), 1);
        node.clock.advance(Healing.FLAP_REST);
        node.settle();
        node.clock.advance(Healing.FLAP_REST);
        node.settle();
        assertThat(observed()).containsEntry("shop", "running").containsEntry("worker", "running");
        assertThat(node.vms.listAll()).hasSize(2);
    }

    @Test
    void aVmIsSeenByItsOwnRuntimeAndUnknownOnlyWithIt() throws InterruptedException {
        deployed(mixed());
        assertThat(observed()).containsOnly(Map.entry("web", "running"), Map.entry("worker", "running"));

        node.fake.faults().set(Operation.LIST, new Fault.Fails(Kind.UNREACHABLE, "gone"));
        assertThat(observed()).containsOnly(Map.entry("web", "unknown"), Map.entry("worker", "running"));
        assertThat(shown())
                .containsOnly(
                        Map.entry("shop-web", "container unknown"), Map.entry("shop-worker", "unikernel running"));
        node.fake.faults().clear();

        node.vms.faults().set(Operation.LIST, new Fault.Fails(Kind.UNREACHABLE, "gone"));
        assertThat(observed()).containsOnly(Map.entry("web", "running"), Map.entry("worker", "unknown"));
        assertThat(status().getRuntimesList())
                .extracting(r -> r.getName() + " " + r.getAvailable())
                .containsExactly("container true", "unikernel false");
        node.settle();
        node.vms.faults().clear();
        node.settle();
        assertThat(node.eventKinds()).as("nothing was taken for gone").doesNotContain("removed", "recreated", "exited");
        assertThat(node.vms.listAll()).hasSize(1);
    }

    @Test
    void thatARuntimeIsGoneIsToldWhereAComponentHasIt() throws InterruptedException {
        for (Service service : List.of(service("shop", serving("web", IMAGE).build()), mixed())) {
            deployed(service);
            long before = told("runtime_unavailable");
            node.fake.faults().setAll(new Fault.Fails(Kind.UNREACHABLE, "gone"));
            node.vms.faults().setAll(new Fault.Fails(Kind.UNREACHABLE, "gone"));
            node.settle();
            node.settle();
            assertThat(told("runtime_unavailable") - before)
                    .isEqualTo(service.components().size());
            node.fake.faults().clear();
            node.vms.faults().clear();
            node.settle();
            assertThat(told("runtime_available")).isEqualTo(told("runtime_unavailable"));
            assertThat(observed().values()).containsOnly("running");
        }
    }

    @Test
    void theMonitorTellsAVmsEndAndStartsItAgain() throws InterruptedException {
        deployed(mixed());
        InstanceId worker = node.only(WORKER).id();
        node.vms.crash(worker, 137);
        node.settle();
        node.clock.advance(Healing.FLAP_REST);
        node.settle();
        assertThat(told("exited")).isEqualTo(1);
        assertThat(told("recovered")).isEqualTo(1);
        assertThat(node.only(WORKER).id()).isEqualTo(worker);
        assertThat(observed()).containsOnly(Map.entry("web", "running"), Map.entry("worker", "running"));

        node.vms.remove(worker);
        node.settle();
        node.clock.advance(Healing.FLAP_REST);
        node.settle();
        assertThat(told("recreated")).isEqualTo(1);
        assertThat(node.only(WORKER).id().runtime()).isEqualTo(RuntimeKind.UNIKERNEL);
        assertThat(node.fake.listAll()).as("the container is left alone").hasSize(1);
    }

    @Test
    void aComponentBecomesAVmAndAContainerAgain() throws InterruptedException {
        List<PortMapping> ports = List.of(PortMapping.parse("127.0.0.1:18080:80"));
        Service container = service("shop", serving("web", IMAGE).ports(ports).build());
        Service vm = service("shop", vm("web").ports(ports).build());
        deployed(container);
        for (Service next : List.of(vm, container, vm)) {
            InstanceId before = node.only(WEB).id();
            Outcome outcome = node.deploy(next);
            assertThat(outcome.error()).isEmpty();
            assertThat(outcome.parts()).extracting(Outcome.Part::outcome).containsExactly("replaced");
            node.settle();
            Instance now = node.only(WEB);
            assertThat(now.id().runtime()).isNotEqualTo(before.runtime());
            assertThat(now.name()).isEqualTo("shop-web");
            assertThat(observed()).containsOnly(Map.entry("web", "running"));
        }
    }

    @Test
    void whereTheOtherKindDoesNotHoldTheOldOneComesBack() throws InterruptedException {
        List<PortMapping> ports = List.of(PortMapping.parse("127.0.0.1:18080:80"));
        for (RuntimeKind kind : RuntimeKind.values()) {
            RuntimeKind other = kind == RuntimeKind.CONTAINER ? RuntimeKind.UNIKERNEL : RuntimeKind.CONTAINER;
            deployed(service(
                    "shop", serving("web", IMAGE).ports(ports).runtime(kind).build()));
            Instance before = node.only(WEB);
            Outcome outcome = node.deploy(service(
                    "shop", serving("web", BROKEN).ports(ports).runtime(other).build()));
            assertThat(outcome.error().orElseThrow().what()).contains("it exited with status");
            assertThat(outcome.parts().getFirst().outcome()).isEqualTo("failed");
            node.settle();
            Instance after = node.only(WEB);
            assertThat(after.id()).isEqualTo(before.id());
            assertThat(after.name()).isEqualTo("shop-web");
            assertThat(Instances.isRunning(after)).isTrue();
            assertThat(node.registry
                            .service(SHOP)
                            .orElseThrow()
                            .components()
                            .getFirst()
                            .document())
                    .contains(IMAGE);
        }
    }

    @Test
    void anAdoptedContainerStaysKnownUntilTheVmInItsPlaceHasHeld() throws InterruptedException {
        node.fake.install(IMAGE, FakeProgram.serves());
        InstanceId foreign =
                node.fake.addForeign("shop-web", Component.builder("web", IMAGE).build());
        var _ = node.adoption.adopt(
                "tester",
                dev.metacircular.contract.v1.AdoptRequest.newBuilder()
                        .setService("shop")
                        .build());
        assertThat(node.deploy(service(
                                "shop",
                                serving("web", BROKEN)
                                        .runtime(RuntimeKind.UNIKERNEL)
                                        .build()))
                        .error())
                .isPresent();
        node.settle();
        assertThat(node.vms.listAll()).isEmpty();
        assertThat(node.fake.listAll())
                .extracting(Instance::id, Instance::name)
                .containsExactly(org.assertj.core.groups.Tuple.tuple(foreign, "shop-web"));
        assertThat(node.view.isAdopted(WEB)).isTrue();

        deployed(service("shop", vm("web").build()));
        assertThat(node.fake.listAll()).isEmpty();
        assertThat(node.view.isAdopted(WEB)).isFalse();
    }

    private static Service withDisk(String... volumes) {
        return service(
                "shop",
                serving("web", IMAGE).build(),
                vm("worker")
                        .volumes(Stream.of(volumes).map(Volume::parse).toList())
                        .build());
    }

    @Test
    void ofGuestImagesOnlyThoseThatALoadNamedStayWithoutARecord() {
        Image lost = node.vms.install("localhost/worker:v1", FakeProgram.serves());
        Image named = node.vms.install("localhost/worker:v1", FakeProgram.serves());
        Image pulled = node.vms.pull(ImageRef.parse(IMAGE), (_, _, _) -> {});
        Image somebodys = node.fake.pull(ImageRef.parse(IMAGE), (_, _, _) -> {});
        ImageCollection collection = new ImageCollection(
                node.runtimes,
                node.registry.images(),
                node.locks,
                new EventLog(new RegistryLedger(node.registry), node.clock),
                node.clock);
        assertThat(collection.collect(false).getImagesList()).isEmpty();
        node.clock.advance(Duration.ofDays(2));
        assertThat(collection.collect(false).getImagesList())
                .extracting(CollectedImage::getImage)
                .containsExactlyInAnyOrder(lost.id(), pulled.id());
        assertThat(node.vms.images()).extracting(Image::id).containsExactly(named.id());
        assertThat(node.fake.images()).extracting(Image::id).containsExactly(somebodys.id());
    }

    @Test
    void aVmsVolumeIsARawDiskThatIsThere() throws IOException, InterruptedException {
        Path home = directory.resolve("services/shop");
        Problem.Kind conflict = Problem.Kind.CONFLICT;
        refused(conflict, "is not there", "truncate -s 64M " + home.resolve("data.img"), withDisk("data.img:/data"));
        refused(
                conflict,
                "there is no " + home.resolve("data.img"),
                "mcp push FILE shop:data.img",
                withDisk("data.img:/data"));
        assertThat(home).as("nothing is made for what is refused").doesNotExist();
        Files.createDirectories(home.resolve("data"));
        refused(conflict, "is a folder", "volumes = [\"data.img:/data\"]", withDisk("data:/data"));
        Path disk = Files.write(home.resolve("data.img"), new byte[700]);
        refused(conflict, "is 700 bytes long", "truncate -s %512 " + disk, withDisk("data.img:/data"));
        Files.write(disk, new byte[0]);
        refused(conflict, "is 0 bytes long", "truncate -s 64M " + disk, withDisk("data.img:/data"));
        refused(conflict, "names a path of the host", "name it without a slash", withDisk(disk + ":/data"));
        Path outside = Files.write(directory.resolve("outside.img"), new byte[512]);
        Files.createSymbolicLink(home.resolve("link.img"), outside);
        refused(conflict, "leads out of", "", withDisk("link.img:/data"));

        Files.write(disk, new byte[1024]);
        Files.createSymbolicLink(home.resolve("soft.img"), disk);
        Files.createLink(home.resolve("hard.img"), disk);
        for (String name : List.of("data.img", "data.img/", "soft.img", "hard.img")) {
            refused(
                    conflict,
                    "is the disk of shop/worker too",
                    ":ro",
                    service(
                            "shop",
                            vm("worker")
                                    .volumes(List.of(Volume.parse("data.img:/data")))
                                    .build(),
                            vm("other")
                                    .volumes(List.of(Volume.parse(name + ":/data:ro")))
                                    .build()));
        }
        deployed(withDisk("data.img:/data"));
        assertThat(Files.size(disk)).isEqualTo(1024);
        assertThat(observed()).containsEntry("worker", "running");
    }

    @Test
    void whatAVmCannotDoHereIsRefusedBeforeAnythingHappens() {
        refused(
                Problem.Kind.UNSUPPORTED,
                "cannot be on a shared network",
                "remove the key 'network'",
                service("shop", vm("worker").network(Name.of("mcpnet")).build()));
        node.vms.faults().set(Operation.AVAILABILITY, new Fault.Fails(Kind.UNSUPPORTED, "qemu is not installed"));
        refused(Problem.Kind.UNSUPPORTED, "qemu is not installed", "mcp doctor", mixed());
        assertThat(node.fake.faults().calls(Operation.PULL) + node.vms.faults().calls(Operation.PULL))
                .isZero();
    }

    @Test
    void aNodeThatHasLostItsMonitorStillStopsAndRemovesItsVms() throws InterruptedException {
        deployed(mixed());
        node.vms.faults().set(Operation.AVAILABILITY, new Fault.Fails(Kind.UNSUPPORTED, "qemu is not installed"));
        assertThat(node.deploy(service("shop", serving("web", IMAGE).build())).error())
                .isEmpty();
        node.settle();
        assertThat(node.vms.listAll()).isEmpty();
        assertThat(node.only(WEB).id().runtime()).isEqualTo(RuntimeKind.CONTAINER);
    }
}
