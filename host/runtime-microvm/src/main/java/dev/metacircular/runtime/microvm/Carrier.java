package dev.metacircular.runtime.microvm;

import dev.metacircular.image.ImageException;
import dev.metacircular.image.RunConfiguration;
import dev.metacircular.model.Component;
import dev.metacircular.model.Kernel;
import dev.metacircular.model.RuntimeKind;
import dev.metacircular.runtime.InstanceSpec;
import dev.metacircular.runtime.InstanceSpec.Mount;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.microvm.MicrovmOptions.Vmm;
import dev.metacircular.runtime.microvm.StateDirectories.State;
import dev.metacircular.runtime.podman.Carriage;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.CarriedVm;
import dev.metacircular.vm.Disk;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Makes what carries a VM: its state directory, and the container's command. */
final class Carrier implements Carriage.Maker {
    /** The name of the VM's state directory. */
    static final String LABEL = "dev.metacircular.vm";

    static final int DEFAULT_MEMORY_MEBIBYTES = 128;
    /** The machine has eight devices; image, channel and network take three. */
    private static final int VOLUMES_MAX = 5;

    /** Of the 64 KiB and 1,024 lines that a guest reads; the start adds some. */
    private static final int CONFIGURATION_BYTES_MAX = 62 << 10;

    private static final int CONFIGURATION_LINES_MAX = 1_000;

    /** The second is needed to give both up for good. */
    static final Set<String> CAPABILITIES = Set.of("NET_ADMIN", "SETPCAP");

    private static final Path TUN = Path.of("/dev/net/tun");
    private static final Path KVM = Path.of("/dev/kvm");
    /** The script leaves no name of it. */
    private static final Path INITRD = Path.of("/proc/self/fd/4");

    private final StateDirectories directories;
    private final GuestImageStore images;
    private final Machinery machinery;

    Carrier(StateDirectories directories, GuestImageStore images, Machinery machinery) {
        this.directories = directories;
        this.images = images;
        this.machinery = machinery;
    }

    @Override
    public RuntimeKind kind() {
        return RuntimeKind.UNIKERNEL;
    }

    @Override
    public Carriage of(InstanceSpec spec) {
        if (KvmTrial.is(spec)) {
            return machinery.trial().carriage(directories, spec);
        }
        refuseWhatCannotBe(spec);
        if (isNanos(spec)) {
            Configuration given = configuration(spec);
            prepared(spec, given);
            return new NanosCarrier(directories, machinery).of(spec, images.file(spec.imageId()), given);
        }
        Path image = images.file(spec.imageId());
        Machinery.Choice choice = machinery.choose();
        byte[] configuration = prepared(spec, configuration(spec));
        String key = directories.newKey(spec.identity());
        Making.NOW.get().key(key);
        CarriedVm vm = vm(key, spec);
        boolean firecracker = choice.vmm() == Vmm.FIRECRACKER;
        State state = directories.make(
                key,
                image,
                configuration,
                firecracker ? Optional.of(vm.firecrackerConfiguration()) : Optional.empty(),
                spec.volumes().size());
        List<String> command = new ArrayList<>(List.of("/bin/sh", "/box.sh"));
        Path inside = VmmPrograms.inside(choice.program());
        command.addAll(
                firecracker ? vm.firecracker(inside, Path.of("/vm/vmm.json")) : vm.qemu(inside, choice.accelerator()));
        List<Mount> mounts = mounts(state, choice.program());
        int disk = 0;
        for (Mount volume : spec.volumes()) {
            mounts.add(new Mount(volume.source(), "/disks/" + disk, volume.readOnly()));
            disk++;
        }
        return new Carriage(state.root(), command, mounts, devices(choice), CAPABILITIES, Map.of(LABEL, key));
    }

    static List<Path> devices(Machinery.Choice choice) {
        return choice.accelerator() == Accelerator.KVM ? List.of(TUN, KVM) : List.of(TUN);
    }

