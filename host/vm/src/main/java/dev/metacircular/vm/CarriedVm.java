package dev.metacircular.vm;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A VM that somebody else starts and supervises, such as a container: what its VMM is told. Paths are as the VMM sees them and are taken as they
 * are; nothing is looked at.
 *
 * @param name letters, digits and hyphens, at most 64; {@link #runs} tells the VMM's process by it
 * @param initrd the run-time configuration
 * @param disks the image first
 * @param channel made by {@link ChannelReader#create}
 * @param tap an interface that the VMM may open
 * @param linkAddress of the guest, such as {@code 02:00:00:00:00:01}
 * @param controlSocket of QMP, or of Firecracker's API
 */
public record CarriedVm(
        String name,
        int vcpus,
        int memoryMebibytes,
        Path kernel,
        Path initrd,
        List<Disk> disks,
        Path channel,
        String tap,
        String linkAddress,
        Path controlSocket) {
    public CarriedVm {
        disks = List.copyOf(disks);
    }

    /** QEMU's command line, with its console on standard input and output and its system call filter on. */
    public List<String> qemu(Path binary, Accelerator accelerator) {
        return QemuCommand.carried(binary, this, accelerator);
    }

    /**
     * Firecracker's command line, with its console on standard input and output.
     *
     * @param configuration the file with {@link #firecrackerConfiguration}
     */
    public List<String> firecracker(Path binary, Path configuration) {
        return List.of(
                binary.toString(),
                "--api-sock",
                controlSocket.toString(),
                "--id",
                name,
                "--config-file",
                configuration.toString(),
                // Its log goes where its errors go; by default it would mix with the console.
                "--log-path",
                "/proc/self/fd/2",
                "--level",
                "Warn");
    }

    /** What Firecracker reads before it starts, JSON. */
    public String firecrackerConfiguration() {
        return FirecrackerConfiguration.of(this);
    }

    /** Whether these are the arguments of the VMM that runs the VM of this name. */
    public static boolean runs(String name, List<String> arguments) {
        int id = arguments.indexOf("--id");
        return arguments.contains("guest=" + name)
                || (id >= 0
                        && id + 1 < arguments.size()
                        && arguments.get(id + 1).equals(name));
    }

    /** The program of this name in a list of folders, which is written as in the environment variable {@code PATH}. */
    public static Optional<Path> findIn(String searchPath, String program) {
        return Programs.find(program, searchPath);
    }

    /** What the program says its version is: {@code QEMU emulator version 7.2.22 (…)}; empty when it does not within five seconds. */
    public static Optional<String> version(Path program) {
        return Programs.version(program);
    }

    /** Finds out whether KVM works for whoever runs the command: it boots a test guest that prints one word and ends. */
    public static final class KvmTrial {
        /** What the test guest prints, nothing else, where KVM works. At a processor's speed that takes a tenth of a second of its time. */
        public static final String WORKS = KvmProbe.EXPECTED;

        private KvmTrial() {}

        /** The test guest's file. */
        public static byte[] kernel() {
            return KvmProbe.kernel();
        }

        /** The command line that boots it, its console on standard output; it may never end. */
        public static List<String> qemu(Path binary, Path kernel) {
            return KvmProbe.command(binary, kernel);
        }

        /**
         * The same by Firecracker, for a machine that has no QEMU.
         *
         * @param configuration the file with {@link #firecrackerConfiguration}
         */
        public static List<String> firecracker(Path binary, Path configuration) {
            return List.of(
                    binary.toString(),
                    "--no-api",
                    "--config-file",
                    configuration.toString(),
                    "--log-path",
                    "/proc/self/fd/2",
                    "--level",
                    "Error");
        }

        /** What Firecracker reads before it boots the test guest, JSON. */
        public static String firecrackerConfiguration(Path kernel) {
            return FirecrackerConfiguration.ofProbe(kernel);
        }
    }
}
