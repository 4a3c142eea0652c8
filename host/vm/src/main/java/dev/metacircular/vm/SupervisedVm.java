package dev.metacircular.vm;

import dev.metacircular.vm.VmException.Fault;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** A VM as its state directory and its processes show it; the same for every VMM. */
final class SupervisedVm implements VirtualMachine {
    /** ECMA-48 8.3.2, as fixed in docs/image-format.md, «Serial line». */
    private static final String STOP_SEQUENCE = "\u001b_ukernel:stop\u001b\\";

    private static final int CONSOLE_TAIL_BYTES = 4_096;

    private final StateDirectory directory;
    private final VmRecord record;
    private final VmmControl control;
    private final Optional<Process> child;
    private volatile @Nullable VmOutcome outcome;

    /**
     * @param child the supervisor, where this process started it
     */
    SupervisedVm(StateDirectory directory, VmRecord record, VmmControl control, Optional<Process> child) {
        this.directory = directory;
        this.record = record;
        this.control = control;
        this.child = child;
    }

    @Override
    public VmInfo info() {
        return record.info();
    }

    @Override
    public Optional<Instant> upAt() {
        return directory.up();
    }

    @Override
    public VmState state() {
        VmOutcome known = outcome;
        if (known != null) {
            return new VmState.Ended(known);
        }
        Optional<StateDirectory.Pids> pids = directory.pids();
        boolean sameBoot = record.bootId().equals(ProcessIdentity.bootId());
        if (sameBoot && pids.isPresent() && isServed(pids.get())) {
            return new VmState.Running(pids.get().vmm().pid());
        }
        OptionalInt exit = directory.exitCode();
        if (exit.isPresent()) {
            return end(exit);
        }
        if (!Files.isDirectory(directory.path())) {
            throw removed();
        }
        if (pids.isEmpty() && sameBoot) {
            boolean recent = record.info()
                    .startedAt()
                    .plus(Limits.START_INTERRUPTED_AFTER)
                    .isAfter(Instant.now());
            boolean supervisorRuns = child.map(Process::isAlive).orElse(recent);
            if (supervisorRuns) {
                return new VmState.Starting();
            }
        }
        return end(OptionalInt.empty());
    }

    /** Its supervisor writes the exit code last, so the VM has not ended before that process has. */
    private static boolean isServed(StateDirectory.Pids pids) {
        return pids.supervisor().isAlive() || pids.vmm().isAlive();
    }

    private VmState.Ended end(OptionalInt exit) {
        VmOutcome found = judge(exit);
        directory.removeRuntimeFiles();
        outcome = found;
        return new VmState.Ended(found);
    }

    private VmOutcome judge(OptionalInt exit) {
        Optional<ChannelMessage.ExitStatus> status = exitStatus();
        if (status.isPresent()) {
            ChannelMessage.ExitStatus s = status.get();
            return new VmOutcome.Exited(s.status(), s.cause(), s.text());
        }
        Optional<String> failure = directory.failure();
        if (failure.isPresent()) {
            return new VmOutcome.VmmFailed(exit, failure.get() + "\n" + directory.errors());
        }
        if (exit.isEmpty()) {
            return directory.pids().isEmpty()
                    ? new VmOutcome.VmmFailed(exit, "its start was interrupted\n" + directory.supervisorErrors())
                    : new VmOutcome.Killed(
                            directory.isForced() ? VmOutcome.By.REQUEST : VmOutcome.By.UNKNOWN, OptionalInt.empty());
        }
        String errors = directory.errors();
        return switch (VmmEnd.of(exit.getAsInt(), errors)) {
            case VmmEnd.Regular() ->
                new VmOutcome.EndedWithoutStatus(ConsoleReader.tail(directory, CONSOLE_TAIL_BYTES));
            case VmmEnd.Signalled(int signal) ->
                new VmOutcome.Killed(
                        directory.isForced() ? VmOutcome.By.REQUEST : VmOutcome.By.HOST, OptionalInt.of(signal));
            case VmmEnd.Failed() -> new VmOutcome.VmmFailed(exit, errors);
        };
    }

    private Optional<ChannelMessage.ExitStatus> exitStatus() {
        if (record.info().channelSlots() == 0 || !Files.exists(directory.channel())) {
            return Optional.empty();
        }
        try (ChannelFile channel = ChannelFile.open(directory.channel())) {
            return channel.exitStatus();
        }
    }

    @Override
    public Optional<VmOutcome> await(Duration time) throws InterruptedException {
        Instant nextCheck = Instant.now().plus(Limits.HEALTH_INTERVAL);
        long deadlineNanos = System.nanoTime() + Math.min(time.toNanos(), TimeUnit.DAYS.toNanos(365));
        while (true) {
            long leftNanos = deadlineNanos - System.nanoTime();
            Duration slice = Duration.ofNanos(Math.clamp(leftNanos, 0, Limits.HEALTH_INTERVAL.toNanos()));
            Optional<VmOutcome> ended = awaitEnd(slice);
            if (ended.isPresent() || leftNanos <= 0) {
                return ended;
            }
            if (Instant.now().isAfter(nextCheck)) {
                endIfFailed();
                nextCheck = Instant.now().plus(Limits.HEALTH_INTERVAL);
            }
        }
    }