    /** What every carrier has of the node. */
    static List<Mount> mounts(State state, Path program) {
        List<Mount> mounts = new ArrayList<>(List.of(
                new Mount(Path.of("/usr"), "/usr", true),
                new Mount(VmmPrograms.real(Path.of("/etc/ld.so.cache")), "/etc/ld.so.cache", true),
                new Mount(state.vm(), "/vm", false)));
        if (VmmPrograms.inside(program).equals(VmmPrograms.MOUNTED)) {
            mounts.add(new Mount(VmmPrograms.real(program), VmmPrograms.MOUNTED.toString(), true));
        }
        return mounts;
    }

    private void refuseWhatCannotBe(InstanceSpec spec) {
        Component component = spec.component();
        if (isNanos(spec) && !spec.volumes().isEmpty()) {
            throw refused(
                    spec, Kind.UNSUPPORTED, "a unikernel with kernel = \"nanos\" has no volumes so far: remove them");
        }
        if (spec.networks().size() > 1) {
            throw refused(
                    spec,
                    Kind.UNSUPPORTED,
                    "a unikernel has one network interface so far, on its service's network: remove network = \""
                            + component.network().map(Object::toString).orElse("") + "\"");
        }
        if (spec.volumes().size() > VOLUMES_MAX) {
            throw refused(
                    spec,
                    Kind.UNSUPPORTED,
                    spec.volumes().size() + " volumes: a unikernel has at most " + VOLUMES_MAX + " disks");
        }
        for (Mount volume : spec.volumes()) {
            if (!Files.isRegularFile(volume.source())) {
                throw refused(
                        spec,
                        Kind.INVALID,
                        "its volume " + volume.source()
                                + " is no file: a unikernel's volume is a raw disk; make one with" + " truncate -s 1G "
                                + volume.source());
            }
        }
    }

    private static boolean isNanos(InstanceSpec spec) {
        return spec.component().kernel().equals(Optional.of(Kernel.NANOS));
    }

    static RuntimeFailure refused(InstanceSpec spec, Kind kind, String why) {
        return new RuntimeFailure(kind, "cannot create " + spec.identity().component() + ": " + why);
    }

    /** What the program is given besides what its image says. */
    record Configuration(List<String> arguments, Map<String, String> environment) {}

    private Configuration configuration(InstanceSpec spec) {
        Map<String, String> environment = new LinkedHashMap<>();
        for (String entry : spec.component().env()) {
            String[] parts = entry.split("=", 2);
            environment.put(parts[0], parts.length == 2 ? parts[1] : "");
        }
        environment.putAll(spec.secrets());
        List<String> command = spec.component().command().isEmpty()
                ? images.command(spec.imageId())
                : spec.component().command();
        if (environment.size() + command.size() > CONFIGURATION_LINES_MAX) {
            throw refused(
                    spec, Kind.INVALID, "more than " + CONFIGURATION_LINES_MAX + " arguments, variables and secrets");
        }
        return new Configuration(command, environment);
    }

    private static byte[] prepared(InstanceSpec spec, Configuration given) {
        try {
            byte[] text = new RunConfiguration(
                            given.arguments(), given.environment(), Instant.EPOCH, RunConfiguration.Seed.random())
                    .toPreparedBytes();
            if (text.length > CONFIGURATION_BYTES_MAX) {
                throw refused(
                        spec,
                        Kind.INVALID,
                        "its arguments, variables and secrets take " + text.length + " bytes; at most "
                                + CONFIGURATION_BYTES_MAX);
            }
            return text;
        } catch (ImageException e) {
            throw refused(spec, Kind.INVALID, String.valueOf(e.getMessage()));
        }
    }

    private static CarriedVm vm(String key, InstanceSpec spec) {
        List<Disk> disks = new ArrayList<>(List.of(new Disk(Path.of("/image"), true)));
        for (Mount volume : spec.volumes()) {
            disks.add(new Disk(Path.of("/disks/" + (disks.size() - 1)), volume.readOnly()));
        }
        return new CarriedVm(
                key,
                spec.component().vcpus().orElse(1),
                spec.component().memoryMb().orElse(DEFAULT_MEMORY_MEBIBYTES),
                Path.of("/image"),
                INITRD,
                disks,
                Path.of("/vm/channel"),
                "tap0",
                "@mac@",
                Path.of("/vm/control.sock"));
    }
}
