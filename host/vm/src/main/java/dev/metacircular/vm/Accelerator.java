package dev.metacircular.vm;

/** What executes the guest's instructions. */
public enum Accelerator {
    /** The host processor, through {@code /dev/kvm}. */
    KVM,
    /** Software emulation (QEMU's TCG). */
    EMULATION;

    /** How the user writes it: {@code kvm}, {@code emulation}. */
    public String label() {
        return switch (this) {
            case KVM -> "kvm";
            case EMULATION -> "emulation";
        };
    }
}
