package dev.metacircular.runtime.microvm;

import dev.metacircular.runtime.Availability;
import dev.metacircular.runtime.Obstacle;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.vm.Accelerator;
import java.nio.file.Path;
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

    private final MicrovmOptions options;
    private final VmmPrograms programs;
    private final KvmTrial trial;

    Machinery(MicrovmOptions options, VmmPrograms programs, KvmTrial trial) {
        this.options = options;
        this.programs = programs;
        this.trial = trial;
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
            return find(trial::await);
        } catch (None e) {
            throw new RuntimeFailure(Kind.UNSUPPORTED, "this node cannot run microVMs: " + e.getMessage(), e);
        }
    }

    /** @param carrier the version of what carries VMs */
    Availability availability(String carrier) {
        try {
            Choice choice = find(trial::ask);
            return new Availability.Available(
                    programs.titleAndVersion(choice.vmm(), choice.program()) + " in " + carrier,
                    choice.accelerator().label());
        } catch (None e) {
            return new Availability.Unavailable(String.valueOf(e.getMessage()));
        }
    }

    private Choice find(Function<KvmTrial.By, Optional<KvmTrial.Answer>> asking) throws None {
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
        Vmm vmm = options.vmm().orElse(firecracker.isPresent() && kvm ? Vmm.FIRECRACKER : Vmm.QEMU);
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

    /** Why a component with {@code kernel = "nanos"} does not run here, in one line. */
    String whyNoNanos() {
        return programs.has("ops")
                ? "kernel = \"nanos\": this version does not build images with ops yet; use kernel = \"ukernel\""
                : "kernel = \"nanos\" needs NanoVMs' ops (https://ops.city), which is not on the agent's search path, and a later"
                        + " version of this agent; use kernel = \"ukernel\"";
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
