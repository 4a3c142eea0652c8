package dev.metacircular.runtime.microvm;

import dev.metacircular.model.Component;
import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.vm.Accelerator;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;

/** Chooses the VMM and the accelerator by the options and by what the node has. */
final class Machinery {
    /** What VMs run on now. */
    record Choice(Vmm vmm, Path program, Accelerator accelerator) {}

    /** Says why there is no choice. */
    private static final class None extends Exception {
        private static final long serialVersionUID = 1L;

        None(String why) {
            super(why, null, false, false);
        }
    }

    /** With less Nanos finds no room for what it receives (tried with a build of July 2026). */
    private static final int NANOS_MEBIBYTES_MIN = 96;

    private final MicrovmOptions options;
    private final VmmPrograms programs;
    private final KvmTrial trial;
    private final Nanos nanos;

    Machinery(MicrovmOptions options, VmmPrograms programs, KvmTrial trial) {
        this.options = options;
        this.programs = programs;
        this.trial = trial;
        this.nanos = new Nanos(
                options.searchPath(), options.opsHome().orElseGet(() -> Path.of(System.getProperty("user.home", "/"))));
    }

    Nanos nanos() {
        return nanos;
    }

    KvmTrial trial() {
        return trial;
    }

    /**
     * For what is made now.
     *
     * @throws RuntimeFailure {@code UNSUPPORTED} with what is missing and what mends it
     */
    Choice choose() {
        try {
            return find(options.vmm(), trial::await);
        } catch (None e) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "this node cannot run microVMs: " + e.getMessage(), e);
        }
    }

    /**
     * For what is made now and runs on Nanos, which tells its end and is asked to stop by QEMU's devices.
     *
     * @throws RuntimeFailure {@code UNSUPPORTED} with what is missing and what mends it
     */
    Choice chooseForNanos() {
        try {
            return find(Optional.of(Vmm.QEMU), trial::await);
        } catch (None e) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "kernel = \"nanos\" runs on QEMU: " + e.getMessage(), e);
        }
    }

    /**
     * What is there now.
     *
     * @param carrier the version of what carries VMs
     * @param wait for the VMM to tell its version
     */
    Availability availability(String carrier, Duration wait) {
        try {
            Choice choice = find(options.vmm(), trial::ask);
            Optional<String> besides = programs.find(Vmm.QEMU).flatMap(_ -> nanos.title());
            return new Availability.Available(
                    programs.titleAndVersion(choice.vmm(), choice.program(), wait) + " in " + carrier
                            + besides.map(title -> ", " + title).orElse(""),
                    choice.accelerator().label());
        } catch (None e) {
            return new Availability.Unavailable(String.valueOf(e.getMessage()));
        }
    }

    private Choice find(Optional<Vmm> wanted, Function<KvmTrial.By, Optional<KvmTrial.Answer>> asking) throws None {
        Optional<String> lacking = VmmPrograms.lacking();
        if (lacking.isPresent()) {
            throw new None(lacking.get());
        }
        Optional<Path> qemu = programs.find(Vmm.QEMU);
        Optional<Path> firecracker = programs.find(Vmm.FIRECRACKER);
        boolean kvm = kvmWorks(
                qemu.map(q -> new KvmTrial.By(Vmm.QEMU, q))
                        .or(() -> firecracker.map(f -> new KvmTrial.By(Vmm.FIRECRACKER, f))),
                asking);
        Vmm vmm = wanted.orElse(firecracker.isPresent() && kvm ? Vmm.FIRECRACKER : Vmm.QEMU);
        Path program = switch (vmm) {
            case QEMU -> require(qemu, vmm);
            case FIRECRACKER -> require(firecracker, vmm);
        };
        if (vmm == Vmm.FIRECRACKER && !kvm) {
            throw new None("Firecracker needs KVM, which " + whyNoKvm()
                    + "; QEMU runs without it: vmm = \"qemu\" below [microvm]");
        }
        return new Choice(vmm, program, kvm ? Accelerator.KVM : Accelerator.EMULATION);
    }

    /** That the node's KVM does not serve, where the operator has not chosen emulation. */
    Optional<Obstacle> obstacle() {
        if (options.accelerator().isPresent() || !VmmPrograms.kernelHasKvm()) {
            return Optional.empty();
        }
        return trial.last().filter(a -> !a.works()).map(a -> obstacle(a.reason()));
    }

    static Obstacle obstacle(String reason) {
        return new Obstacle(
                "kvm",
                false,
                "the node has KVM, but no microVM can use it: " + reason,
                reason.contains("Permission denied")
                        ? "let podman's user open it: sudo usermod -aG kvm " + System.getProperty("user.name")
                                + "; reboot, or stop the components and restart the user's manager: sudo systemctl restart user@$(id -u "
                                + System.getProperty("user.name") + "); then restart the agent"
                        : "in a VM: turn on nested virtualisation for it; then restart the agent. Or say accel = \"emulation\" below"
                                + " [microvm] in agent.toml");
    }

    /** Why this component with {@code kernel = "nanos"} does not run here, and what mends it; empty if it does. */
    Optional<String> whyNot(Component component) {
        int memory = component.memoryMb().orElse(Carrier.DEFAULT_MEMORY_MEBIBYTES);
        if (memory < NANOS_MEBIBYTES_MIN) {
            return Optional.of("kernel = \"nanos\" needs memory_mb = " + NANOS_MEBIBYTES_MIN + " at least, with "
                    + memory + " it has no network");
        }
        if (programs.find(Vmm.QEMU).isEmpty()) {
            return Optional.of("kernel = \"nanos\" runs on QEMU: there is no " + Vmm.QEMU.program()
                    + " on the search path: " + Vmm.QEMU.mend());
        }
        return nanos.refusal();
    }

    private static Path require(Optional<Path> program, Vmm vmm) throws None {
        return program.orElseThrow(
                () -> new None("there is no " + vmm.program() + " on the search path: " + vmm.mend()));
    }

    private boolean kvmWorks(Optional<KvmTrial.By> trying, Function<KvmTrial.By, Optional<KvmTrial.Answer>> asking)
            throws None {
        if (options.accelerator().isPresent()) {
            boolean insisted = options.accelerator().get() == Accelerator.KVM;
            if (insisted && !VmmPrograms.kernelHasKvm()) {
                throw new None("accel = \"kvm\", and there is no /dev/kvm");
            }
            return insisted;
        }
        return VmmPrograms.kernelHasKvm()
                && trying.flatMap(asking).map(KvmTrial.Answer::works).orElse(false);
    }

    private String whyNoKvm() {
        if (options.accelerator().isPresent()) {
            return "accel = \"emulation\" rules out";
        }
        if (!VmmPrograms.kernelHasKvm()) {
            return "this node has not (no /dev/kvm)";
        }
        return trial.last().map(a -> "does not work here: " + a.reason()).orElse("is still being tried here");
    }
}
