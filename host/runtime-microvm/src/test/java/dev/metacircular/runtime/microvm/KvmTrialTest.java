package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.runtime.podman.Carriage;
import dev.metacircular.runtime.podman.PodmanRuntime;
import dev.metacircular.vm.CarriedVm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whatever the machine's KVM is worth: that it is found out where VMs would use it, once, and that nothing stays of it. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class KvmTrialTest {
    @Test
    void findsOutInsideACarrierWhetherKvmWorksAndKeepsTheAnswer() throws IOException {
        assumeTrue(VmmPrograms.kernelHasKvm(), "the kernel of this machine has no KVM");
        try (MicrovmNode node = new MicrovmNode()) {
            Path answer = node.vms().resolve("kvm-trial");
            try (MicrovmRuntime runtime = node.reopened(node.node(), MicrovmNode.path(), Optional.empty())) {
                Instant begin = Instant.now();
                assertThat(accelerator(runtime)).as("not known yet").isEqualTo("emulation");
                assertThat(Duration.between(begin, Instant.now())).isLessThan(Duration.ofSeconds(3));
                Scene.await("the answer", () -> Files.exists(answer));
                List<String> lines = Files.readAllLines(answer);
                assertThat(lines).hasSize(3);
                String found = lines.get(1).equals("works") ? "kvm" : "emulation";
                Scene.await("it to be used", () -> accelerator(runtime).equals(found));
                Scene.await(
                        "its carrier to be gone",
                        () -> new StateDirectories(node.vms()).keys().isEmpty());
                assertThat(Shell.podman("ps", "-aq", "--filter", "label=dev.metacircular.node=mc-kvm-trial"))
                        .isEmpty();

                Files.writeString(answer, lines.getFirst() + "\nworks\nfor the test\n");
            }
            try (MicrovmRuntime later = node.reopened(node.node(), MicrovmNode.path(), Optional.empty())) {
                assertThat(accelerator(later)).as("as it was kept").isEqualTo("kvm");
            }
            String key = Files.readAllLines(answer).getFirst();
            Files.writeString(answer, key + "\nfails\nfor the test\n");
            createOne(node);
            assertThat(Files.readString(answer)).as("a failure is kept").endsWith("for the test\n");
            Files.setLastModifiedTime(answer, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
            createOne(node);
            assertThat(Files.readString(answer)).as("for an hour").doesNotContain("for the test");
            Files.writeString(answer, "another boot\nworks\nfor the test\n");
            createOne(node);
            assertThat(Files.readString(answer)).doesNotStartWith("another boot");
        }
    }

    /** By a runtime of its own. What is made waits for the answer, for it keeps what it gets. */
    private static void createOne(MicrovmNode node) throws IOException {
        try (MicrovmRuntime later = node.reopened(node.node(), MicrovmNode.path(), Optional.empty());
                Scene scene = new Scene(node)) {
            later.remove(later.create(scene.spec(scene.component("web", "runs").build(), List.of())));
            Scene.await(
                    "its carrier to be gone",
                    () -> new StateDirectories(node.vms()).keys().isEmpty());
        }
    }

    @Test
    void isNobodysLeftoverWhileItIsMadeAndHasANameOfItsNode() {
        try (MicrovmNode node = new MicrovmNode()) {
            Path qemu =
                    CarriedVm.findIn(MicrovmNode.path(), "qemu-system-x86_64").orElseThrow();
            KvmTrial trial = new KvmTrial(node.vms());
            StateDirectories directories = new StateDirectories(node.vms());
            Set<Making> underWay = ConcurrentHashMap.newKeySet();
            List<String> seen = new CopyOnWriteArrayList<>();
            Carriage.Maker maker = new Carriage.Maker() {
                @Override
                public RuntimeKind kind() {
                    return RuntimeKind.UNIKERNEL;
                }

                @Override
                public Carriage of(InstanceSpec spec) {
                    Carriage carriage = trial.carriage(directories, spec);
                    seen.add(spec.identity().component().component() + " "
                            + underWay.stream().map(m -> m.key().orElse("")).toList());
                    return carriage;
                }
            };
            try (PodmanRuntime podman = PodmanRuntime.carrying(node.podman(node.node()), maker)) {
                trial.by(new KvmTrial.Carrying(podman, node.node(), underWay));
                Scene.await(
                        "the answer",
                        () -> trial.ask(new KvmTrial.By(Vmm.QEMU, qemu)).isPresent());
                Scene.await("the end", underWay::isEmpty);
            }
            assertThat(seen).singleElement().asString().matches(node.node() + " \\[mc-kvm-trial-mcv-.*\\]");
            assertThat(directories.keys()).isEmpty();
        }
    }

    private static String accelerator(MicrovmRuntime runtime) {
        return runtime.availability() instanceof Availability.Available available ? available.accelerator() : "none";
    }
}
