package dev.metacircular.vm;

import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a VM is to be. Made by {@link #ofImage} or {@link #ofKernel}.
 *
 * @param id its name on this host
 * @param kernel the ELF file to boot (PVH)
 * @param commandLine kernel command line, to which the VMM adds its own words
 * @param initrd initial RAM disk
 * @param disks block devices in the order in which the guest finds them, before the channel
 * @param channelSlots records that the channel holds, 0 for a VM without a channel
 * @param vcpus 1 to 32
 * @param memoryMebibytes guest memory
 * @param accelerator the accelerator to insist on; empty chooses KVM where a probe shows that it works
 * @param networks network interfaces in the guest's order
 * @param debugger where a GDB server listens, with the guest stopped before its first instruction
 * @param consoleBytes how much of the console's end is kept, at least half of it always
 */
public record VmSpec(
        VmId id,
        Path kernel,
        String commandLine,
        Optional<Initrd> initrd,
        List<Disk> disks,
        int channelSlots,
        int vcpus,
        int memoryMebibytes,
        Optional<Accelerator> accelerator,
        List<Network> networks,
        Optional<InetSocketAddress> debugger,
        int consoleBytes) {
    public VmSpec {
        disks = List.copyOf(disks);
        networks = List.copyOf(networks);
        check(
                commandLine.getBytes(StandardCharsets.UTF_8).length <= Limits.COMMAND_LINE_BYTES_MAX,
                "a kernel command line longer than " + Limits.COMMAND_LINE_BYTES_MAX + " bytes");
        check(
                commandLine.chars().noneMatch(c -> c < 0x20 || c == 0x7f),
                "a kernel command line with a control character");
        check(disks.size() <= Limits.DISKS_MAX, disks.size() + " disks (at most " + Limits.DISKS_MAX + ")");
        check(
                networks.size() <= Limits.NETWORKS_MAX,
                networks.size() + " networks (at most " + Limits.NETWORKS_MAX + ")");
        check(
                channelSlots == 0 || within(channelSlots, Limits.CHANNEL_SLOTS_MIN, Limits.CHANNEL_SLOTS_MAX),
                "a channel of " + channelSlots + " slots (0, or " + Limits.CHANNEL_SLOTS_MIN + " to "
                        + Limits.CHANNEL_SLOTS_MAX + ")");
        check(within(vcpus, 1, Limits.VCPUS_MAX), vcpus + " vCPUs (1 to " + Limits.VCPUS_MAX + ")");
        check(
                within(memoryMebibytes, Limits.MEMORY_MEBIBYTES_MIN, Limits.MEMORY_MEBIBYTES_MAX),
                memoryMebibytes + " MiB of memory (" + Limits.MEMORY_MEBIBYTES_MIN + " to "
                        + Limits.MEMORY_MEBIBYTES_MAX + ")");
        check(
                within(consoleBytes, Limits.CONSOLE_BYTES_MIN, Limits.CONSOLE_BYTES_MAX),
                consoleBytes + " bytes of console (" + Limits.CONSOLE_BYTES_MIN + " to " + Limits.CONSOLE_BYTES_MAX
                        + ")");
    }

    private static boolean within(int value, int min, int max) {
        return value >= min && value <= max;
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new VmException(VmException.Fault.REQUEST, "a VM cannot have " + what);
        }
    }

    /** A guest image of this project: the same file is kernel and first disk, and there is a channel. */
    public static Builder ofImage(VmId id, Path image) {
        return new Builder(id, image).disk(new Disk(image, true)).channelSlots(Limits.CHANNEL_SLOTS_DEFAULT);
    }

    /** A bare kernel: no disk and no channel unless added. */
    public static Builder ofKernel(VmId id, Path kernel) {
        return new Builder(id, kernel);
    }

    /** Collects a {@link VmSpec}; one vCPU, 128 MiB, no network unless told. Not safe for use by several threads. */
    public static final class Builder {
        private final VmId id;
        private final Path kernel;
        private String commandLine = "";
        private Optional<Initrd> initrd = Optional.empty();
        private final List<Disk> disks = new ArrayList<>();
        private int channelSlots;
        private int vcpus = 1;
        private int memoryMebibytes = 128;
        private Optional<Accelerator> accelerator = Optional.empty();
        private final List<Network> networks = new ArrayList<>();
        private Optional<InetSocketAddress> debugger = Optional.empty();
        private int consoleBytes = Limits.CONSOLE_BYTES_DEFAULT;

        private Builder(VmId id, Path kernel) {
            this.id = id;
            this.kernel = kernel;
        }

        public Builder commandLine(String value) {
            commandLine = value;
            return this;
        }

        public Builder initrd(Initrd value) {
            initrd = Optional.of(value);
            return this;
        }

        public Builder disk(Disk value) {
            disks.add(value);
            return this;
        }

        public Builder channelSlots(int value) {
            channelSlots = value;
            return this;
        }

        public Builder vcpus(int value) {
            vcpus = value;
            return this;
        }

        public Builder memoryMebibytes(int value) {
            memoryMebibytes = value;
            return this;
        }

        /** Insists on an accelerator instead of choosing. */
        public Builder accelerator(Accelerator value) {
            accelerator = Optional.of(value);
            return this;
        }

        public Builder network(Network value) {
            networks.add(value);
            return this;
        }

        public Builder debugger(InetSocketAddress value) {
            debugger = Optional.of(value);
            return this;
        }

        public Builder consoleBytes(int value) {
            consoleBytes = value;
            return this;
        }

        /**
         * The specification.
         *
         * @throws VmException when a value is out of bounds
         */
        public VmSpec build() {
            return new VmSpec(
                    id,
                    kernel,
                    commandLine,
                    initrd,
                    disks,
                    channelSlots,
                    vcpus,
                    memoryMebibytes,
                    accelerator,
                    networks,
                    debugger,
                    consoleBytes);
        }
    }
}