    /** Waits on the process where it is a child, and looks at intervals where it is not. */
    private Optional<VmOutcome> awaitEnd(Duration time) throws InterruptedException {
        if (child.isPresent() && child.get().isAlive()) {
            boolean over = child.get().waitFor(time.toNanos(), TimeUnit.NANOSECONDS);
            return over ? Polling.until(Duration.ZERO, this::outcomeIfEnded) : Optional.empty();
        }
        return Polling.until(time, this::outcomeIfEnded);
    }

    private Optional<VmOutcome> outcomeIfEnded() {
        return state() instanceof VmState.Ended(VmOutcome found) ? Optional.of(found) : Optional.empty();
    }

    private void endIfFailed() throws InterruptedException {
        Optional<String> failure = control.failure(directory);
        if (failure.isPresent()) {
            directory.markFailed(failure.get());
            directory.pids().ifPresent(pids -> pids.vmm().kill());
        }
    }

    @Override
    public VmOutcome stop(Duration grace) throws InterruptedException {
        if (outcomeIfEnded().isEmpty()) {
            try {
                type(ByteBuffer.wrap(STOP_SEQUENCE.getBytes(StandardCharsets.US_ASCII)));
            } catch (VmException guestDoesNotListen) {
                // It has its grace all the same: it may be ending by itself.
            }
            Optional<VmOutcome> ended = await(grace);
            if (ended.isPresent()) {
                return ended.get();
            }
        }
        return kill();
    }

    @Override
    public VmOutcome kill() throws InterruptedException {
        Optional<VmOutcome> already = outcomeIfEnded();
        if (already.isPresent()) {
            return already.get();
        }
        directory.markForced();
        return Polling.until(Limits.FORCED_END_DEADLINE, () -> {
                    directory.pids().ifPresent(pids -> pids.vmm().kill());
                    return outcomeIfEnded();
                })
                .orElseThrow(() -> new VmException(
                        Fault.DEADLINE,
                        "VM " + record.info().id() + ": its VMM did not end within "
                                + Limits.FORCED_END_DEADLINE.toSeconds() + " s of SIGKILL"
                                + directory
                                        .pids()
                                        .map(pids -> "; look at process "
                                                + pids.vmm().pid() + " (ps -o stat,wchan)")
                                        .orElse("")));
    }

    @Override
    public void type(ByteBuffer input) {
        if (input.remaining() > Limits.CONSOLE_INPUT_BYTES_MAX) {
            throw new VmException(
                    Fault.REQUEST,
                    input.remaining() + " bytes for the console at once: at most " + Limits.CONSOLE_INPUT_BYTES_MAX);
        }
        if (outcomeIfEnded().isPresent()) {
            throw notRunning();
        }
        try {
            SerialInput.write(directory.serialInput(), input.duplicate(), Limits.CONSOLE_INPUT_DEADLINE);
        } catch (NoSuchFileException e) {
            throw notRunning();
        } catch (IOException e) {
            throw StateDirectory.cannot("write", directory.serialInput(), e);
        } catch (TimeoutException e) {
            throw new VmException(
                    Fault.DEADLINE,
                    "VM " + record.info().id() + ": its guest does not read its serial input; it took nothing more for "
                            + Limits.CONSOLE_INPUT_DEADLINE.toSeconds() + " s",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new VmException(
                    Fault.DEADLINE,
                    "interrupted while typing to VM " + record.info().id(),
                    e);
        }
    }

    private VmException notRunning() {
        return new VmException(Fault.REQUEST, "VM " + record.info().id() + " does not run");
    }

    private VmException removed() {
        return new VmException(
                Fault.REQUEST, "VM " + record.info().id() + " was removed (" + directory.path() + " is gone)");
    }

    @Override
    public ConsoleReader console() {
        return new ConsoleReader(
                directory,
                record.info().consoleSegmentBytes(),
                () -> outcomeIfEnded().isPresent());
    }

    @Override
    public Optional<ChannelReader> channel() {
        return record.info().channelSlots() == 0
                ? Optional.empty()
                : Optional.of(new ChannelReader(
                        ChannelFile.open(directory.channel()),
                        () -> outcomeIfEnded().isPresent()));
    }

    @Override
    public void remove() {
        if (outcomeIfEnded().isEmpty()) {
            throw new VmException(Fault.REQUEST, "VM " + record.info().id() + " runs: stop it before it is removed");
        }
        directory.deleteAll();
    }

    @Override
    public String toString() {
        return "VM " + record.info().id() + " (" + record.info().driver() + ")";
    }
}
