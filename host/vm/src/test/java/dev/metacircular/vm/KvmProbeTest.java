package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** How answers are judged and kept; programs of a few lines stand for QEMU. The real one is asked in {@link QemuKvmTest}. */
@Timeout(30)
class KvmProbeTest {
    @TempDir
    Path folder;

    @BeforeEach
    void thereIsADevice() {
        Requirement.of(
                KvmProbe.obstacle(Path.of("/dev/kvm")).isEmpty(),
                KvmProbeTest.class,
                "no /dev/kvm that this user may open");
    }

    private Path program(String body) throws IOException {
        Path file = folder.resolve("qemu");
        Files.writeString(file, "#!/bin/sh\necho run >> '" + folder.resolve("runs") + "'\n" + body + "\n");
        return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
    }

    private ProbeCache.Answer ask(Path qemu) throws InterruptedException {
        return new KvmProbe(qemu, folder.resolve("cache")).ask();
    }

    private List<String> runs() throws IOException {
        return Files.readAllLines(folder.resolve("runs"));
    }

    @Test
    void aGuestThatAnswersAndEndsProvesKvm() throws Exception {
        ProbeCache.Answer answer = ask(program("printf K"));

        assertThat(answer.usable()).isTrue();
        assertThat(answer.reason()).contains("ran a test guest");
    }

    @Test
    void anAnswerIsKeptForTheSameBootAndTheSameQemu() throws Exception {
        Path qemu = program("printf K");
        ProbeCache.Answer first = ask(qemu);
        assertThat(ask(qemu)).isEqualTo(first);
        assertThat(runs()).hasSize(1);

        ask(program("printf K; exit 0"));
        assertThat(runs()).hasSize(2);
    }

    @Test
    void anAnswerOfAnotherBootDoesNotCount() throws Exception {
        Path qemu = program("printf K");
        ask(qemu);
        Path kept = folder.resolve("cache").resolve("kvm-probe");
        Files.writeString(kept, Files.readString(kept).replace(ProcessIdentity.bootId(), "another"));

        ask(qemu);

        assertThat(runs()).hasSize(2);
    }

    @Test
    void aVmmThatFailsIsQuoted() throws Exception {
        ProbeCache.Answer answer = ask(program("echo 'failed to set MSR 0x10a' >&2; exit 134"));

        assertThat(answer.usable()).isFalse();
        assertThat(answer.reason()).contains("134").contains("failed to set MSR 0x10a");
    }

    @Test
    void aWrongByteIsNoProof() throws Exception {
        assertThat(ask(program("printf J")).usable()).isFalse();
    }

    @Test
    void aKvmThatIsTooSlowIsNotUsed() throws Exception {
        long startNanos = System.nanoTime();
        ProbeCache.Answer answer = ask(program("exec sleep 60"));

        assertThat(answer.usable()).isFalse();
        assertThat(answer.reason()).contains("within 2 s");
        assertThat(System.nanoTime() - startNanos).isLessThan(20_000_000_000L);
    }

    @Test
    void aMissingDeviceIsSaidWithoutATry() {
        assertThat(KvmProbe.obstacle(folder.resolve("kvm")))
                .hasValueSatisfying(answer -> assertThat(answer.reason()).contains("there is no"));
    }
}
