package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class CarriedVmTest {
    private static final CarriedVm VM = new CarriedVm(
            "shop-worker-1",
            2,
            64,
            Path.of("/image"),
            Path.of("/proc/self/fd/4"),
            List.of(new Disk(Path.of("/image"), true), new Disk(Path.of("/disks/0"), false)),
            Path.of("/vm/channel"),
            "tap0",
            "02:00:00:00:00:01",
            Path.of("/vm/control.sock"));

    @Test
    void qemuIsToldAllOfItAndStartsAtOnce() {
        List<String> words = VM.qemu(Path.of("/usr/bin/qemu-system-x86_64"), Accelerator.EMULATION);
        assertThat(words.getFirst()).isEqualTo("/usr/bin/qemu-system-x86_64");
        assertThat(words)
                .containsSequence("-smp", "2", "-m", "64M")
                .containsSequence("-kernel", "/image", "-initrd", "/proc/self/fd/4")
                .containsSequence("-qmp", "unix:/vm/control.sock,server=on,wait=off")
                .containsSequence("-chardev", "stdio,id=console,signal=off")
                .doesNotContain("-S");
        // The order in which the guest finds them: the image, the volumes, the channel.
        assertThat(words.stream().filter(w -> w.startsWith("virtio-")).toList())
                .containsExactly(
                        "virtio-mmio.force-legacy=false",
                        "virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0,rerror=report,werror=report",
                        "virtio-blk-device,drive=disk1,bus=virtio-mmio-bus.1,rerror=report,werror=report",
                        "virtio-blk-device,drive=channel,bus=virtio-mmio-bus.2,rerror=report,werror=report",
                        "virtio-net-device,netdev=net0,bus=virtio-mmio-bus.3,mac=02:00:00:00:00:01");
        assertThat(CarriedVm.runs("shop-worker-1", words)).isTrue();
        assertThat(CarriedVm.runs("shop-worker", words)).isFalse();
    }

    @Test
    void firecrackerIsToldTheSame() throws JsonProcessingException {
        List<String> words = VM.firecracker(Path.of("/vmm/vmm"), Path.of("/vm/vmm.json"));
        assertThat(words).containsSequence("--id", "shop-worker-1").containsSequence("--config-file", "/vm/vmm.json");
        assertThat(CarriedVm.runs("shop-worker-1", words)).isTrue();
        assertThat(CarriedVm.runs("shop-worker", words)).isFalse();

        JsonNode document = new ObjectMapper().readTree(VM.firecrackerConfiguration());
        assertThat(document.path("machine-config")).hasToString("{\"vcpu_count\":2,\"mem_size_mib\":64}");
        assertThat(document.path("boot-source").path("kernel_image_path").asText())
                .isEqualTo("/image");
        assertThat(document.path("boot-source").path("initrd_path").asText()).isEqualTo("/proc/self/fd/4");
        assertThat(document.path("drives").findValuesAsText("path_on_host"))
                .containsExactly("/image", "/disks/0", "/vm/channel");
        assertThat(document.path("drives").findValuesAsText("is_read_only")).containsExactly("true", "false", "false");
        assertThat(document.path("network-interfaces").path(0).path("guest_mac").asText())
                .isEqualTo("02:00:00:00:00:01");
    }

    @Test
    void firecrackerCanTryKvmToo() throws JsonProcessingException {
        assertThat(CarriedVm.KvmTrial.firecracker(Path.of("/vmm/vmm"), Path.of("/vmm.json")))
                .startsWith("/vmm/vmm", "--no-api")
                .containsSequence("--config-file", "/vmm.json");
        JsonNode document = new ObjectMapper().readTree(CarriedVm.KvmTrial.firecrackerConfiguration(Path.of("/image")));
        assertThat(document.path("boot-source").path("kernel_image_path").asText())
                .isEqualTo("/image");
        assertThat(document.path("machine-config")).hasToString("{\"vcpu_count\":1,\"mem_size_mib\":16}");
        assertThat(document.path("drives").isArray()).isTrue();
    }
}
