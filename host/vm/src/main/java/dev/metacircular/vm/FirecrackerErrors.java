package dev.metacircular.vm;

import dev.metacircular.vm.VmException.Fault;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Turns Firecracker's messages into errors with a remedy. */
final class FirecrackerErrors {
    private record Known(Pattern pattern, Fault fault, String remedy) {}

    private static final List<Known> KNOWN = List.of(
            new Known(
                    Pattern.compile("/dev/kvm|KVM object|creating KVM"),
                    Fault.HOST,
                    "Firecracker needs a working /dev/kvm that this user may open; QEMU runs without it (--vmm qemu)"),
            new Known(
                    Pattern.compile("Open tap device failed|Invalid TUN/TAP"),
                    Fault.REQUEST,
                    "make the tap interface for this user first, and give each VM its own: "
                            + "sudo ip tuntap add IFACE mode tap user $USER"),
            new Known(
                    Pattern.compile("(kernel|initrd) file cannot be opened|manipulating the backing file"),
                    Fault.REQUEST,
                    "does the file exist, and may this user read it (and write it, where the disk is not read-only)?"),
            new Known(
                    Pattern.compile("invalid kernel image|Kernel Loader"),
                    Fault.REQUEST,
                    "the file is no kernel that Firecracker boots: an ELF file with a PVH note is"),
            new Known(Pattern.compile("number of vCPUs|memory size"), Fault.REQUEST, "change the VM's vCPUs or memory"),
            new Known(
                    Pattern.compile("Cannot allocate memory|os error 12"),
                    Fault.HOST,
                    "less memory is free than the VM wants"),
            new Known(
                    Pattern.compile("unknown field|missing field|Invalid request method"),
                    Fault.VMM,
                    "this version of Firecracker has another API than the driver knows (1.16)"));

    private FirecrackerErrors() {}

    /** An API call was refused with this message. */
    static VmException refused(String subject, String call, String message) {
        return error(subject + ": Firecracker refused " + call + ": " + message, message);
    }

    /** The process ended before its VM ran. */
    static VmException ended(VmId id, String errors) {
        String shown = errors.isBlank() ? "it wrote no message" : errors.strip();
        return error("VM " + id + " did not start: Firecracker says: " + shown, errors);
    }

    private static VmException error(String text, String message) {
        Optional<Known> known =
                KNOWN.stream().filter(k -> k.pattern.matcher(message).find()).findFirst();
        return known.map(k -> new VmException(k.fault, text, k.remedy))
                .orElseGet(() -> new VmException(Fault.VMM, text));
    }
}
