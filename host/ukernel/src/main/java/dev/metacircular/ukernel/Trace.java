package dev.metacircular.ukernel;

import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.TraceEntry;
import dev.metacircular.vm.VirtualMachine;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a VM's channel has of its spans and events. The parent of every span is here: one whose own begin was lost stands for what is known of
 * it, and says that it is {@linkplain Span#beginLost() lost}.
 */
final class Trace {
    /** One span. Its times are since kernel entry. */
    static final class Span {
        private final long number;
        private Optional<Begin> begin = Optional.empty();
        private Optional<Duration> end = Optional.empty();
        private Optional<Span> parent = Optional.empty();
        private Duration firstKnown;
        private Duration lastKnown;
        private final List<TraceEntry.Event> events = new ArrayList<>();
        private final List<Span> children = new ArrayList<>();

        private record Begin(TraceEntry.Place place, String name) {}

        private Span(long number, Duration known) {
            this.number = number;
            this.firstKnown = known;
            this.lastKnown = known;
        }

        private void seen(Duration at) {
            firstKnown = at.compareTo(firstKnown) < 0 ? at : firstKnown;
            lastKnown = at.compareTo(lastKnown) > 0 ? at : lastKnown;
        }

        long number() {
            return number;
        }

        /** Whether the record of its begin was lost: then its name, its task and its parent are not known. */
        boolean beginLost() {
            return begin.isEmpty();
        }

        String name() {
            return begin.map(Begin::name).orElse("(lost)");
        }

        /** Of the task that began it. */
        Optional<TraceEntry.Place> place() {
            return begin.map(Begin::place);
        }

        /** Its begin; of one whose begin was lost the first that is known of it. */
        Duration start() {
            return begin.map(b -> b.place().sinceEntry()).orElse(firstKnown);
        }

        /** Empty when it did not end, or its end was lost. */
        Optional<Duration> end() {
            return end;
        }

        /** Its end, or the last that is known of it and of the spans in it. */
        Duration lastKnown() {
            return end.orElse(lastKnown);
        }

        Optional<Span> parent() {
            return parent;
        }

        List<Span> children() {
            return children;
        }

        /** It and all spans in it, each behind its parent and before its next sibling. They may lie deeper than a stack of calls can. */
        List<Span> within() {
            List<Span> all = new ArrayList<>();
            Deque<Span> next = new ArrayDeque<>(List.of(this));
            while (!next.isEmpty()) {
                Span span = next.pop();
                all.add(span);
                span.children.reversed().forEach(next::push);
            }
            return all;
        }

        List<TraceEntry.Event> events() {
            return events;
        }
    }

    private final Map<Long, Span> spans = new LinkedHashMap<>();
    private final List<TraceEntry.Event> outside = new ArrayList<>();
    private final Set<Long> tasks = new LinkedHashSet<>();
    private ChannelMessage.Lost lost = ChannelMessage.Lost.NONE;
    private long recordsLost;
    private long damaged;

    /**
     * All that is there now.
     *
     * @throws InterruptedException when this thread is
     */
    static Trace of(VirtualMachine vm) throws InterruptedException {
        Trace trace = new Trace();
        Optional<ChannelReader> channel = vm.channel();
        if (channel.isEmpty()) {
            return trace;
        }
        try (ChannelReader reader = channel.get()) {
            for (Optional<ChannelEvent> event = reader.next(Duration.ZERO);
                    event.isPresent() && !(event.get() instanceof ChannelEvent.End);
                    event = reader.next(Duration.ZERO)) {
                trace.add(event.get());
            }
        }
        trace.order();
        return trace;
    }

    /** What these events of a channel hold. */
    static Trace of(Collection<ChannelEvent> events) {
        Trace trace = new Trace();
        events.forEach(trace::add);
        trace.order();
        return trace;
    }

    private void add(ChannelEvent event) {
        switch (event) {
            case ChannelEvent.Message(ChannelMessage.Trace message) -> {
                message.entries().forEach(this::add);
                damaged += message.whole() ? 0 : 1;
            }
            case ChannelEvent.Message(ChannelMessage.Loss loss) -> lost = lost.plus(loss.lost());
            case ChannelEvent.Message _ -> {}
            case ChannelEvent.Lost gone -> recordsLost += gone.records();
            case ChannelEvent.End() -> {}
        }
    }

    private void add(TraceEntry entry) {
        Duration at = entry.place().sinceEntry();
        tasks.add(entry.place().task());
        switch (entry) {
            case TraceEntry.SpanBegin begin -> {
                Span span = span(begin.span(), at);
                span.begin = Optional.of(new Span.Begin(begin.place(), begin.name()));
                // A span can be its own ancestor only in a damaged channel.
                if (begin.parent() != 0 && span.parent.isEmpty()) {
                    Span parent = span(begin.parent(), at);
                    if (!isWithin(parent, span)) {
                        span.parent = Optional.of(parent);
                        parent.children.add(span);
                    }
                }
            }
            case TraceEntry.SpanEnd end -> span(end.span(), at).end = Optional.of(at);
            case TraceEntry.Event event when event.span() == 0 -> outside.add(event);
            case TraceEntry.Event event -> span(event.span(), at).events.add(event);
        }
    }

    private static boolean isWithin(Span span, Span other) {
        if (span != other && other.children.isEmpty()) {
            return false;
        }
        for (Optional<Span> at = Optional.of(span); at.isPresent(); at = at.get().parent) {
            if (at.get() == other) {
                return true;
            }
        }
        return false;
    }

    private Span span(long number, Duration at) {
        Span span = spans.computeIfAbsent(number, n -> new Span(n, at));
        span.seen(at);
        return span;
    }

    private void order() {
        Comparator<Span> byStart = Comparator.comparing(Span::start).thenComparingLong(Span::number);
        spans.values().forEach(span -> span.children.sort(byStart));
        roots().forEach(root -> root.within()
                .reversed()
                .forEach(span -> span.parent.ifPresent(parent -> parent.seen(span.lastKnown()))));
    }

    /** In the order of their begins, lost ones at the first that is known of them. */
    List<Span> roots() {
        return spans.values().stream()
                .filter(span -> span.parent.isEmpty())
                .sorted(Comparator.comparing(Span::start).thenComparingLong(Span::number))
                .toList();
    }

    Collection<Span> spans() {
        return spans.values();
    }

    /** Events outside of every span. */
    List<TraceEntry.Event> outside() {
        return outside;
    }

    int taskCount() {
        return tasks.size();
    }

    long eventCount() {
        return outside.size()
                + spans.values().stream().mapToLong(span -> span.events.size()).sum();
    }

    /** What the guest could not write, as far as the channel still has its word for it. */
    ChannelMessage.Lost lost() {
        return lost;
    }

    /** Records of every kind that newer ones have taken the place of, or that are damaged. */
    long recordsLost() {
        return recordsLost + damaged;
    }

    /** What an event is called: the value of its field «name». */
    static String name(TraceEntry.Event event) {
        return event.fields().stream()
                .filter(field -> field.key().equals("name") && !field.value().isEmpty())
                .map(TraceEntry.Field::value)
                .findFirst()
                .orElse("event");
    }
}
