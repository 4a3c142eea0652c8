package dev.metacircular.vm;

import java.nio.file.Path;
import java.util.List;

/**
 * A VM with NanoVMs' kernel Nanos that somebody else starts and supervises, for QEMU. Paths are as QEMU sees them and are taken as they are;
 * nothing is looked at. Its end: QEMU's exit status is twice the program's and one, of which eight bits are told, or 0 where the guest ended
 * without one. That 1 is also QEMU's own failure, and statuses above 128 a signal's: a QEMU that has begun to talk on its monitor has run a
 * guest, and one that has taken its pid file away has ended by itself.
 *
 * @param name letters, digits and hyphens, at most 64; {@link CarriedVm#runs} tells QEMU's process by it
 * @param kernel Nanos' ELF file
 * @param image what {@code ops build} made, which has Nanos' settings too, for it takes no command line from QEMU; not written to
 * @param tap an interface that QEMU may open
 * @param linkAddress of the guest, such as {@code 02:00:00:00:00:01}
 * @param monitor the pipes {@code monitor.in} and {@code monitor.out} of QEMU's own monitor, which takes {@code system_powerdown}
 * @param pidFile there while QEMU runs, and after one that a signal ended
 */
public record CarriedNanos(
        String name,
        int vcpus,
        int memoryMebibytes,
        Path kernel,
        Path image,
        String tap,
        String linkAddress,
        Path monitor,
        Path pidFile) {
    /** QEMU's command line, with the console on standard input and output and QEMU's system call filter on. */
    public List<String> qemu(Path binary, Accelerator accelerator) {
        return QemuCommand.carriedNanos(binary, this, accelerator);
    }
}
