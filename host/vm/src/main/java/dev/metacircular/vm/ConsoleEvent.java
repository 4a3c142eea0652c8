package dev.metacircular.vm;

import java.nio.ByteBuffer;

/** What comes next from a VM's console. */
public sealed interface ConsoleEvent {
    /**
     * Output of the guest.
     *
     * @param offset position of its first byte since the start of the VM
     * @param bytes read-only, at least one byte
     */
    record Output(long offset, ByteBuffer bytes) implements ConsoleEvent {
        public Output {
            bytes = bytes.asReadOnlyBuffer();
        }
    }

    /**
     * Output that was overwritten before it was read.
     *
     * @param bytes how much
     */
    record Lost(long bytes) implements ConsoleEvent {}

    /** The VM ended and everything was read. */
    record End() implements ConsoleEvent {}
}
