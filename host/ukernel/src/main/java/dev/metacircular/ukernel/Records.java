package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.ChannelMessage;
import java.util.Locale;

/** Shows what a guest writes to its channel. */
final class Records {
    private Records() {}

    /** Whether a record is to be seen by who wants log records from a level on: everything but a log record below it. */
    static boolean isWanted(ChannelMessage message, ChannelMessage.Level least) {
        return !(message instanceof ChannelMessage.Log log) || log.level().compareTo(least) >= 0;
    }

    /** Log lines and faults; what is for other commands is left out. */
    static void show(ChannelMessage message, Report report, FaultText faults) {
        switch (message) {
            case ChannelMessage.Log log -> {
                String level = log.level().name().toLowerCase(Locale.ROOT);
                report.progress("[%s] %-5s task %d: %s"
                        .formatted(time(message), level, message.origin().task(), log.text()));
                report.value(node("log", message).put("level", level).put("text", log.text()));
            }
            case ChannelMessage.Fault fault -> {
                String text = faults.explain(fault.text().strip());
                report.progress("[%s] fault %s".formatted(time(message), text));
                report.value(node("fault", message).put("text", text));
            }
            case ChannelMessage.Loss loss -> {
                report.progress(
                        "[%s] the guest could not write %d messages: %d of the log, %d begins and ends of spans, %d events"
                                .formatted(
                                        time(message),
                                        loss.messages(),
                                        loss.lost().logs(),
                                        loss.lost().spanBegins() + loss.lost().spanEnds(),
                                        loss.lost().events()));
                report.value(node("loss", message)
                        .put("messages", loss.messages())
                        .put("logs", loss.lost().logs())
                        .put("spans", loss.lost().spanBegins() + loss.lost().spanEnds())
                        .put("events", loss.lost().events()));
            }
            case ChannelMessage.BootPhase phase ->
                report.value(node("boot_phase", message)
                        .put("name", phase.name())
                        .put("at_ns", phase.at().toNanos()));
            case ChannelMessage.ExitStatus _,
                    ChannelMessage.Trace _,
                    ChannelMessage.Statistics _,
                    ChannelMessage.Latency _,
                    ChannelMessage.Unknown _ -> {}
        }
    }

    private static ObjectNode node(String event, ChannelMessage message) {
        return Report.object()
                .put("event", event)
                .put("since_entry_ns", message.origin().sinceEntry().toNanos())
                .put("task", message.origin().task());
    }

    private static String time(ChannelMessage message) {
        return "%11.6f".formatted(message.origin().sinceEntry().toNanos() / 1e9);
    }
}
