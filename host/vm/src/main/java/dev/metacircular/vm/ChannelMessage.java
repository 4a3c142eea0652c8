package dev.metacircular.vm;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;

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

    /**
     * Entries of a trace, in the order of their times.
     *
     * @param whole whether the record held nothing but sound entries; those before the damage are here
     */
    record Trace(Origin origin, List<TraceEntry> entries, boolean whole) implements ChannelMessage {
        public Trace {
            entries = List.copyOf(entries);
        }
    }

    /**
     * A phase of the boot.
     *
     * @param at its time since kernel entry
     */
    record BootPhase(Origin origin, Duration at, String name) implements ChannelMessage {}

    /**
     * Messages that the guest could not write.
     *
     * @param messages how many, of every kind
     */
    record Loss(Origin origin, long messages, Lost lost) implements ChannelMessage {}

    /** Lost messages by their kind. */
    record Lost(long logs, long spanBegins, long spanEnds, long events, long others) {
        /** Nothing lost. */
        public static final Lost NONE = new Lost(0, 0, 0, 0, 0);

        /** Both together. */
        public Lost plus(Lost other) {
            return new Lost(
                    logs + other.logs,
                    spanBegins + other.spanBegins,
                    spanEnds + other.spanEnds,
                    events + other.events,
                    others + other.others);
        }
    }

    /**
     * What the kernel holds, as {@code abi_stats} has it.
     *
     * @param counterAtEntry how long the VM's time stamp counter had run when the kernel was entered: the VMM's firmware and loading
     * @param values in the order of {@code abi_stats}' fields (docs/kernel-abi.md)
     */
    record Statistics(Origin origin, Duration counterAtEntry, List<Long> values) implements ChannelMessage {
        public Statistics {
            values = List.copyOf(values);
        }
    }

    /**
     * How long a device took to answer, since the kernel was entered.
     *
     * @param name of what was asked of which device
     * @param buckets the n-th counts answers that took from 2^n to 2^(n+1) nanoseconds
     */
    record Latency(Origin origin, String name, long count, Duration sum, Duration max, List<Long> buckets)
            implements ChannelMessage {
        public Latency {
            buckets = List.copyOf(buckets);
        }
    }

    /** A fault in the guest. */
    record Fault(Origin origin, String text) implements ChannelMessage {}

    /** A message of a kind that this version does not know, or whose payload is shorter than its kind demands. */
    record Unknown(Origin origin, int kind, ByteBuffer payload) implements ChannelMessage {}
}
