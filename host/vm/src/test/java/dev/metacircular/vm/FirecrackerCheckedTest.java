package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The Firecracker driver against an API that answers and refuses as the real one was recorded to. */
class FirecrackerCheckedTest extends VmDriverConformance {
    /** The stand-in is a Java program: it needs half of the host. */
    private static final Confinement NOT_CONFINED = Confinement.none("a stand-in");

    @BeforeAll
    static void qemuIsInstalled() {
        QemuForTests.require(FirecrackerCheckedTest.class);
    }

    @Override
    protected VmDriver driver(Path vms) {
        return new FirecrackerDriver(Optional.of(standIn()), vms, () -> NOT_CONFINED);
    }

    private Path standIn() {
        Path script = folder.resolve("firecracker");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        try {
            Files.writeString(
                    script,
                    "#!/bin/sh\nexec '" + java + "' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx64m -cp '"
                            + System.getProperty("java.class.path") + "' " + FirecrackerStandIn.class.getName()
                            + " '" + QemuForTests.find().orElseThrow() + "' \"$@\"\n");
            return Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aTapThatDoesNotExistIsExplained() {
        assertThatThrownBy(() -> start(spec(TestGuest.HELLO).network(new Network.Tap("no-such-tap"))))
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.REQUEST))
                .hasMessageContaining("PUT /network-interfaces/net0")
                .hasMessageContaining("no-such-tap")
                .hasMessageContaining("ip tuntap add");
        assertThat(processesOf(vms())).isEmpty();
    }

    @Test
    void whatFirecrackerCannotDoIsRefusedBeforeAnythingIsMade() {
        List<VmSpec.Builder> impossible = List.of(
                spec(TestGuest.HELLO).network(new Network.User(List.of())),
                spec(TestGuest.HELLO).accelerator(Accelerator.EMULATION),
                spec(TestGuest.HELLO).debugger(new InetSocketAddress(InetAddress.getLoopbackAddress(), 1_234)));

        assertThat(impossible)
                .allSatisfy(spec -> assertThatThrownBy(() -> start(spec))
                        .isInstanceOfSatisfying(
                                VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.REQUEST))
                        .hasMessageContaining("QEMU"));
        assertThat(vms()).doesNotExist();
    }

    @Test
    void aNameWithDotsIsAllowedThoughFirecrackersOwnIdsHaveNone() throws InterruptedException {
        Path kernel = TestGuest.HELLO.writeTo(folder);
        VirtualMachine vm =
                start(VmSpec.ofKernel(new VmId("web_1.blue"), kernel).memoryMebibytes(16));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }

    @Test
    void aProgramThatIsNoFirecrackerIsExplained() throws IOException {
        Path other = Files.writeString(folder.resolve("other"), "#!/bin/sh\necho 'unexpected argument' >&2\nexit 2\n");
        Files.setPosixFilePermissions(other, PosixFilePermissions.fromString("rwx------"));
        VmDriver driver = new FirecrackerDriver(Optional.of(other), vms(), () -> NOT_CONFINED);

        assertThatThrownBy(() -> driver.start(spec(TestGuest.HELLO).build()))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("unexpected argument");
        assertThat(new VmStore(vms()).list()).isEmpty();
    }

    @Test
    void withoutFirecrackerTheErrorSaysWhatToDo() {
        VmDriver driver = new FirecrackerDriver(Optional.empty(), vms(), () -> NOT_CONFINED);

        assertThatThrownBy(() -> driver.start(spec(TestGuest.HELLO).build()))
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.HOST))
                .hasMessageContaining("--vmm qemu");
        assertThat(driver.diagnose())
                .anySatisfy(finding -> assertThat(finding.status()).isEqualTo(Finding.Status.BLOCKING));
    }
}
