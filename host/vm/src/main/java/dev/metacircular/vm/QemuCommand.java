package dev.metacircular.vm;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** QEMU's command line: every machine flag of this project stands here. Tried with QEMU 7.2 and 10.0; relative names are in the state directory. */
final class QemuCommand {
    /**
     * A machine with no firmware tables, no legacy timers and no option ROMs: {@code acpi=off} selects the small qboot and is what makes the
     * start fast.
     */
    private static final String MACHINE = "microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on";

    /** What Nanos needs besides: tables to find its devices and a power button by, and a clock; it does not know a second interrupt controller. */
    private static final String NANOS_MACHINE = "microvm,rtc=on,ioapic2=off,isa-serial=on";

    /** Where Nanos writes its program's exit status, of which QEMU's own is then twice that and one. */
    private static final String NANOS_EXIT = "isa-debug-exit,iobase=0x501,iosize=0x01";

    /** No new programs, no privileges, no system calls that nobody needs any more. */
    private static final String SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

    private QemuCommand() {}

    /** What every QEMU of ours is started with. */
    static List<String> machine(Path binary, Accelerator accelerator, int vcpus, int memoryMebibytes) {
        return machine(MACHINE, binary, accelerator, vcpus, memoryMebibytes);
    }

    private static List<String> machine(
            String machine, Path binary, Accelerator accelerator, int vcpus, int memoryMebibytes) {
        List<String> words = new ArrayList<>(List.of(
                binary.toString(),
                "-M",
                machine,
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
                "-no-reboot",
                // Transports of virtio 1 instead of the version before it.
                "-global",
                "virtio-mmio.force-legacy=false",
                "-sandbox",
                SANDBOX,
                "-smp",
                Integer.toString(vcpus),
                "-m",
                memoryMebibytes + "M"));
        switch (accelerator) {
            // The host's own features but for an MSR that some nested hosts do not implement.
            case KVM -> words.addAll(List.of("-accel", "kvm", "-cpu", "host,-arch-capabilities"));
            case EMULATION -> words.addAll(List.of("-accel", "tcg,thread=multi", "-cpu", "max"));
        }
        return words;
    }

    /** The console on standard input and output. */
    static List<String> console() {
        return List.of("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console");
    }

    /**
     * The whole command line of a VM.
     *
     * @param initrd the file to give as initial RAM disk
     * @param addresses of the interfaces
     */
    static List<String> of(
            Path binary, VmSpec spec, Accelerator accelerator, Optional<Path> initrd, MacAddresses addresses) {
        List<String> words = machine(binary, accelerator, spec.vcpus(), spec.memoryMebibytes());
        words.addAll(console());
        words.addAll(List.of("-name", "guest=" + spec.id().value()));
        // The guest waits for a word over QMP: by then all of the configuration has been accepted.
        words.addAll(List.of("-S", "-qmp", "unix:" + StateDirectory.QMP_SOCKET + ",server=on,wait=off"));
        words.addAll(List.of("-kernel", absolute(spec.kernel())));
        if (!spec.commandLine().isEmpty()) {
            words.addAll(List.of("-append", spec.commandLine()));
        }
        initrd.ifPresent(file -> words.addAll(List.of("-initrd", absolute(file))));
        int slot = 0;
        for (Disk disk : spec.disks()) {
            words.addAll(disk("disk" + slot, slot, absolute(disk.file()), disk.readOnly()));
            slot++;
        }
        if (spec.channelSlots() > 0) {
            words.addAll(disk("channel", slot, StateDirectory.CHANNEL, false));
            slot++;
        }
        int index = 0;
        for (Network network : spec.networks()) {
            words.addAll(network(addresses.of(spec.id(), index), network, index, slot));
            index++;
            slot++;
        }
        spec.debugger()
                .ifPresent(address ->
                        words.addAll(List.of("-gdb", "tcp:" + host(address.getAddress()) + ":" + address.getPort())));
        return words;
    }

