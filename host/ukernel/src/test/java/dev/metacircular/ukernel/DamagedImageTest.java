package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.image.Image;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.ExitCause;
import dev.metacircular.vm.QemuDriver;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmException;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmOutcome;
import dev.metacircular.vm.VmSpec;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The kernel's reader boots from images that are damaged: a clear end or a consistent read, never a panic or a hang. */
@Timeout(300)
class DamagedImageTest {
    private static final int BLOCK_BYTES = 4096;
    private static final int SUPERBLOCK = 1024;
    private static final int BOOTS = Integer.getInteger("ukernel.damaged.boots", 15);
    private static final Duration BOOT_TIME = Duration.ofSeconds(20);

    @TempDir
    Path folder;

    private byte[] sound = new byte[0];
    private int metadataBytes;

    @BeforeEach
    void pack() throws IOException {
        Workbench.requireQemu();
        Workbench bench = new Workbench(folder);
        assertThat(bench.run(folder, "init", "--name", "hello", "--lang", "c").status())
                .isZero();
        Path hello = folder.resolve("hello");
        assertThat(bench.run(hello, "pack").status()).isZero();
        Path packed = hello.resolve("dist/hello.img");
        try (Image image = Image.open(packed)) {
            metadataBytes = Math.toIntExact(image.segments().getFirst().sizeBytes());
        }
        sound = Files.readAllBytes(packed);
    }

    private VmOutcome boot(byte[] image, String name) throws IOException, InterruptedException {
        Path file = Files.write(folder.resolve(name + ".img"), image);
        QemuDriver driver = new QemuDriver(
                QemuDriver.findIn(System.getenv("PATH")), folder.resolve("vms"), folder.resolve("cache"));
        VirtualMachine vm = driver.start(VmSpec.ofImage(new VmId(name), file)
                .accelerator(Accelerator.EMULATION)
                .memoryMebibytes(32)
                .build());
        try {
            Optional<VmOutcome> outcome = vm.await(BOOT_TIME);
            assertThat(outcome).as("%s hangs", name).isPresent();
            return outcome.get();
        } finally {
            vm.kill();
            vm.remove();
            Files.delete(file);
        }
    }

    private static void repairChecksum(byte[] image) {
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(SUPERBLOCK + 4, 0);
        CRC32C crc = new CRC32C();
        crc.update(image, SUPERBLOCK, BLOCK_BYTES - SUPERBLOCK);
        bytes.putInt(SUPERBLOCK + 4, ~(int) crc.getValue());
    }

    @Test
    void changedMetadataEndsClearlyOrReadsConsistently() throws Exception {
        Random random = new Random(10);
        Map<String, Integer> ends = new TreeMap<>();
        for (int round = 0; round < BOOTS; round++) {
            byte[] image = sound.clone();
            // The VMM reads the bytes before the superblock, not the kernel.
            int at = round % 3 == 0
                    ? SUPERBLOCK + random.nextInt(128)
                    : BLOCK_BYTES + random.nextInt(metadataBytes - BLOCK_BYTES);
            while (round % 3 != 0 && image[at] == 0) {
                at = BLOCK_BYTES + random.nextInt(metadataBytes - BLOCK_BYTES);
            }
            image[at] ^= (byte) (1 + random.nextInt(255));
            if (round % 2 == 0) {
                repairChecksum(image);
            }
            VmOutcome outcome = boot(image, "changed-" + round);
            requireOrderly(outcome, "byte %d changed to %02x".formatted(at, image[at]));
            ends.merge(Outcomes.brief(outcome), 1, Integer::sum);
        }
        assertThat(ends).hasSizeGreaterThan(1);
    }

    @Test
    void aCutImageEndsClearly() throws Exception {
        for (int cut = 1; cut <= 4; cut++) {
            byte[] image = Arrays.copyOf(sound, sound.length - (cut * cut * 4000));
            try {
                requireOrderly(boot(image, "cut-" + cut), "cut to %d bytes".formatted(image.length));
            } catch (VmException e) {
                assertThat(e).hasMessageContaining("cut-" + cut);
            }
        }
    }

    private static void requireOrderly(VmOutcome outcome, String what) {
        assertThat(outcome).as(what).isInstanceOf(VmOutcome.Exited.class);
        VmOutcome.Exited exited = (VmOutcome.Exited) outcome;
        if (exited.status() != 0) {
            assertThat(exited.text()).as(what).isNotBlank();
        }
        if (exited.cause() == ExitCause.KERNEL_PANIC) {
            // The kernel refuses with this status; a panic has another.
            assertThat(exited.status()).as("%s: %s", what, exited.text()).isEqualTo(126);
        }
    }
}
