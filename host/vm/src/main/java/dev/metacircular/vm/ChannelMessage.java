package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.time.Duration;

/** One message that the guest wrote to its channel ({@code docs/image-format.md}, «Channel»). */
public sealed interface ChannelMessage {
    /** Where a message came from. */
    Origin origin();

    /**
     * The part that all messages share.
     *
     * @param number of its first record, from 1
     * @param sinceEntry time since kernel entry
     * @param task the task, 0 for the kernel
     * @param complete whether all fragments were there
     */
    record Origin(long number, Duration sinceEntry, long task, boolean complete) {}

    /** Severity of a {@link Log}. */
    enum Level {
        DEBUG,
        INFO,
        WARN,
        ERROR
    }

    /** A log line. */
    record Log(Origin origin, Level level, String text) implements ChannelMessage {}

    /** How the guest ended. */
    record ExitStatus(Origin origin, int status, ExitCause cause, String text) implements ChannelMessage {}

    /** The begin of a span; the payload is the trace's own format. */
    record SpanBegin(Origin origin, ByteBuffer payload) implements ChannelMessage {}

    /** The end of a span. */
    record SpanEnd(Origin origin, ByteBuffer payload) implements ChannelMessage {}

    /** An event. */
    record Event(Origin origin, ByteBuffer payload) implements ChannelMessage {}

    /**
     * A phase of the boot.
     *
     * @param at its time since kernel entry
     */
    record BootPhase(Origin origin, Duration at, String name) implements ChannelMessage {}

    /**
     * Messages that the guest could not write.
     *
     * @param messages how many
     */
    record Loss(Origin origin, long messages) implements ChannelMessage {}

    /** A fault in the guest. */
    record Fault(Origin origin, String text) implements ChannelMessage {}

    /** A message of a kind that this version does not know, or whose payload is shorter than its kind demands. */
    record Unknown(Origin origin, int kind, ByteBuffer payload) implements ChannelMessage {}
}
