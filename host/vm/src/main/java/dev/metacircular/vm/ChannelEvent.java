package dev.metacircular.vm;

/** What comes next from a VM's channel. */
public sealed interface ChannelEvent {
    /** A message. */
    record Message(ChannelMessage message) implements ChannelEvent {}

    /**
     * Records that were overwritten before they were read, or are damaged.
     *
     * @param firstNumber the first that is missing
     * @param records how many
     */
    record Lost(long firstNumber, long records) implements ChannelEvent {}

    /** The VM ended and everything was read. */
    record End() implements ChannelEvent {}
}