    /** Of a VM that somebody else supervises: its guest runs at once, and its only interface is a tap. */
    static List<String> carried(Path binary, CarriedVm vm, Accelerator accelerator) {
        List<String> words = machine(binary, accelerator, vm.vcpus(), vm.memoryMebibytes());
        words.addAll(console());
        words.addAll(List.of("-name", "guest=" + escaped(vm.name())));
        words.addAll(List.of("-qmp", "unix:" + vm.controlSocket() + ",server=on,wait=off"));
        words.addAll(List.of(
                "-kernel", vm.kernel().toString(), "-initrd", vm.initrd().toString()));
        int slot = 0;
        for (Disk disk : vm.disks()) {
            words.addAll(disk("disk" + slot, slot, disk.file().toString(), disk.readOnly()));
            slot++;
        }
        words.addAll(disk("channel", slot, vm.channel().toString(), false));
        words.addAll(network(vm.linkAddress(), new Network.Tap(vm.tap()), 0, slot + 1));
        return words;
    }

    /** Of a VM that somebody else supervises, with Nanos: its console and its network as those of {@link #carried}. */
    static List<String> carriedNanos(Path binary, CarriedNanos vm, Accelerator accelerator) {
        List<String> words = machine(NANOS_MACHINE, binary, accelerator, vm.vcpus(), vm.memoryMebibytes());
        words.addAll(console());
        words.addAll(List.of("-name", "guest=" + escaped(vm.name())));
        words.addAll(List.of("-chardev", "pipe,id=monitor,path=" + vm.monitor(), "-mon", "chardev=monitor"));
        words.addAll(List.of("-pidfile", vm.pidFile().toString()));
        words.addAll(List.of("-kernel", vm.kernel().toString()));
        words.addAll(List.of("-device", NANOS_EXIT));
        // What the guest writes goes into a file without a name: each start begins with the image as it was made.
        words.addAll(List.of(
                "-drive",
                "if=none,id=disk0,format=raw,snapshot=on,file="
                        + escaped(vm.image().toString()),
                "-device",
                "virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.0,rerror=report,werror=report"));
        words.addAll(network(vm.linkAddress(), new Network.Tap(vm.tap()), 0, 1));
        return words;
    }

    /**
     * A block device in a given transport: without a bus QEMU fills them from the last to the first. An error of the host's file system is
     * the guest's to handle; QEMU would stop the guest instead when the disk is full.
     */
    private static List<String> disk(String id, int slot, String file, boolean readOnly) {
        return List.of(
                "-drive",
                "if=none,id=" + id + ",format=raw,readonly=" + (readOnly ? "on" : "off") + ",file=" + escaped(file),
                "-device",
                "virtio-blk-device,drive=" + id + ",bus=virtio-mmio-bus." + slot + ",rerror=report,werror=report");
    }

    private static List<String> network(String address, Network network, int index, int slot) {
        String id = "net" + index;
        String backend = switch (network) {
            case Network.User(List<PortForward> forwards) -> {
                StringBuilder text = new StringBuilder("user,id=" + id);
                forwards.forEach(forward -> text.append(",hostfwd=").append(hostForward(forward)));
                yield text.toString();
            }
            case Network.Tap(String name) -> "tap,id=" + id + ",ifname=" + name + ",script=no,downscript=no";
        };
        return List.of(
                "-netdev",
                backend,
                "-device",
                "virtio-net-device,netdev=" + id + ",bus=virtio-mmio-bus." + slot + ",mac=" + address);
    }

    private static String hostForward(PortForward forward) {
        String protocol = switch (forward.protocol()) {
            case TCP -> "tcp";
            case UDP -> "udp";
        };
        return protocol + ":" + host(forward.hostAddress()) + ":" + forward.hostPort() + "-:" + forward.guestPort();
    }

    static String host(InetAddress address) {
        return address instanceof java.net.Inet6Address
                ? "[" + address.getHostAddress() + "]"
                : address.getHostAddress();
    }

    private static String absolute(Path file) {
        return file.toAbsolutePath().normalize().toString();
    }

    /** In an option's value a comma is written twice. */
    static String escaped(String value) {
        return value.replace(",", ",,");
    }

    static InetSocketAddress unresolvedIsRefused(InetSocketAddress address) {
        if (address.isUnresolved()) {
            throw new VmException(
                    VmException.Fault.REQUEST, "address " + address + " of the debugger cannot be resolved");
        }
        return address;
    }
}
