package dev.metacircular.vm;

import dev.metacircular.vm.VmException.Fault;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One start of a VM: makes its state, launches the VMM, brings it up, and leaves nothing behind when any of that fails. */
abstract class VmStart {
    private final String driver;
    private final Path vmm;
    private final VmSpec spec;
    private final Acceleration acceleration;
    private final Confinement confinement;
    private final StateDirectory directory;

    VmStart(String driver, Path vmm, Path vms, VmSpec spec, Acceleration acceleration, Confinement confinement) {
        this.driver = driver;
        this.vmm = vmm;
        this.spec = spec;
        this.acceleration = acceleration;
        this.confinement = confinement;
        this.directory = new StateDirectory(vms.resolve(spec.id().value()));
    }

    /** The VMM's command line; relative names are in the state directory. */
    abstract List<String> command(Optional<Path> initrd);

    /** Configures the VMM and lets the guest run; false when it does not listen yet, and then this is tried again. */
    abstract boolean bringUp(StateDirectory directory) throws InterruptedException;

    /** What a VMM that ended with an error before it was up said. */
    abstract VmException explain(String errors);

    final VirtualMachine run(VmmControl control) {
        checkReadable(spec.kernel(), "kernel");
        spec.disks().forEach(disk -> checkReadable(disk.file(), "disk"));
        directory.create(spec.id());
        Optional<SupervisedVm> vm = Optional.empty();
        boolean up = false;
        try {
            Optional<Path> initrd = prepare();
            VmRecord record = record();
            directory.writeRecord(record.toJson());
            Process supervisor = Supervisor.launch(
                    directory, record.info().consoleSegmentBytes(), confinement.wrap(needs(initrd), command(initrd)));
            vm = Optional.of(new SupervisedVm(directory, record, control, Optional.of(supervisor)));
            Supervisor.awaitLaunch(directory, supervisor);
            awaitUp(vm.get());
            directory.noteUp(Instant.now());
            directory.deleteInitrd();
            up = true;
            return vm.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new VmException(Fault.DEADLINE, "interrupted while starting VM " + spec.id(), e);
        } finally {
            if (!up) {
                undo(vm);
            }
        }
    }

    private static void checkReadable(Path file, String what) {
        if (!Files.isRegularFile(file)) {
            throw new VmException(Fault.REQUEST, what + " " + file + ": no such file");
        }
        if (!Files.isReadable(file)) {
            throw new VmException(Fault.REQUEST, what + " " + file + ": this user may not read it");
        }
    }

    private Optional<Path> prepare() {
        if (spec.channelSlots() > 0) {
            ChannelFile.create(directory.channel(), spec.channelSlots());
        }
        return spec.initrd().map(initrd -> switch (initrd) {
            case Initrd.File(Path path) -> {
                checkReadable(path, "initrd");
                yield path;
            }
            case Initrd.Content content -> {
                directory.writeInitrd(content.bytes());
                yield directory.path().resolve(StateDirectory.INITRD);
            }
        });
    }

    private Confinement.Needs needs(Optional<Path> initrd) {
        List<Path> readOnly = new ArrayList<>(List.of(spec.kernel()));
        initrd.filter(file -> !file.startsWith(directory.path())).ifPresent(readOnly::add);
        spec.disks().stream().filter(Disk::readOnly).map(Disk::file).forEach(readOnly::add);
        return new Confinement.Needs(
                directory.path(),
                vmm,
                readOnly,
                spec.disks().stream()
                        .filter(disk -> !disk.readOnly())
                        .map(Disk::file)
                        .toList(),
                acceleration.accelerator() == Accelerator.KVM,
                spec.networks().stream().anyMatch(Network.Tap.class::isInstance),
                !spec.networks().isEmpty() || spec.debugger().isPresent());
    }

    private VmRecord record() {
        VmInfo info = new VmInfo(
                spec.id(),
                driver,
                vmm,
                acceleration,
                spec.kernel().toAbsolutePath().normalize(),
                spec.vcpus(),
                spec.memoryMebibytes(),
                spec.channelSlots(),
                spec.consoleBytes() / 2,
                spec.networks().stream().map(VmStart::describe).toList(),
                confinement.description(),
                Instant.now(),
                directory.path());
        return new VmRecord(info, ProcessIdentity.bootId());
    }

    private static String describe(Network network) {
        return switch (network) {
            case Network.Tap(String name) -> "tap:" + name;
            case Network.User(List<PortForward> forwards) ->
                "user"
                        + String.join(
                                "",
                                forwards.stream()
                                        .map(f -> " " + QemuCommand.host(f.hostAddress()) + ":" + f.hostPort() + ":"
                                                + f.guestPort()
                                                + (f.protocol() == PortForward.Protocol.UDP ? "/udp" : ""))
                                        .toList());
        };
    }

    private void awaitUp(SupervisedVm vm) throws InterruptedException {
        long deadlineNanos = System.nanoTime() + Limits.START_DEADLINE.toNanos();
        long pauseMillis = 1;
        while (true) {
            // Asked before the VMM is: one that answers no more may have ended in order meanwhile.
            VmState state = vm.state();
            if (bringUp(directory)) {
                return;
            }
            if (state instanceof VmState.Ended(VmOutcome outcome)) {
                switch (outcome) {
                    case VmOutcome.Exited exited -> {}
                    case VmOutcome.EndedWithoutStatus silent -> {}
                    case VmOutcome.VmmFailed failed -> throw explain(failed.errors());
                    case VmOutcome.Killed killed ->
                        throw new VmException(
                                Fault.HOST,
                                "VM " + spec.id() + " did not start: its VMM was killed"
                                        + (killed.signal().isPresent()
                                                ? " by signal "
                                                        + killed.signal().getAsInt()
                                                : ""));
                }
                return;
            }
            if (System.nanoTime() > deadlineNanos) {
                throw new VmException(
                        Fault.DEADLINE,
                        "VM " + spec.id() + " did not start: its VMM did not answer within "
                                + Limits.START_DEADLINE.toSeconds() + " s. " + directory.errors());
            }
            Thread.sleep(pauseMillis);
            pauseMillis = Math.min(pauseMillis * 2, Limits.POLL_INTERVAL_MAX.toMillis());
        }
    }

    private void undo(Optional<SupervisedVm> vm) {
        boolean interrupted = Thread.interrupted();
        try {
            if (vm.isPresent()) {
                vm.get().kill();
            }
            directory.deleteAll();
        } catch (InterruptedException e) {
            interrupted = true;
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
