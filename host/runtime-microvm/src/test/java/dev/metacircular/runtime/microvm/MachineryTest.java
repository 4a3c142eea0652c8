package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.model.Component;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.vm.Accelerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Which VMM and which accelerator a node gets; scripts that tell a version stand for the VMMs. */
@Timeout(60)
final class MachineryTest {
    private static final Optional<Accelerator> KVM = Optional.of(Accelerator.KVM);
    private static final Optional<Accelerator> EMULATION = Optional.of(Accelerator.EMULATION);

    @TempDir
    private Path folder;

    @BeforeEach
    void theNodeHasWhatACarrierNeeds() {
        assumeTrue(VmmPrograms.lacking().isEmpty(), () -> VmmPrograms.lacking().orElse(""));
    }

    private void install(String program, String version) throws IOException {
        Path file = Files.writeString(folder.resolve(program), "#!/bin/sh\necho '" + version + "'\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Machinery machinery(Optional<Vmm> vmm, Optional<Accelerator> accelerator) {
        MicrovmOptions options =
                new MicrovmOptions(folder.resolve("vms"), folder.toString(), vmm, accelerator, Optional.of(folder));
        return new Machinery(options, new VmmPrograms(options.searchPath()), new KvmTrial(options.directory()));
    }

    private Availability availability(Optional<Vmm> vmm, Optional<Accelerator> accelerator) {
        return machinery(vmm, accelerator).availability("podman 4.3.1", Duration.ofSeconds(30));
    }

    private static Availability unavailable(String reason) {
        return new Availability.Unavailable(reason);
    }

    @Test
    void withoutKvmItIsQemuUnderEmulation() throws IOException {
        install("qemu-system-x86_64", "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)");
        install("firecracker", "Firecracker v1.16.1");
        assertThat(availability(Optional.empty(), EMULATION))
                .isEqualTo(new Availability.Available("QEMU 7.2.22 in podman 4.3.1", "emulation"));
    }

    @Test
    void withKvmItIsFirecrackerWhereThatIsInstalled() throws IOException {
        assumeTrue(VmmPrograms.kernelHasKvm(), "the kernel of this machine has no KVM");
        install("qemu-system-x86_64", "QEMU emulator version 10.0.0");
        assertThat(availability(Optional.empty(), KVM))
                .isEqualTo(new Availability.Available("QEMU 10.0.0 in podman 4.3.1", "kvm"));
        install("firecracker", "Firecracker v1.16.1");
        assertThat(availability(Optional.empty(), KVM))
                .isEqualTo(new Availability.Available("Firecracker 1.16.1 in podman 4.3.1", "kvm"));
        assertThat(machinery(Optional.of(Vmm.QEMU), KVM).choose().vmm()).isEqualTo(Vmm.QEMU);
    }

    @Test
    void whatTheOperatorAsksForIsNotReplacedSilently() throws IOException {
        assertThat(availability(Optional.of(Vmm.FIRECRACKER), EMULATION))
                .isInstanceOfSatisfying(
                        Availability.Unavailable.class,
                        u -> assertThat(u.reason()).startsWith("there is no firecracker on the search path: "));
        install("firecracker", "Firecracker v1.16.1");
        assertThat(availability(Optional.of(Vmm.FIRECRACKER), EMULATION))
                .isEqualTo(unavailable("Firecracker needs KVM, which accel = \"emulation\" rules out; "
                        + "QEMU runs without it: vmm = \"qemu\" below [microvm]"));
        assertThat(availability(Optional.of(Vmm.QEMU), EMULATION))
                .isEqualTo(unavailable(
                        "there is no qemu-system-x86_64 on the search path: apt-get install qemu-system-x86"));
        assertThatThrownBy(() -> machinery(Optional.of(Vmm.QEMU), EMULATION).choose())
                .isInstanceOf(RuntimeFailure.class)
                .hasMessageStartingWith("this node cannot run microVMs: there is no qemu-system-x86_64");
    }

    @Test
    void firecrackerAloneIsNotTakenBeforeKvmIsKnownToWork() throws IOException {
        assumeTrue(VmmPrograms.kernelHasKvm(), "the kernel of this machine has no KVM");
        install("firecracker", "Firecracker v1.16.1");
        assertThat(availability(Optional.of(Vmm.FIRECRACKER), Optional.empty()))
                .isInstanceOfSatisfying(
                        Availability.Unavailable.class,
                        u -> assertThat(u.reason())
                                .startsWith("Firecracker needs KVM, which is still being tried here"));
    }

    @Test
    void aKvmThatIsNotTheUsersIsToldWithWhatGivesItToHim() {
        String user = System.getProperty("user.name");
        assertThat(Machinery.obstacle("Could not access KVM kernel module: Permission denied"))
                .satisfies(o -> {
                    assertThat(o.stops()).isFalse();
                    assertThat(o.what()).contains("Permission denied");
                    assertThat(o.mend()).contains("usermod -aG kvm " + user);
                });
        assertThat(Machinery.obstacle("no answer from a test guest within 5 s of a processor's time")
                        .mend())
                .contains("nested")
                .doesNotContain("usermod");
        assertThat(machinery(Optional.empty(), EMULATION).obstacle())
                .as("where emulation was chosen")
                .isEmpty();
    }

    @Test
    void knowsAVmmByItsProgram() {
        assertThat(VmmUsage.isVmm("/usr/bin/qemu-system-x86_64")).isTrue();
        assertThat(VmmUsage.isVmm("/usr/local/bin/firecracker-v1.16.1-x86_64")).isTrue();
        assertThat(VmmUsage.isVmm("/vmm/vmm")).isTrue();
        assertThat(VmmUsage.isVmm("/usr/bin/setpriv")).isFalse();
    }

    @Test
    void nanosRunsOnQemuWhateverOursRunsOn() throws IOException {
        Component nanos = Component.builder("web", "localhost/web")
                .runtime(RuntimeKind.UNIKERNEL)
                .kernel(Kernel.NANOS)
                .build();
        assertThat(machinery(Optional.empty(), EMULATION).whyNot(nanos))
                .contains("kernel = \"nanos\" runs on QEMU: there is no qemu-system-x86_64 on the search path:"
                        + " apt-get install qemu-system-x86");
        install("qemu-system-x86_64", "QEMU emulator version 7.2.22");
        assertThat(machinery(Optional.empty(), EMULATION).whyNot(nanos))
                .hasValueSatisfying(why -> assertThat(why).contains("NanoVMs' ops"));
        install("firecracker", "Firecracker v1.16.1");
        assertThat(machinery(Optional.of(Vmm.FIRECRACKER), EMULATION)
                        .chooseForNanos()
                        .vmm())
                .isEqualTo(Vmm.QEMU);
    }

    @Test
    void theVersionIsThatOfTheProgramThatIsThereNow() throws IOException {
        Machinery machinery = machinery(Optional.of(Vmm.QEMU), EMULATION);
        Duration wait = Duration.ofSeconds(30);
        install("qemu-system-x86_64", "no number yet");
        assertThat(machinery.availability("podman", wait))
                .isEqualTo(new Availability.Available("QEMU in podman", "emulation"));
        long modified = 1_000;
        for (String version : List.of("7.2.22", "10.0.0")) {
            install("qemu-system-x86_64", "QEMU emulator version " + version);
            // Whatever the clock's tick.
            Files.setLastModifiedTime(folder.resolve("qemu-system-x86_64"), FileTime.fromMillis(modified++));
            assertThat(machinery.availability("podman", wait))
                    .isEqualTo(new Availability.Available("QEMU " + version + " in podman", "emulation"));
        }
        install("qemu-system-x86_64", "");
        Files.setLastModifiedTime(folder.resolve("qemu-system-x86_64"), FileTime.fromMillis(9_000));
        assertThat(machinery.availability("podman", wait))
                .isEqualTo(new Availability.Available("QEMU in podman", "emulation"));
        install("qemu-system-x86_64", "QEMU emulator version 11.0.0");
        Files.setLastModifiedTime(folder.resolve("qemu-system-x86_64"), FileTime.fromMillis(9_000));
        assertThat(machinery.availability("podman", wait))
                .isEqualTo(new Availability.Available("QEMU 11.0.0 in podman", "emulation"));
    }
}
