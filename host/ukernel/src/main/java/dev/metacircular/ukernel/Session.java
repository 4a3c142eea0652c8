package dev.metacircular.ukernel;

import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.ConsoleEvent;
import dev.metacircular.vm.ConsoleReader;
import dev.metacircular.vm.ExitCause;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmException;
import dev.metacircular.vm.VmOutcome;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** A VM in the foreground: its console and log records as they come, its end, and Ctrl-C. */
final class Session {
    private static final Duration POLL = Duration.ofMillis(500);
    private static final Duration STOP_GRACE = Duration.ofSeconds(5);
    private static final Duration END_TIME = Duration.ofSeconds(15);
    private static final Duration SHOW_TIME = Duration.ofSeconds(3);
    private static final int INPUT_BYTES = 4096;

    private final VirtualMachine vm;
    private final Report report;
    private final FaultText faults;
    private final Optional<Path> logs;
    private final AtomicBoolean over = new AtomicBoolean();
    private final ConsoleText consoleText = new ConsoleText();
    private final PanicText panic = new PanicText();
    private final CountDownLatch shown = new CountDownLatch(1);
    private final Queue<String> crashes = new ConcurrentLinkedQueue<>();

    /** @param logs a folder where the console is kept too */
    Session(VirtualMachine vm, Report report, FaultText faults, Optional<Path> logs) {
        this.vm = vm;
        this.report = report;
        this.faults = faults;
        this.logs = logs;
    }

    /** Tells programs that it runs. */
    void started() {
        report.value(Report.object()
                .put("event", "started")
                .put("name", vm.info().id().value())
                .put("vmm", vm.info().driver())
                .put("accelerator", vm.info().acceleration().accelerator().label())
                .put("accelerator_reason", vm.info().acceleration().reason())
                .put("vcpus", vm.info().vcpus())
                .put("memory_mb", vm.info().memoryMebibytes()));
    }

    /** Streams until the VM has ended. An end of this process stops the VM first. */
    int follow(boolean interactive) throws InterruptedException {
        Thread stopper = new Thread(this::stopBecauseOfSignal, "stop");
        Runtime.getRuntime().addShutdownHook(stopper);
        Thread records = Thread.ofVirtual().start(() -> {
            try {
                records();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        if (interactive) {
            Thread.ofVirtual().start(this::input);
        }
        console();
        records.join(END_TIME);
        VmOutcome outcome =
                vm.await(END_TIME).orElseThrow(() -> new IllegalStateException("the console ended before the VM"));
        int status = ended(outcome);
        shown.countDown();
        if (over.compareAndSet(false, true)) {
            Runtime.getRuntime().removeShutdownHook(stopper);
        } else {
            // The hook that stopped the VM ends the process.
            stopper.join();
        }
        return status;
    }

    private void stopBecauseOfSignal() {
        if (!over.compareAndSet(false, true)) {
            return;
        }
        report.progress("\nrun: stopping %s".formatted(vm.info().id()));
        int status = Failures.VMM_OR_KERNEL;
        try {
            status = Outcomes.status(vm.stop(STOP_GRACE));
            if (!shown.await(SHOW_TIME.toMillis(), TimeUnit.MILLISECONDS)) {
                report.progress("run: the end of the console could not be shown; see: ukernel logs "
                        + vm.info().id());
            }
        } catch (VmException e) {
            report.error(Failures.problem(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        report.out().flush();
        Runtime.getRuntime().halt(status);
    }

    private void console() throws InterruptedException {
        try (OutputStream log = consoleLog();
                ConsoleReader reader = vm.console()) {
            while (true) {
                Optional<ConsoleEvent> event = reader.next(POLL);
                if (event.isEmpty()) {
                    continue;
                }
                switch (event.get()) {
                    case ConsoleEvent.Output output -> {
                        byte[] bytes = new byte[output.bytes().remaining()];
                        output.bytes().duplicate().get(bytes);
                        log.write(bytes);
                        panic.add(bytes);
                        show(bytes);
                    }
                    case ConsoleEvent.Lost(long bytes) ->
                        report.progress("run: %d bytes of the console were lost".formatted(bytes));
                    case ConsoleEvent.End _ -> {
                        return;
                    }
                }
            }
        } catch (IOException e) {
            throw new IllegalStateException("cannot write the console's log", e);
        }
    }

    private void show(byte[] bytes) {
        if (report.json()) {
            String text = consoleText.add(bytes);
            if (!text.isEmpty()) {
                report.value(Report.object().put("event", "console").put("text", text));
            }
        } else {
            report.out().write(bytes, 0, bytes.length);
            report.out().flush();
        }
    }

    private OutputStream consoleLog() throws IOException {
        if (logs.isEmpty()) {
            return OutputStream.nullOutputStream();
        }
        Files.createDirectories(logs.get());
        return Files.newOutputStream(logs.get().resolve(vm.info().id() + ".console"));
    }

    private void records() throws InterruptedException {
        Optional<ChannelReader> channel = vm.channel();
        if (channel.isEmpty()) {
            return;
        }
        try (ChannelReader reader = channel.get()) {
            while (true) {
                Optional<ChannelEvent> event = reader.next(POLL);
                if (event.isEmpty()) {
                    continue;
                }
                switch (event.get()) {
                    case ChannelEvent.Message(ChannelMessage.Fault fault)
                    when !report.json() -> crashes.add(fault.text().strip());
                    case ChannelEvent.Message(ChannelMessage message) -> Records.show(message, report, faults);
                    case ChannelEvent.Lost lost ->
                        report.progress("run: %d log records were lost".formatted(lost.records()));
                    case ChannelEvent.End _ -> {
                        return;
                    }
                }
            }
        }
    }

    private void input() {
        byte[] buffer = new byte[INPUT_BYTES];
        try {
            for (int read = System.in.read(buffer); read >= 0 && !over.get(); read = System.in.read(buffer)) {
                vm.type(ByteBuffer.wrap(buffer, 0, read));
            }
        } catch (IOException | VmException e) {
            if (!over.get()) {
                report.progress("run: input is no longer passed on (%s)".formatted(e.getMessage()));
            }
        }
    }

    private int ended(VmOutcome outcome) {
        int status = Outcomes.status(outcome);
        for (String crash : crashes) {
            report.progress("crash: " + faults.brief(crash));
        }
        report.progress("run: %s: %s".formatted(vm.info().id(), Outcomes.brief(outcome)));
        switch (outcome) {
            case VmOutcome.Exited exited -> {
                if (exited.cause() == ExitCause.KERNEL_PANIC) {
                    report.progress("crash: "
                            + faults.brief(panic.report().orElse(exited.text().strip())));
                }
            }
            case VmOutcome.VmmFailed failed -> report.progress(failed.errors().strip());
            case VmOutcome.EndedWithoutStatus _ -> {
                panic.report().map(faults::brief).ifPresent(words -> report.progress("crash: " + words));
                report.progress(
                        "  the guest reset before it could write a status: the kernel failed, see the console above; next: ukernel run --gdb");
            }
            case VmOutcome.Killed _ -> {}
        }
        report.value(Report.object()
                .put("event", "ended")
                .put("name", vm.info().id().value())
                .setAll(Outcomes.json(outcome)));
        return status;
    }
}
