package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** A VM that was started, running or ended. Safe for use by several threads, and beside other processes that hold the same VM. */
public interface VirtualMachine {
    VmInfo info();

    /** What it is doing now. */
    VmState state();

    /**
     * When its VMM was ready and let the guest run, which is also when the guest's time stamp counter began; later by at most the time of a look
     * at the VMM, 20 ms. Empty when it never came up, or was started by a version that did not note it.
     */
    Optional<Instant> upAt();

    /**
     * Waits for its end. A VMM that stands still over an error of its own (as QEMU does after a failure inside KVM) is ended by this call and
     * reported as {@link VmOutcome.VmmFailed}.
     *
     * @return empty when it still runs after the time
     */
    Optional<VmOutcome> await(Duration time) throws InterruptedException;

    /**
     * Asks the guest for an orderly stop over its serial input, waits, and ends the VMM by force when it has not ended by then. Does
     * nothing to a VM that ended.
     *
     * @param grace how long the guest may take
     * @throws VmException DEADLINE when the VMM's process cannot be ended
     */
    VmOutcome stop(Duration grace) throws InterruptedException;

    /**
     * Ends the VMM by force, without asking the guest.
     *
     * @throws VmException DEADLINE when the VMM's process cannot be ended
     */
    VmOutcome kill() throws InterruptedException;

    /**
     * Types on the guest's serial input.
     *
     * @param input at most 64 KiB
     * @throws VmException when the VM has ended, or DEADLINE when the guest did not take it within two seconds; a part may have arrived
     */
    void type(ByteBuffer input);

    /** A new reader of the console from the oldest byte that is kept. */
    ConsoleReader console();

    /** A new reader of the channel from the oldest record that is kept; empty for a VM without a channel. */
    Optional<ChannelReader> channel();

    /**
     * Deletes what is left of an ended VM, its console and channel too.
     *
     * @throws VmException REQUEST when it still runs
     */
    void remove();
}
