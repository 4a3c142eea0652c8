package dev.metacircular.runtime.microvm;

import dev.metacircular.vm.Accelerator;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What a {@link MicrovmRuntime} needs to know.
 *
 * @param directory where the VMs' state directories are kept, made when needed; podman's user must be able to enter the folders above
 * @param searchPath where the VMM is looked for, written as in the environment variable {@code PATH}
 * @param vmm empty for Firecracker where it is installed and KVM works, else QEMU
 * @param accelerator empty for KVM where it works, else emulation
 * @param opsHome the folder that {@code ops} keeps its {@code .ops} in; empty for the home of who runs this
 */
public record MicrovmOptions(
        Path directory,
        String searchPath,
        Optional<Vmm> vmm,
        Optional<Accelerator> accelerator,
        Optional<Path> opsHome) {
    /** The programs that run VMs. */
    public enum Vmm {
        QEMU("qemu-system-x86_64", "QEMU", "apt-get install qemu-system-x86"),
        FIRECRACKER(
                "firecracker",
                "Firecracker",
                "put a release of https://github.com/firecracker-microvm/firecracker on the agent's search path");

        private final String program;
        private final String title;
        private final String mend;

        Vmm(String program, String title, String mend) {
            this.program = program;
            this.title = title;
            this.mend = mend;
        }

        String program() {
            return program;
        }

        /** For people. */
        String title() {
            return title;
        }

        /** How to get it. */
        String mend() {
            return mend;
        }
    }

    /** With everything chosen by what the node has. */
    public static MicrovmOptions of(Path directory, String searchPath) {
        return new MicrovmOptions(directory, searchPath, Optional.empty(), Optional.empty(), Optional.empty());
    }
}
