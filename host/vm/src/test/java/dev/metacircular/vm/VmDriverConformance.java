package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What every VM driver must do. Each driver's test class extends this one and says how to make the driver. */
@Timeout(60)
public abstract class VmDriverConformance {
    /** More than any step takes on a loaded machine. */
    protected static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final AtomicInteger NAMES = new AtomicInteger();

    @TempDir
    protected Path folder;

    /** The driver under test, with the folder of its VMs' state. */
    protected abstract VmDriver driver(Path vms);

    /** A VM of this guest, with whatever the driver needs; one that this driver runs on this machine. */
    protected VmSpec.Builder spec(TestGuest guest) {
        return VmSpec.ofKernel(new VmId("test-" + NAMES.incrementAndGet()), guest.writeTo(folder))
                .memoryMebibytes(16);
    }

    protected final Path vms() {
        return folder.resolve("vms");
    }

    protected final VirtualMachine start(VmSpec.Builder spec) {
        return driver(vms()).start(spec.build());
    }

    /** The same VM as a process sees it that did not start it. */
    protected final VirtualMachine foundAgain(VirtualMachine vm) {
        return new VmStore(vms()).find(vm.info().id()).orElseThrow();
    }

    @AfterEach
    void leaveNothingRunning() throws InterruptedException {
        for (VmStore.Entry entry : new VmStore(vms()).list()) {
            if (entry instanceof VmStore.Entry.Found(VirtualMachine vm)) {
                vm.kill();
            }
        }
        assertNoProcessOf(vms());
    }

    /** What served a VM may need a moment to end after it. */
    protected static void assertNoProcessOf(Path folder) throws InterruptedException {
        for (int i = 0; i < 100 && !processesOf(folder).isEmpty(); i++) {
            Thread.sleep(Duration.ofMillis(50));
        }
        assertThat(processesOf(folder)).isEmpty();
    }

    /** Processes whose command line or working directory names this folder. */
    protected static List<String> processesOf(Path folder) {
        return ProcessHandle.allProcesses()
                .filter(process -> {
                    Path proc = Path.of("/proc", Long.toString(process.pid()));
                    try {
                        return Files.readSymbolicLink(proc.resolve("cwd")).startsWith(folder)
                                || Files.readString(proc.resolve("cmdline")).contains(folder.toString());
                    } catch (IOException gone) {
                        return false;
                    }
                })
                .map(process ->
                        process.pid() + " " + process.info().commandLine().orElse(""))
                .toList();
    }

    /** Reads the console until it holds this text. */
    protected static String awaitConsole(VirtualMachine vm, String text) throws InterruptedException {
        try (ConsoleReader console = vm.console()) {
            return awaitConsole(console, text);
        }
    }

    protected static String awaitConsole(ConsoleReader console, String text) throws InterruptedException {
        StringBuilder seen = new StringBuilder();
        long deadlineNanos = System.nanoTime() + PATIENCE.toNanos();
        while (seen.indexOf(text) < 0) {
            assertThat(System.nanoTime()).as("console so far: %s", seen).isLessThan(deadlineNanos);
            switch (console.next(Duration.ofSeconds(1)).orElse(new ConsoleEvent.Lost(0))) {
                case ConsoleEvent.Output(long offset, ByteBuffer bytes) ->
                    seen.append(StandardCharsets.ISO_8859_1.decode(bytes));
                case ConsoleEvent.Lost lost -> {}
                case ConsoleEvent.End end -> throw new AssertionError("console ended without " + text + ": " + seen);
            }
        }
        return seen.toString();
    }

    protected static String wholeConsole(VirtualMachine vm) throws InterruptedException {
        StringBuilder seen = new StringBuilder();
        try (ConsoleReader console = vm.console()) {
            while (console.next(PATIENCE).orElseThrow() instanceof ConsoleEvent.Output(long offset, ByteBuffer bytes)) {
                assertThat(offset).isEqualTo(seen.length());
                seen.append(StandardCharsets.ISO_8859_1.decode(bytes));
            }
        }
        return seen.toString();
    }

