package dev.metacircular.vm;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.VmException.Fault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** Firecracker, configured over its API (versions 1.12 and newer; recorded with 1.16). Needs KVM. */
public final class FirecrackerDriver implements VmDriver {
    /** The driver's name. */
    public static final String NAME = "firecracker";

    private static final String PROGRAM = "firecracker";
    private static final Path KVM = Path.of("/dev/kvm");
    private static final String INSTALL =
            "put a release of https://github.com/firecracker-microvm/firecracker on the search path, or use QEMU (--vmm qemu)";

    private final Optional<Path> binary;
    private final Path vms;
    private final Supplier<Confinement> confinement;

    /**
     * A driver.
     *
     * @param binary the Firecracker to run; empty when this machine has none, which {@link #diagnose} and {@link #start} say
     * @param vms the folder of the VMs' state directories, see {@link VmStore}
     * @param cache a folder for what can be found out again
     */
    public FirecrackerDriver(Optional<Path> binary, Path vms, Path cache) {
        this(binary, vms, () -> Confinement.orNone(cache));
    }

    FirecrackerDriver(Optional<Path> binary, Path vms, Supplier<Confinement> confinement) {
        this.binary = binary;
        this.vms = vms;
        this.confinement = confinement;
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
        return EnumSet.of(Feature.TAP_NETWORK);
    }

    @Override
    public List<Finding> diagnose() {
        List<Finding> findings = new ArrayList<>();
        findings.add(binary.map(program -> new Finding(
                        "Firecracker",
                        Finding.Status.PRESENT,
                        Programs.version(program).orElse("unknown version") + ", " + program,
                        Optional.empty()))
                .orElseGet(() -> new Finding(
                        "Firecracker",
                        Finding.Status.BLOCKING,
                        "no " + PROGRAM + " on the search path",
                        Optional.of(INSTALL))));
        findings.add(KvmProbe.obstacle(KVM)
                .map(obstacle -> new Finding(
                        "KVM for Firecracker",
                        Finding.Status.BLOCKING,
                        obstacle.reason(),
                        Optional.of("QEMU runs without it (--vmm qemu)")))
                .orElseGet(() -> new Finding(
                        "KVM for Firecracker",
                        Finding.Status.PRESENT,
                        KVM + " may be opened (whether it works, QEMU's probe says)",
                        Optional.empty())));
        findings.add(confinement.get().finding());
        return findings;
    }

    @Override
    public VirtualMachine start(VmSpec spec) {
        Path firecracker = binary.orElseThrow(() -> new VmException(Fault.HOST, "there is no Firecracker: " + INSTALL));
        checkSupported(spec);
        Acceleration acceleration = new Acceleration(Accelerator.KVM, "Firecracker knows nothing else");
        return new VmStart(NAME, firecracker, vms, spec, acceleration, confinement.get()) {
            private Optional<Path> initrdFile = Optional.empty();

            @Override
            List<String> command(Optional<Path> initrd) {
                initrdFile = initrd;
                return List.of(
                        firecracker.toAbsolutePath().toString(),
                        "--api-sock",
                        StateDirectory.API_SOCKET,
                        "--id",
                        instanceId(spec.id()),
                        // Its log goes where its errors go; by default it would mix with the console.
                        "--log-path",
                        "/proc/self/fd/2",
                        "--level",
                        "Warn");
            }

            @Override
            boolean bringUp(StateDirectory directory) {
                return configure(directory, spec, initrdFile, MacAddresses.here(vms));
            }

            @Override
            VmException explain(String errors) {
                return FirecrackerErrors.ended(spec.id(), errors);
            }
        }.run(control());
    }

    /** Firecracker ends by itself after an error of its own. */
    static VmmControl control() {
        return directory -> Optional.empty();
    }

    private static void checkSupported(VmSpec spec) {
        if (spec.accelerator().equals(Optional.of(Accelerator.EMULATION))) {
            throw refused(spec, "without KVM; QEMU can (--vmm qemu)");
        }
        if (spec.debugger().isPresent()) {
            throw refused(spec, "with a debugger; QEMU can (--vmm qemu)");
        }
        if (spec.networks().stream().anyMatch(Network.User.class::isInstance)) {
            throw refused(
                    spec, "on user-mode networking; give it a tap interface (tap:IFACE), or use QEMU (--vmm qemu)");
        }
    }

    private static VmException refused(VmSpec spec, String what) {
        return new VmException(Fault.REQUEST, "VM " + spec.id() + ": Firecracker cannot run it " + what);
    }

    /** Letters, digits and hyphens are allowed in its instance id. */
    private static String instanceId(VmId id) {
        return id.value().replace('.', '-').replace('_', '-');
    }

    private static boolean configure(
            StateDirectory directory, VmSpec spec, Optional<Path> initrd, MacAddresses addresses) {
        if (!Files.exists(directory.apiSocket())) {
            return false;
        }
        try (FirecrackerApi api = new FirecrackerApi(
                "VM " + spec.id() + " did not start", directory.apiSocket(), Limits.CONTROL_DEADLINE)) {
            if (!api.describe().path("state").asText().equals("Not started")) {
                return true;
            }
            api.put("/machine-config", machine(spec));
            api.put("/boot-source", boot(spec, initrd));
            int index = 0;
            for (Disk disk : spec.disks()) {
                drive(api, "disk" + index, disk.file().toAbsolutePath().normalize(), disk.readOnly());
                index++;
            }
            if (spec.channelSlots() > 0) {
                drive(api, "channel", directory.channel(), false);
            }
            int number = 0;
            for (Network network : spec.networks()) {
                network(api, addresses.of(spec.id(), number), network, number);
                number++;
            }
            api.put("/actions", FirecrackerApi.object().put("action_type", "InstanceStart"));
            return true;
        } catch (IOException notYetOrNoMore) {
            // Before it listens, or when a short guest has ended before the answer: the process's state decides.
            return false;
        }
    }

    private static ObjectNode machine(VmSpec spec) {
        return FirecrackerApi.object().put("vcpu_count", spec.vcpus()).put("mem_size_mib", spec.memoryMebibytes());
    }

    private static ObjectNode boot(VmSpec spec, Optional<Path> initrd) {
        // Without boot_args Firecracker adds words of its own that are meant for Linux.
        ObjectNode body = FirecrackerApi.object()
                .put(
                        "kernel_image_path",
                        spec.kernel().toAbsolutePath().normalize().toString())
                .put("boot_args", spec.commandLine());
        initrd.ifPresent(file ->
                body.put("initrd_path", file.toAbsolutePath().normalize().toString()));
        return body;
    }

    private static void drive(FirecrackerApi api, String id, Path file, boolean readOnly) throws IOException {
        api.put(
                "/drives/" + id,
                FirecrackerApi.object()
                        .put("drive_id", id)
                        .put("path_on_host", file.toString())
                        .put("is_root_device", false)
                        .put("is_read_only", readOnly));
    }

    private static void network(FirecrackerApi api, String address, Network network, int number) throws IOException {
        if (network instanceof Network.Tap(String name)) {
            String id = "net" + number;
            api.put(
                    "/network-interfaces/" + id,
                    FirecrackerApi.object()
                            .put("iface_id", id)
                            .put("host_dev_name", name)
                            .put("guest_mac", address));
        }
    }
}
