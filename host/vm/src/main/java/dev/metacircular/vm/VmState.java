package dev.metacircular.vm;

/** What a VM is doing, as far as can be told now. */
public sealed interface VmState {
    /** Its process is being made. */
    record Starting() implements VmState {}

    /**
     * Its VMM runs.
     *
     * @param pid the VMM's process
     */
    record Running(long pid) implements VmState {}

    /**
     * It ended. This state is final.
     *
     * @param outcome how
     */
    record Ended(VmOutcome outcome) implements VmState {}
}
