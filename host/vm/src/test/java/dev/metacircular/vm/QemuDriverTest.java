package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What QEMU's driver does beyond the common part. */
@Timeout(60)
class QemuDriverTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @TempDir
    Path folder;

    @BeforeAll
    static void qemuIsInstalled() {
        QemuForTests.require(QemuDriverTest.class);
    }

    @AfterEach
    void endVms() throws InterruptedException {
        for (VmStore.Entry entry : new VmStore(folder.resolve("vms")).list()) {
            if (entry instanceof VmStore.Entry.Found(VirtualMachine vm)) {
                vm.kill();
            }
        }
    }

    private QemuDriver driver() {
        return new QemuDriver(QemuForTests.find(), folder.resolve("vms"), folder.resolve("cache"));
    }

    private VmSpec.Builder spec(String name, TestGuest guest) {
        return VmSpec.ofKernel(new VmId(name), guest.writeTo(folder))
                .memoryMebibytes(16)
                .accelerator(Accelerator.EMULATION);
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static PortForward forward(int port) {
        return new PortForward(PortForward.Protocol.TCP, InetAddress.getLoopbackAddress(), port, 80);
    }

    @Test
    void aForwardedPortListensOnTheHost() throws Exception {
        int port = freePort();

        VirtualMachine vm = driver().start(spec("web", TestGuest.DEAF)
                .network(new Network.User(List.of(forward(port))))
                .build());

        try (Socket connection = new Socket()) {
            connection.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 5_000);
            assertThat(connection.isConnected()).isTrue();
        }
        assertThat(vm.info().networks()).containsExactly("user 127.0.0.1:" + port + ":80");
    }

    @Test
    void severalVmsAtOnceDoNotClash() throws Exception {
        List<VirtualMachine> machines = new ArrayList<>();
        List<Integer> ports = new ArrayList<>();
        for (String name : List.of("one", "two", "three")) {
            ports.add(freePort());
            machines.add(driver().start(spec(name, TestGuest.DEAF)
                    .network(new Network.User(List.of(forward(ports.getLast()))))
                    .build()));
        }

        machines.removeFirst().kill();

        for (int port : ports.subList(1, ports.size())) {
            try (Socket connection = new Socket()) {
                connection.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 5_000);
                assertThat(connection.isConnected()).isTrue();
            }
        }
        assertThat(machines).hasSize(2).allMatch(vm -> vm.state() instanceof VmState.Running);
    }

    @Test
    void aPortThatIsTakenIsNamedAndNothingIsLeft() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            VmSpec spec = spec("web", TestGuest.DEAF)
                    .network(new Network.User(List.of(forward(taken.getLocalPort()))))
                    .build();

            assertThatThrownBy(() -> driver().start(spec))
                    .isInstanceOfSatisfying(
                            VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.REQUEST))
                    .hasMessageContaining("127.0.0.1:" + taken.getLocalPort())
                    .hasMessageContaining("port " + taken.getLocalPort() + " is taken by process "
                            + ProcessHandle.current().pid() + " (")
                    .hasMessageContaining("publish the guest's port on another one");
        }
        assertThat(new VmStore(folder.resolve("vms")).list()).isEmpty();
    }

    @Test
    void whatQemuSaysOfATapIsExplainedWithItsName() {
        assertThat(
                        QemuErrors.explain(
                                new VmId("web"),
                                "qemu-system-x86_64: -netdev tap,id=net0,ifname=tap7: could not configure /dev/net/tun (tap7): Operation not permitted"))
                .hasMessageContaining("sudo ip tuntap add tap7 mode tap user $USER && sudo ip link set tap7 up");
        assertThat(QemuErrors.explain(
                        new VmId("web"), "could not configure /dev/net/tun (tap7): Device or resource busy"))
                .hasMessageContaining("give each VM one of its own");
        assertThat(QemuErrors.explain(new VmId("web"), "could not open /dev/net/tun: Permission denied"))
                .hasMessageContaining("may not open /dev/net/tun");
    }

    @Test
    void theInterfacesOfVmsHaveAddressesOfTheirOwnThatStay() {
        Path mine = Path.of("/home/one/vms");
        assertThat(MacAddresses.here(mine).of(new VmId("web"), 0))
                .isEqualTo(MacAddresses.here(mine).of(new VmId("web"), 0))
                .matches("[0-9a-f][26ae](:[0-9a-f]{2}){5}");
        assertThat(Stream.of(
                                new MacAddresses("host", mine),
                                new MacAddresses("another", mine),
                                new MacAddresses("host", Path.of("/home/two/vms")))
                        .flatMap(addresses -> Stream.of("web", "web-2", "api")
                                .flatMap(name -> Stream.of(0, 1).map(index -> addresses.of(new VmId(name), index)))))
                .doesNotHaveDuplicates();
    }

    @Test
    void aDebuggerFindsTheGuestBeforeItsFirstInstruction() throws Exception {
        int port = freePort();
        VirtualMachine vm = driver().start(spec("debugged", TestGuest.HELLO)
                .debugger(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
                .build());

        assertThat(vm.await(Duration.ofMillis(100))).isEmpty();
        try (Socket gdb = new Socket(InetAddress.getLoopbackAddress(), port)) {
            gdb.setSoTimeout(5_000);
            // «c», the remote protocol's word for continue, with its checksum.
            gdb.getOutputStream().write("$c#63".getBytes(StandardCharsets.US_ASCII));
            assertThat(gdb.getInputStream().read()).isEqualTo('+');
            assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
        }
    }

    @Test
    void aFileNameWithEveryCharacterOfQemusSyntaxWorks() throws Exception {
        Path odd = Files.createDirectories(folder.resolve("a,b=c d'e\"f%g:h"));
        Path kernel = TestGuest.HELLO.writeTo(odd);
        Path disk = Files.write(odd.resolve("disk,x=y"), new byte[512]);
        QemuDriver driver = new QemuDriver(QemuForTests.find(), odd.resolve("vms"), folder.resolve("cache"));

        VirtualMachine vm = driver.start(VmSpec.ofKernel(new VmId("odd"), kernel)
                .memoryMebibytes(16)
                .accelerator(Accelerator.EMULATION)
                .disk(new Disk(disk, true))
                .channelSlots(64)
                .initrd(new Initrd.File(disk))
                .commandLine("a,b c=\"d\"")
                .build());

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }

    @Test
    void aStateDirectoryDeepInTheFileSystemWorks() throws Exception {
        Path deep = folder.resolve("d".repeat(120)).resolve("e".repeat(120));
        QemuDriver driver = new QemuDriver(QemuForTests.find(), deep, folder.resolve("cache"));

        VirtualMachine vm = driver.start(spec("deep", TestGuest.HELLO).build());

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }

    @Test
    void qemuThatIsTerminatedFromOutsideIsNotTakenForAnOrderlyEnd() throws Exception {
        VirtualMachine vm = driver().start(spec("terminated", TestGuest.DEAF).build());
        long pid = vm.state() instanceof VmState.Running(long running) ? running : -1;

        ProcessHandle.of(pid).orElseThrow().destroy();

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.Killed(VmOutcome.By.HOST, java.util.OptionalInt.of(15)));
    }

    @Test
    void theAcceleratorAndTheReasonForItAreKept() {
        VirtualMachine vm = driver().start(spec("which", TestGuest.DEAF).build());

        assertThat(vm.info().acceleration()).isEqualTo(new Acceleration(Accelerator.EMULATION, "asked for"));
        Acceleration chosen = driver().accelerationFor(Optional.empty());
        assertThat(chosen.reason()).isNotBlank();
    }

    @Test
    void withoutQemuTheErrorSaysWhatToInstall() {
        QemuDriver driver = new QemuDriver(Optional.empty(), folder.resolve("vms"), folder.resolve("cache"));

        assertThatThrownBy(() -> driver.start(spec("none", TestGuest.HELLO).build()))
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.HOST))
                .hasMessageContaining("apt-get install qemu-system-x86");
        assertThat(driver.diagnose().getFirst().status()).isEqualTo(Finding.Status.BLOCKING);
    }

    @Test
    void theDiagnosisNamesVersionAndKvm() {
        assertThat(driver().diagnose())
                .anySatisfy(finding -> assertThat(finding.detail()).contains("QEMU emulator version"))
                .anySatisfy(finding -> assertThat(finding.subject()).isEqualTo("KVM"));
    }
}
