package dev.metacircular.vm;

import dev.metacircular.vm.VmException.Fault;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Turns what QEMU writes when it does not start into a message with a remedy. */
final class QemuErrors {
    private record Known(Pattern pattern, Fault fault, String remedy) {}

    private static final List<Known> KNOWN = List.of(
            new Known(
                    Pattern.compile("could not configure /dev/net/tun \\(([^)]*)\\): Device or resource busy"),
                    Fault.REQUEST,
                    "another VM or program has that tap interface: give each VM one of its own"),
            new Known(
                    Pattern.compile("could not configure /dev/net/tun(?: \\(([^)]*)\\))?"),
                    Fault.HOST,
                    "make the tap interface for this user first: sudo ip tuntap add IFACE mode tap user $USER"
                            + " && sudo ip link set IFACE up"),
            new Known(
                    Pattern.compile("could not open /dev/net/tun"),
                    Fault.HOST,
                    "this user may not open /dev/net/tun, or it is not there: sudo modprobe tun; sudo chmod 666 /dev/net/tun"),
            new Known(
                    Pattern.compile("Failed to get \"write\" lock"),
                    Fault.REQUEST,
                    "another VM writes to that disk; stop it or take a copy"),
            new Known(
                    Pattern.compile("Could not access KVM kernel module|failed to initialize kvm"),
                    Fault.HOST,
                    "run without KVM (--accel emulation), or see what is wrong with /dev/kvm: ukernel doctor"),
            new Known(
                    Pattern.compile("-sandbox support is not enabled|invalid option.*sandbox"),
                    Fault.HOST,
                    "this QEMU was built without seccomp; install the distribution's"),
            new Known(
                    Pattern.compile("cannot set up guest memory|Cannot allocate memory"),
                    Fault.HOST,
                    "less memory is free than the VM wants"),
            new Known(
                    Pattern.compile("Could not open '([^']*)'|could not load kernel|could not open kernel"),
                    Fault.REQUEST,
                    "does the file exist, and may this user read it?"),
            new Known(
                    Pattern.compile("Failed to bind socket|Failed to find an available port|gdbstub"),
                    Fault.REQUEST,
                    "the debugger's address is taken or may not be used"));

    private static final Pattern FORWARD =
            Pattern.compile("Could not set up host forwarding rule '(tcp|udp):[^']*?:(\\d{1,5})-[^']*'");

    private QemuErrors() {}

    static VmException explain(VmId id, String errors) {
        String shown = errors.isBlank() ? "it wrote no message" : errors.strip();
        Matcher forward = FORWARD.matcher(errors);
        if (forward.find()) {
            return new VmException(
                    Fault.REQUEST,
                    "VM " + id + " did not start: QEMU says: " + shown,
                    taken(
                            forward.group(1).equals("tcp") ? PortForward.Protocol.TCP : PortForward.Protocol.UDP,
                            Integer.parseInt(forward.group(2))));
        }
        for (Known known : KNOWN) {
            Matcher matcher = known.pattern.matcher(errors);
            if (matcher.find()) {
                String remedy = matcher.groupCount() > 0 && matcher.group(1) != null
                        ? known.remedy.replace("IFACE", matcher.group(1))
                        : known.remedy;
                return new VmException(known.fault, "VM " + id + " did not start: QEMU says: " + shown, remedy);
            }
        }
        return new VmException(Fault.VMM, "VM " + id + " did not start: QEMU says: " + shown);
    }

    private static String taken(PortForward.Protocol protocol, int port) {
        String next = ", or publish the guest's port on another one, such as " + (port < 65_535 ? port + 1 : port - 1);
        return PortOwner.of(protocol, port)
                .map(owner -> "port " + port + " is taken by process " + owner + ": end that" + next)
                .orElse("port " + port
                        + " is taken by a process that this user may not see, or may not be used by this user: "
                        + "see who has it with: sudo ss -ltunp" + next);
    }
}
