package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class VmSpecTest {
    private static VmSpec.Builder spec() {
        return VmSpec.ofImage(new VmId("x"), Path.of("image"));
    }

    @Test
    void anImageIsKernelAndFirstDiskAndHasAChannel() {
        VmSpec spec = spec().build();

        assertThat(spec.kernel()).isEqualTo(Path.of("image"));
        assertThat(spec.disks()).containsExactly(new Disk(Path.of("image"), true));
        assertThat(spec.channelSlots()).isEqualTo(4_096);
    }

    @Test
    void valuesOutOfBoundsAreRefusedWithTheBound() {
        Disk disk = new Disk(Path.of("d"), true);
        List<VmSpec.Builder> wrong = List.of(
                spec().vcpus(0),
                spec().vcpus(33),
                spec().memoryMebibytes(0),
                spec().channelSlots(63),
                spec().channelSlots(262_145),
                spec().consoleBytes(100),
                spec().commandLine("x".repeat(1_537)),
                spec().commandLine("a\nb"),
                spec().disk(disk).disk(disk).disk(disk).disk(disk));

        assertThat(wrong)
                .allSatisfy(builder -> assertThatThrownBy(builder::build)
                        .isInstanceOfSatisfying(
                                VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.REQUEST))
                        .hasMessageStartingWith("a VM cannot have"));
    }

    @Test
    void secretsInTheInitrdAreNotPrinted() {
        assertThat(spec().initrd(Initrd.of("env PASSWORD=hunter2")).build().toString())
                .doesNotContain("hunter2")
                .contains("20 bytes");
    }

    @Test
    void portsAndInterfaceNamesAreChecked() throws Exception {
        java.net.InetAddress any = java.net.InetAddress.getByAddress(new byte[4]);
        assertThatThrownBy(() -> new PortForward(PortForward.Protocol.TCP, any, 0, 80))
                .hasMessageContaining("host port 0");
        assertThatThrownBy(() -> new PortForward(PortForward.Protocol.TCP, any, 80, 65_536))
                .hasMessageContaining("guest port 65536");
        assertThatThrownBy(() -> new Network.Tap("tap0,script=/bin/sh")).isInstanceOf(VmException.class);
    }
}
