package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM without the process that started it, and state that an accident left behind. */
@Timeout(60)
class SurvivalTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    @TempDir
    Path folder;

    @BeforeAll
    static void qemuIsInstalled() {
        QemuForTests.require(SurvivalTest.class);
    }

    /** Started as a process of its own: starts a VM, says so, and waits to be killed. */
    static final class Starter {
        private Starter() {}

        public static void main(String[] words) throws Exception {
            Path folder = Path.of(words[0]);
            new QemuDriver(QemuForTests.find(), folder.resolve("vms"), folder.resolve("cache"))
                    .start(VmSpec.ofKernel(new VmId("orphan"), TestGuest.STOPS_WHEN_ASKED.writeTo(folder))
                            .memoryMebibytes(16)
                            .accelerator(Accelerator.EMULATION)
                            .channelSlots(64)
                            .build());
            System.out.println("started");
            Thread.sleep(Duration.ofMinutes(1));
        }
    }

    private VmStore store() {
        return new VmStore(folder.resolve("vms"));
    }

    private VirtualMachine startDeaf(String name) {
        return new QemuDriver(QemuForTests.find(), folder.resolve("vms"), folder.resolve("cache"))
                .start(VmSpec.ofKernel(new VmId(name), TestGuest.DEAF.writeTo(folder))
                        .memoryMebibytes(16)
                        .accelerator(Accelerator.EMULATION)
                        .build());
    }

    @AfterEach
    void endVms() throws InterruptedException {
        for (VmStore.Entry entry : store().list()) {
            if (entry instanceof VmStore.Entry.Found(VirtualMachine vm)) {
                vm.kill();
            }
        }
        VmDriverConformance.assertNoProcessOf(folder.resolve("vms"));
    }

    @Test
    void aVmOutlivesTheProcessThatStartedItAndIsStoppedInOrderByAnother() throws Exception {
        Process starter = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Starter.class.getName(),
                        folder.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader output =
                new BufferedReader(new InputStreamReader(starter.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(output.readLine()).isEqualTo("started");
        } finally {
            starter.destroyForcibly();
        }
        assertThat(starter.waitFor(10, TimeUnit.SECONDS)).isTrue();

        VirtualMachine vm = store().find(new VmId("orphan")).orElseThrow();

        assertThat(vm.state()).isInstanceOf(VmState.Running.class);
        VmDriverConformance.awaitConsole(vm, "ready\n");
        assertThat(vm.stop(PATIENCE)).isEqualTo(new VmOutcome.EndedWithoutStatus("ready\nstopping\n"));
    }

    @Test
    void aVmWhoseProcessesAreAllGoneWithoutAWordIsNotTakenForRunning() throws Exception {
        VirtualMachine vm = startDeaf("lost");
        Path pids = vm.info().directory().resolve("pids");
        List<Long> all = Files.readAllLines(pids).stream()
                .map(line -> Long.parseLong(line.split(" ", -1)[1]))
                .toList();
        for (long pid : all) {
            ProcessHandle.of(pid).orElseThrow().destroyForcibly();
        }

        VirtualMachine again = store().find(new VmId("lost")).orElseThrow();

        assertThat(again.await(PATIENCE)).contains(new VmOutcome.Killed(VmOutcome.By.UNKNOWN, OptionalInt.empty()));
        assertThat(vm.info().directory().resolve("serial.in")).doesNotExist();
        assertThat(vm.info().directory().resolve("qmp.sock")).doesNotExist();
    }

    @Test
    void aReusedProcessNumberIsNotTakenForTheVmm() throws Exception {
        VirtualMachine vm = startDeaf("reused");
        vm.kill();
        Path directory = vm.info().directory();
        Files.delete(directory.resolve("exit"));
        long self = ProcessHandle.current().pid();
        Files.writeString(directory.resolve("pids"), "supervisor " + self + " 1\nvmm " + self + " 1\n");

        VirtualMachine again = store().find(new VmId("reused")).orElseThrow();

        assertThat(again.state()).isInstanceOf(VmState.Ended.class);
        assertThat(again.kill()).isInstanceOf(VmOutcome.Killed.class);
    }

    @Test
    void aVmOfAnEarlierBootHasEnded() throws Exception {
        VirtualMachine vm = startDeaf("earlier");
        Path record = vm.info().directory().resolve("vm.json");
        String json = Files.readString(record);
        vm.kill();
        Files.delete(vm.info().directory().resolve("exit"));
        Files.delete(vm.info().directory().resolve("pids"));
        Files.writeString(record, json.replace(ProcessIdentity.bootId(), "another-boot"));

        assertThat(store().find(new VmId("earlier")).orElseThrow().state()).isInstanceOf(VmState.Ended.class);
    }

    @Test
    void damagedStateIsShownWithWhatToDoAndHidesNoOtherVm() throws IOException {
        VirtualMachine good = startDeaf("good");
        Path broken = Files.createDirectories(folder.resolve("vms/broken"));
        Files.writeString(broken.resolve("vm.json"), "{\"version\": 1, \"id\": ");
        Path later = Files.createDirectories(folder.resolve("vms/later"));
        Files.writeString(later.resolve("vm.json"), "{\"version\": 2}");
        Files.createDirectories(folder.resolve("vms/empty"));
        Files.createDirectories(folder.resolve("vms/.hidden"));

        List<VmStore.Entry> entries = store().list();

        assertThat(entries).hasSize(4);
        assertThat(entries)
                .filteredOn(VmStore.Entry.Found.class::isInstance)
                .hasSize(1)
                .allSatisfy(entry ->
                        assertThat(((VmStore.Entry.Found) entry).vm().info()).isEqualTo(good.info()));
        assertThat(entries)
                .filteredOn(VmStore.Entry.Broken.class::isInstance)
                .hasSize(3)
                .allSatisfy(entry ->
                        assertThat(((VmStore.Entry.Broken) entry).why()).contains("delete"));
        assertThatThrownBy(() -> store().find(new VmId("broken")))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("vm.json");
    }

    @Test
    void aVmThatAnotherProcessRemovedIsSaidToBeRemoved() throws Exception {
        VirtualMachine vm = startDeaf("gone");
        VirtualMachine other = store().find(new VmId("gone")).orElseThrow();
        vm.kill();
        vm.remove();

        assertThatThrownBy(other::state).isInstanceOf(VmException.class).hasMessageContaining("was removed");
        assertThat(store().find(new VmId("gone"))).isEmpty();
    }

    @Test
    void aStartThatWasInterruptedIsSeenAsEndedAndCanBeRemoved() throws Exception {
        VirtualMachine vm = startDeaf("half");
        vm.kill();
        Path directory = vm.info().directory();
        String json = Files.readString(directory.resolve("vm.json"));
        vm.remove();
        Files.createDirectories(directory);
        Files.writeString(
                directory.resolve("vm.json"),
                json.replaceFirst("\"startedAt\" : \"[^\"]*\"", "\"startedAt\" : \"2020-01-01T00:00:00Z\""));

        VirtualMachine half = store().find(new VmId("half")).orElseThrow();

        assertThat(half.state())
                .isInstanceOfSatisfying(
                        VmState.Ended.class,
                        ended -> assertThat(ended.outcome())
                                .isInstanceOfSatisfying(
                                        VmOutcome.VmmFailed.class,
                                        failed -> assertThat(failed.errors()).contains("interrupted")));
        half.remove();
        assertThat(store().list()).isEmpty();
    }

    @Test
    void aNameThatIsNoFileNameIsRefused() {
        for (String name : List.of("", "..", ".x", "a/b", "A", "x".repeat(64))) {
            assertThatThrownBy(() -> new VmId(name)).isInstanceOf(VmException.class);
        }
        assertThat(Optional.of(new VmId("a.b_c-1")).map(VmId::value)).contains("a.b_c-1");
    }
}
