package dev.metacircular.vm;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;

/**
 * What is known of a VM from its start on; never changes.
 *
 * @param id its name
 * @param driver the driver's name
 * @param vmm the VMM's program
 * @param acceleration what executes it, and why
 * @param kernel the file it booted
 * @param vcpus number of vCPUs
 * @param memoryMebibytes guest memory
 * @param channelSlots slots of its channel, 0 for none
 * @param consoleSegmentBytes bytes in one file of the console
 * @param networks its interfaces, in the user's notation
 * @param confinement how the VMM is confined on the host, for a person
 * @param startedAt when its start was asked for
 * @param directory its state directory
 */
public record VmInfo(
        VmId id,
        String driver,
        Path vmm,
        Acceleration acceleration,
        Path kernel,
        int vcpus,
        int memoryMebibytes,
        int channelSlots,
        int consoleSegmentBytes,
        List<String> networks,
        String confinement,
        Instant startedAt,
        Path directory) {
    public VmInfo {
        networks = List.copyOf(networks);
    }
}