    private static List<String> filesIn(Path directory) {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void aGuestRunsAndItsConsoleIsComplete() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.HELLO));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
        assertThat(wholeConsole(vm)).isEqualTo("hello\n");
        assertThat(vm.state()).isEqualTo(new VmState.Ended(new VmOutcome.EndedWithoutStatus("hello\n")));
    }

    @Test
    void aGuestThatCrashesBeforeItCouldSayAnythingIsNoFailureOfTheVmm() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.CRASHING).channelSlots(64));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }

    @Test
    void theWorkloadsStatusComesFromTheChannel() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.ECHO).channelSlots(64));
        awaitConsole(vm, "ready");
        try (ChannelWriter guest = new ChannelWriter(vm.info().directory().resolve("channel"))) {
            guest.log(1, "working");
            guest.exit(42, 0, "done");
        }
        vm.type(ByteBuffer.wrap(new byte[] {'q'}));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.Exited(42, ExitCause.RETURNED, "done"));
        try (ChannelReader channel = vm.channel().orElseThrow()) {
            assertThat(channel.next(PATIENCE))
                    .hasValueSatisfying(event -> assertThat(event)
                            .isInstanceOfSatisfying(
                                    ChannelEvent.Message.class,
                                    message -> assertThat(message.message())
                                            .isInstanceOfSatisfying(
                                                    ChannelMessage.Log.class,
                                                    log -> assertThat(log.text())
                                                            .isEqualTo("working"))));
        }
    }

    @Test
    void whatIsTypedReachesTheGuestAndItsAnswerReachesTheConsole() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.ECHO));
        try (ConsoleReader console = vm.console()) {
            awaitConsole(console, "ready\n");
            vm.type(ByteBuffer.wrap("hi there".getBytes(StandardCharsets.US_ASCII)));
            awaitConsole(console, "hi there");
            vm.type(ByteBuffer.wrap(new byte[] {'q'}));
            awaitConsole(console, "bye\n");
            assertThat(console.next(PATIENCE)).contains(new ConsoleEvent.End());
        }
        assertThatThrownBy(() -> vm.type(ByteBuffer.wrap(new byte[] {'x'})))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("does not run");
    }

    @Test
    void aGuestThatListensStopsInOrder() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.STOPS_WHEN_ASKED));
        awaitConsole(vm, "ready");

        VmOutcome outcome = vm.stop(PATIENCE);

        assertThat(outcome).isEqualTo(new VmOutcome.EndedWithoutStatus("ready\nstopping\n"));
        assertThat(vm.stop(PATIENCE)).isEqualTo(outcome);
        assertThat(vm.kill()).isEqualTo(outcome);
    }

    @Test
    void aGuestThatDoesNotListenIsEndedByForce() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.SPINNING));
        awaitConsole(vm, "ready");

        VmOutcome outcome = vm.stop(Duration.ofMillis(200));

        assertThat(outcome)
                .isInstanceOfSatisfying(
                        VmOutcome.Killed.class,
                        killed -> assertThat(killed.by()).isEqualTo(VmOutcome.By.REQUEST));
        assertThat(foundAgain(vm).state()).isEqualTo(new VmState.Ended(outcome));
    }

    @Test
    void typingToAGuestThatDoesNotReadHasADeadline() {
        VirtualMachine vm = start(spec(TestGuest.DEAF));

        assertThatThrownBy(() -> {
                    for (int i = 0; i < 3; i++) {
                        vm.type(ByteBuffer.allocate(65_536));
                    }
                })
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.DEADLINE));
    }

    @Test
    void aVmmThatIsKilledFromOutsideIsNotTakenForARequest() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.DEAF));
        long pid = vm.state() instanceof VmState.Running(long running) ? running : -1;

        assertThat(ProcessHandle.of(pid).orElseThrow().destroyForcibly()).isTrue();

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.Killed(VmOutcome.By.HOST, java.util.OptionalInt.of(9)));
    }

    @Test
    void aRunningVmIsFoundAgainAndControlled() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.STOPS_WHEN_ASKED));
        awaitConsole(vm, "ready");

        VirtualMachine again = foundAgain(vm);

        assertThat(again.info()).isEqualTo(vm.info());
        assertThat(again.state()).isEqualTo(vm.state()).isInstanceOf(VmState.Running.class);
        assertThat(again.await(Duration.ofMillis(50))).isEmpty();
        assertThat(awaitConsole(again, "ready")).isEqualTo("ready\n");
        assertThat(again.stop(PATIENCE)).isEqualTo(new VmOutcome.EndedWithoutStatus("ready\nstopping\n"));
        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("ready\nstopping\n"));
    }

    @Test
    void anEndedVmLeavesItsLogsAndNoProcessSocketOrPipe() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.DEAF).channelSlots(64).initrd(Initrd.of("secret")));
        awaitConsole(vm, "ready");

        vm.kill();

        Path directory = vm.info().directory();
        assertThat(filesIn(directory)).contains("channel", "console.000000", "vm.json");
        assertThat(filesIn(directory)).doesNotContain("serial.in", "qmp.sock", "api.sock", "initrd");
        assertThat(processesOf(directory)).isEmpty();
        vm.remove();
        assertThat(directory).doesNotExist();
        assertThat(new VmStore(vms()).list()).isEmpty();
    }

    @Test
    void aRunningVmIsNotRemoved() {
        VirtualMachine vm = start(spec(TestGuest.DEAF));

        assertThatThrownBy(vm::remove).isInstanceOf(VmException.class).hasMessageContaining("stop it");
        assertThat(vm.state()).isInstanceOf(VmState.Running.class);
    }

    @Test
    void aNameIsTakenAsLongAsItsVmIsNotRemoved() throws InterruptedException {
        VmSpec.Builder spec = spec(TestGuest.HELLO);
        VirtualMachine vm = start(spec);
        vm.await(PATIENCE);

        assertThatThrownBy(() -> start(spec))
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.NAME_TAKEN))
                .hasMessageContaining("exists already");
        vm.remove();
        assertThat(start(spec).await(PATIENCE)).isPresent();
    }

    @Test
    void anInitrdGivenAsContentIsGoneOnceTheVmHasStarted() {
        VirtualMachine vm = start(spec(TestGuest.DEAF).initrd(Initrd.of("env PASSWORD=hunter2\n")));

        assertThat(filesIn(vm.info().directory())).doesNotContain("initrd");
    }

    @Test
    void aKernelThatIsMissingIsTheCallersFault() {
        VmSpec.Builder spec = VmSpec.ofKernel(new VmId("absent"), folder.resolve("absent.elf"));

        assertThatThrownBy(() -> start(spec))
                .isInstanceOfSatisfying(
                        VmException.class, e -> assertThat(e.fault()).isEqualTo(VmException.Fault.REQUEST))
                .hasMessageContaining("absent.elf");
        assertThat(vms().resolve("absent")).doesNotExist();
    }

    @Test
    void aFileThatIsNoKernelFailsTheStartAndLeavesNothing() throws IOException {
        Path junk = Files.writeString(folder.resolve("junk"), "no kernel".repeat(1_000));
        VmSpec.Builder spec = spec(TestGuest.HELLO);
        VmSpec bad =
                VmSpec.ofKernel(spec.build().id(), junk).memoryMebibytes(16).build();

        assertThatThrownBy(() -> driver(vms()).start(withAcceleratorOf(spec.build(), bad)))
                .isInstanceOf(VmException.class)
                .hasMessageContaining("did not start");
        assertThat(vms().resolve(bad.id().value())).doesNotExist();
        assertThat(processesOf(vms())).isEmpty();
    }

    private static VmSpec withAcceleratorOf(VmSpec model, VmSpec spec) {
        VmSpec.Builder builder = VmSpec.ofKernel(spec.id(), spec.kernel()).memoryMebibytes(spec.memoryMebibytes());
        model.accelerator().ifPresent(builder::accelerator);
        return builder.build();
    }

    @Test
    void aConsoleThatFloodsStaysBoundedAndItsLossIsSeen() throws InterruptedException, IOException {
        VirtualMachine vm = start(spec(TestGuest.FLOODING).consoleBytes(16_384));
        try (ConsoleReader early = vm.console()) {
            long position =
                    early.next(PATIENCE).orElseThrow() instanceof ConsoleEvent.Output(long offset, ByteBuffer bytes)
                            ? offset + bytes.remaining()
                            : -1;
            assertThat(position).isPositive();
            long segments = 4;
            long deadlineNanos = System.nanoTime() + PATIENCE.toNanos();
            while (!Files.exists(vm.info().directory().resolve("console.%06d".formatted(segments)))
                    && !Files.exists(vm.info().directory().resolve("console.%06d".formatted(segments + 1)))) {
                assertThat(System.nanoTime()).isLessThan(deadlineNanos);
                Thread.sleep(Duration.ofMillis(5));
            }
            vm.kill();

            long kept = 0;
            for (String name : filesIn(vm.info().directory())) {
                if (name.startsWith("console.")) {
                    kept += Files.size(vm.info().directory().resolve(name));
                }
            }
            assertThat(kept).isBetween(8_192L, 16_384L);

            long lost = 0;
            while (true) {
                ConsoleEvent event = early.next(PATIENCE).orElseThrow();
                if (event instanceof ConsoleEvent.End) {
                    break;
                }
                if (event instanceof ConsoleEvent.Lost(long bytes)) {
                    lost += bytes;
                    position += bytes;
                }
                if (event instanceof ConsoleEvent.Output(long offset, ByteBuffer bytes)) {
                    assertThat(position).isEqualTo(offset);
                    position = offset + bytes.remaining();
                }
            }
            assertThat(lost).isPositive().isEqualTo(lost / 8_192 * 8_192);
        }
    }

    @Test
    void twoVcpusAreTaken() throws InterruptedException {
        VirtualMachine vm = start(spec(TestGuest.HELLO).vcpus(2));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }

    @Test
    void aDiskIsAttached() throws InterruptedException, IOException {
        Path disk = Files.write(folder.resolve("disk, with a comma"), new byte[4_096]);

        VirtualMachine vm = start(spec(TestGuest.HELLO)
                .disk(new Disk(disk, true))
                .disk(new Disk(disk, true))
                .channelSlots(64));

        assertThat(vm.await(PATIENCE)).contains(new VmOutcome.EndedWithoutStatus("hello\n"));
    }
}
