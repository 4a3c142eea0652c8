package dev.metacircular.vm;

import com.fasterxml.jackson.databind.JsonNode;
import dev.metacircular.vm.VmException.Fault;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * QEMU's {@code microvm} machine: the driver for every machine, with KVM where a probe shows that it works and software emulation
 * otherwise.
 */
public final class QemuDriver implements VmDriver {
    /** The driver's name. */
    public static final String NAME = "qemu";

    private static final String PROGRAM = "qemu-system-x86_64";
    /** What QEMU writes when it stops a guest after a failure inside KVM (accel/kvm). */
    private static final String KVM_FAILURE = "KVM internal error";

    private static final String INSTALL = "install it: sudo apt-get install qemu-system-x86";

    private final Optional<Path> binary;
    private final Path vms;
    private final Path cache;
    private final Supplier<Confinement> confinement;

    /**
     * @param binary the QEMU to run; empty when this machine has none, which {@link #diagnose} and {@link #start} say
     * @param vms the folder of the VMs' state directories, see {@link VmStore}
     * @param cache a folder for what can be found out again
     */
    public QemuDriver(Optional<Path> binary, Path vms, Path cache) {
        this.binary = binary;
        this.vms = vms;
        this.cache = cache;
        this.confinement = () -> Confinement.orNone(cache);
    }

    /** The program in this list of folders, which is written as in the environment variable {@code PATH}. */
    public static Optional<Path> findIn(String searchPath) {
        return Programs.find(PROGRAM, searchPath);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Set<Feature> features() {
        return EnumSet.of(Feature.USER_NETWORK, Feature.TAP_NETWORK, Feature.EMULATION, Feature.DEBUGGER);
    }

    @Override
    public List<Finding> diagnose() {
        List<Finding> findings = new ArrayList<>();
        if (binary.isEmpty()) {
            findings.add(new Finding(
                    "QEMU", Finding.Status.BLOCKING, "no " + PROGRAM + " on the search path", Optional.of(INSTALL)));
            return findings;
        }
        findings.add(new Finding(
                "QEMU",
                Finding.Status.PRESENT,
                Programs.version(binary.get()).orElse("unknown version") + ", " + binary.get(),
                Optional.empty()));
        ProbeCache.Answer kvm = probe(binary.get());
        findings.add(confinement.get().finding());
        findings.add(new Finding(
                "KVM",
                kvm.usable() ? Finding.Status.PRESENT : Finding.Status.LACKING,
                kvm.reason(),
                kvm.usable() ? Optional.empty() : Optional.of("guests run under software emulation, slower")));
        return findings;
    }

    /**
     * The accelerator that a VM would get.
     *
     * @param wanted insisted on by the user
     * @throws VmException HOST when there is no QEMU
     */
    public Acceleration accelerationFor(Optional<Accelerator> wanted) {
        if (wanted.isPresent()) {
            return new Acceleration(wanted.get(), "asked for");
        }
        ProbeCache.Answer kvm = probe(requireBinary());
        return new Acceleration(kvm.usable() ? Accelerator.KVM : Accelerator.EMULATION, kvm.reason());
    }

    private ProbeCache.Answer probe(Path qemu) {
        try {
            return new KvmProbe(qemu, cache).ask();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new VmException(Fault.DEADLINE, "interrupted while probing KVM", e);
        }
    }

    private Path requireBinary() {
        return binary.orElseThrow(() -> new VmException(Fault.HOST, "there is no QEMU (" + PROGRAM + "): " + INSTALL));
    }

    @Override
    public VirtualMachine start(VmSpec spec) {
        Path qemu = requireBinary();
        spec.debugger().ifPresent(QemuCommand::unresolvedIsRefused);
        Acceleration acceleration = accelerationFor(spec.accelerator());
        return new VmStart(NAME, qemu, vms, spec, acceleration, confinement.get()) {
            @Override
            List<String> command(Optional<Path> initrd) {
                return QemuCommand.of(qemu, spec, acceleration.accelerator(), initrd, MacAddresses.here(vms));
            }

            @Override
            boolean bringUp(StateDirectory directory) {
                // With a debugger it is the debugger that lets the guest run.
                String command = spec.debugger().isPresent() ? "query-status" : "cont";
                return QmpClient.execute(directory.qmpSocket(), command, Limits.CONTROL_DEADLINE)
                        .isPresent();
            }

            @Override
            VmException explain(String errors) {
                return QemuErrors.explain(spec.id(), errors);
            }
        }.run(control());
    }

    static VmmControl control() {
        return directory -> {
            if (!directory.errors().contains(KVM_FAILURE)) {
                return Optional.empty();
            }
            return QmpClient.execute(directory.qmpSocket(), "query-status", Limits.CONTROL_DEADLINE)
                    .map(status -> status.path("status"))
                    .map(JsonNode::asText)
                    .filter(status -> status.equals("internal-error"))
                    .map(status -> "QEMU stopped the guest after a failure inside KVM; run it with --accel emulation");
        };
    }
}
