package dev.metacircular.ukernel;

import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.TraceEntry;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;

/** Follows a VM's channel to its end and keeps book of the spans, in memory that does not grow with their number. */
final class SpanAudit implements Callable<SpanAudit.Book> {
    private static final Duration LOOK = Duration.ofMillis(500);

    /**
     * What was found.
     *
     * @param begins how many spans of each name began
     * @param orphans begins whose parent was not open then
     * @param strayEnds ends of spans that were not open
     * @param open spans that had no end when the VM ended
     * @param told begins and ends that the guest says it could not write
     * @param records that were overwritten before they were read
     */
    record Book(Map<String, Long> begins, long orphans, long strayEnds, long open, long told, long records) {
        /** Whether nothing is missing that could explain an orphan. */
        boolean whole() {
            return told == 0 && records == 0;
        }
    }

    private final ChannelReader channel;
    private final Map<Long, String> open = new HashMap<>();
    private final Map<String, Long> begins = new TreeMap<>();
    private long orphans;
    private long strayEnds;
    private long told;
    private long records;

    SpanAudit(ChannelReader channel) {
        this.channel = channel;
    }

    @Override
    public Book call() throws InterruptedException {
        try (channel) {
            while (true) {
                Optional<ChannelEvent> next = channel.next(LOOK);
                if (next.isEmpty()) {
                    continue;
                }
                switch (next.get()) {
                    case ChannelEvent.Message(ChannelMessage.Trace trace) ->
                        trace.entries().forEach(this::add);
                    case ChannelEvent.Message(ChannelMessage.Loss loss) ->
                        told += loss.lost().spanBegins() + loss.lost().spanEnds();
                    case ChannelEvent.Message _ -> {}
                    case ChannelEvent.Lost lost -> records += lost.records();
                    case ChannelEvent.End() -> {
                        return new Book(begins, orphans, strayEnds, open.size(), told, records);
                    }
                }
            }
        }
    }

    private void add(TraceEntry entry) {
        switch (entry) {
            case TraceEntry.SpanBegin begin -> {
                begins.merge(begin.name(), 1L, Long::sum);
                orphans += begin.parent() == 0 || open.containsKey(begin.parent()) ? 0 : 1;
                open.put(begin.span(), begin.name());
            }
            case TraceEntry.SpanEnd end -> strayEnds += open.remove(end.span()) == null ? 1 : 0;
            case TraceEntry.Event _ -> {}
        }
    }
}
