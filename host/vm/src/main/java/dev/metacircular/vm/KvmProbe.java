package dev.metacircular.vm;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Finds out whether KVM works here by using it. A {@code /dev/kvm} proves little: on some nested hosts it emulates the kernel's
 * instructions one by one, a thousand times slower than a processor, and wrongly in places. So a tiny guest has to count to ten
 * million, print one byte and end, within two seconds. The answer is kept for the boot of the host, the QEMU and the user.
 */
final class KvmProbe {
    private static final Path DEVICE = Path.of("/dev/kvm");
    private static final int LOOPS = 10_000_000;
    static final String EXPECTED = "K";
    static final int MEMORY_MEBIBYTES = 16;

    private final Path qemu;
    private final ProbeCache cache;

    /**
     * @param qemu the QEMU to probe with
     * @param cache the folder that keeps answers
     */
    KvmProbe(Path qemu, Path cache) {
        this.qemu = qemu;
        this.cache = new ProbeCache(cache, "kvm-probe");
    }

    /** The answer, remembered or found by a probe of at most two seconds. */
    ProbeCache.Answer ask() throws InterruptedException {
        Optional<ProbeCache.Answer> obstacle = obstacle(DEVICE);
        if (obstacle.isPresent()) {
            return obstacle.get();
        }
        return cache.ask(qemu, this::probe);
    }

    /** What can be seen without a try. */
    static Optional<ProbeCache.Answer> obstacle(Path device) {
        if (!Files.exists(device)) {
            return Optional.of(new ProbeCache.Answer(false, "there is no " + device));
        }
        if (!Files.isReadable(device) || !Files.isWritable(device)) {
            return Optional.of(new ProbeCache.Answer(
                    false, device + " may not be opened by this user (to change that: sudo usermod -aG kvm $USER)"));
        }
        return Optional.empty();
    }

    private ProbeCache.Answer probe() throws InterruptedException {
        Path kernel;
        try {
            kernel = Files.createTempFile("kvm-probe", ".elf");
        } catch (IOException e) {
            throw StateDirectory.cannot("make a file for the KVM probe in", Path.of("the temporary folder"), e);
        }
        try {
            Files.write(kernel, kernel());
            return run(kernel);
        } catch (IOException e) {
            throw StateDirectory.cannot("probe KVM with", qemu, e);
        } finally {
            kernel.toFile().delete();
        }
    }

    /** The command line that boots the test guest with KVM. */
    static List<String> command(Path qemu, Path kernel) {
        List<String> words = QemuCommand.machine(qemu, Accelerator.KVM, 1, MEMORY_MEBIBYTES);
        words.addAll(QemuCommand.console());
        words.addAll(List.of("-kernel", kernel.toString()));
        return words;
    }

    private ProbeCache.Answer run(Path kernel) throws IOException, InterruptedException {
        List<String> words = command(qemu, kernel);
        Path errors = Files.createTempFile("kvm-probe", ".err");
        long startNanos = System.nanoTime();
        Process process = new ProcessBuilder(words)
                .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                .redirectError(errors.toFile())
                .start();
        try {
            if (!process.waitFor(Limits.KVM_PROBE_DEADLINE.toMillis(), TimeUnit.MILLISECONDS)) {
                return new ProbeCache.Answer(
                        false,
                        "KVM is there but does not run kernel code at a processor's speed (no answer from a test guest within "
                                + Limits.KVM_PROBE_DEADLINE.toSeconds() + " s)");
            }
            long millis = (System.nanoTime() - startNanos) / 1_000_000;
            String output = new String(process.getInputStream().readNBytes(16), StandardCharsets.US_ASCII);
            if (process.exitValue() == 0 && output.equals(EXPECTED)) {
                return new ProbeCache.Answer(true, "KVM ran a test guest in " + millis + " ms");
            }
            return new ProbeCache.Answer(
                    false,
                    "KVM is there but failed a test guest (exit " + process.exitValue() + "): "
                            + firstLine(Files.readString(errors)));
        } finally {
            process.destroyForcibly().waitFor();
            Files.deleteIfExists(errors);
        }
    }

    /** The test guest's file. */
    static byte[] kernel() {
        return PvhElf.of(guest());
    }

    private static String firstLine(String text) {
        return text.lines().findFirst().orElse("no message");
    }

    /** Counts down, prints, ends: by port 0x64 where that is the way, and by a triple fault. */
    private static byte[] guest() {
        ByteBuffer code = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        // mov ecx, LOOPS; dec ecx; jnz −3
        code.put((byte) 0xb9).putInt(LOOPS).put(bytes(0x49, 0x75, 0xfd));
        // mov dx, 0x3f8; mov al, 'K'; out dx, al
        code.put(bytes(0x66, 0xba, 0xf8, 0x03, 0xb0, 'K', 0xee));
        // mov al, 0xfe; out 0x64, al
        code.put(bytes(0xb0, 0xfe, 0xe6, 0x64));
        // lidt of six zero bytes that stand at offset 48; ud2; jmp self
        code.put(bytes(0x0f, 0x01, 0x1d)).putInt(PvhElf.LOAD_ADDRESS + 48);
        code.put(bytes(0x0f, 0x0b, 0xeb, 0xfe));
        return code.array();
    }

    private static byte[] bytes(int... values) {
        byte[] result = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = (byte) values[i];
        }
        return result;
    }
}
