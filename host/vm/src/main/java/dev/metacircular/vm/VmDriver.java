package dev.metacircular.vm;

import java.util.List;
import java.util.Set;

/**
 * Starts microVMs under one VMM. A VM does not depend on the process that started it: it runs in its own session and is found again
 * through {@link VmStore}. Safe for use by several threads and several processes.
 */
public interface VmDriver {
    /** What a VMM can do beyond the common part. */
    enum Feature {
        /** {@link Network.User}. */
        USER_NETWORK,
        /** {@link Network.Tap}. */
        TAP_NETWORK,
        /** Guests without KVM. */
        EMULATION,
        /** {@link VmSpec#debugger()}. */
        DEBUGGER
    }

    /** Short name, {@code qemu} or {@code firecracker}; part of a VM's state on disk. */
    String name();

    Set<Feature> features();

    /** What this machine has and lacks for this driver. Takes at most some seconds, most of it once per boot of the host. */
    List<Finding> diagnose();

    /**
     * Starts a VM. Returns when the VMM has taken its configuration and lets the guest run; the guest may have ended by then. When
     * this throws, nothing of the VM is left.
     *
     * @throws VmException REQUEST when the VM exists or the VMM cannot do what is asked, HOST when the VMM is missing or may not
     *     start, VMM when it refused, DEADLINE after 30 seconds
     */
    VirtualMachine start(VmSpec spec);
}
