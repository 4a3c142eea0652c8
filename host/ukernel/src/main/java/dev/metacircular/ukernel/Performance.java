package dev.metacircular.ukernel;

import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.ChannelReader;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmException;
import dev.metacircular.vm.VmState;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Where a VM's time and memory go: what its kernel says of itself at its end, and when it is asked. */
final class Performance {
    /** Asks the kernel for a report (docs/image-format.md, «Serial line»). */
    private static final byte[] REQUEST = "\u001b_ukernel:report\u001b\\".getBytes(StandardCharsets.US_ASCII);

    private static final Duration ANSWER_TIME = Duration.ofSeconds(5);
    private static final Duration POLL = Duration.ofMillis(100);

    /** A part of the start, and how long it took. */
    record Phase(String name, Duration time) {}

    private final Map<String, Duration> bootPhases = new LinkedHashMap<>();
    private final Map<String, ChannelMessage.Latency> latencies = new TreeMap<>();
    private Optional<ChannelMessage.Statistics> statistics = Optional.empty();
    private boolean answered = true;
    private Optional<Duration> vmm = Optional.empty();

    private Performance() {}

    /** Of an ended VM what it left; a running one is asked, and given five seconds to answer. */
    static Performance of(VirtualMachine vm) throws InterruptedException {
        Performance performance = new Performance();
        performance.vmm =
                vm.upAt().map(up -> Duration.between(vm.info().startedAt(), up)).filter(time -> !time.isNegative());
        boolean running = vm.state() instanceof VmState.Running;
        Optional<ChannelReader> channel = vm.channel();
        if (channel.isEmpty()) {
            return performance;
        }
        try (ChannelReader reader = channel.get()) {
            performance.readAll(reader);
            if (running) {
                performance.ask(vm, reader);
            }
        }
        return performance;
    }

    private void readAll(ChannelReader reader) throws InterruptedException {
        for (Optional<ChannelEvent> event = reader.next(Duration.ZERO);
                event.isPresent() && !(event.get() instanceof ChannelEvent.End);
                event = reader.next(Duration.ZERO)) {
            add(event.get());
        }
    }

    private void ask(VirtualMachine vm, ChannelReader reader) throws InterruptedException {
        long before = statistics.map(s -> s.origin().number()).orElse(0L);
        try {
            vm.type(ByteBuffer.wrap(REQUEST));
        } catch (VmException e) {
            // It ended meanwhile, and then its last report is in the channel.
            readAll(reader);
            answered = statistics.isPresent();
            return;
        }
        long deadline = System.nanoTime() + ANSWER_TIME.toNanos();
        answered = false;
        while (System.nanoTime() < deadline) {
            Optional<ChannelEvent> event = reader.next(POLL);
            event.ifPresent(this::add);
            if (event.filter(ChannelEvent.End.class::isInstance).isPresent()) {
                answered = true;
                return;
            }
            if (answered && event.isEmpty()) {
                return;
            }
            answered |= statistics.filter(s -> s.origin().number() > before).isPresent();
        }
    }

    private void add(ChannelEvent event) {
        switch (event) {
            case ChannelEvent.Message(ChannelMessage.BootPhase phase) -> bootPhases.put(phase.name(), phase.at());
            case ChannelEvent.Message(ChannelMessage.Statistics told) -> statistics = Optional.of(told);
            case ChannelEvent.Message(ChannelMessage.Latency latency) -> latencies.put(latency.name(), latency);
            case ChannelEvent.Message _ -> {}
            case ChannelEvent.Lost _ -> {}
            case ChannelEvent.End() -> {}
        }
    }

    /** False when a running VM's kernel did not answer: then everything here is of an earlier time, or missing. */
    boolean answered() {
        return answered;
    }

    /** From the request for the VM to the workload's first instruction, as far as it is known. */
    List<Phase> coldStart() {
        List<Phase> phases = new ArrayList<>();
        vmm.ifPresent(time -> phases.add(new Phase("VMM", time)));
        statistics.ifPresent(told -> phases.add(new Phase("firmware", told.counterAtEntry())));
        Duration last = Duration.ZERO;
        for (Map.Entry<String, Duration> phase : bootPhases.entrySet()) {
            phases.add(new Phase(phase.getKey(), phase.getValue().minus(last)));
            last = phase.getValue();
        }
        return phases;
    }

    /** By what was asked of which device. */
    List<ChannelMessage.Latency> latencies() {
        return List.copyOf(latencies.values());
    }

    /** A number of the kernel's; they stand in the order of {@code abi_stats}' fields. */
    enum Figure {
        PAGES_TOTAL,
        PAGES_FREE,
        PAGES_KERNEL,
        HANDLES_USED,
        HANDLES_MAX,
        TASKS_USED,
        TASKS_MAX,
        REGIONS_USED,
        REGIONS_MAX,
        CHANNEL_RECORDS,
        CHANNEL_LOST,
        CHANNEL_LOST_LOGS,
        CHANNEL_LOST_SPANS,
        CHANNEL_LOST_EVENTS,
        PAGES_FREE_MIN
    }

    /** What the kernel said it holds; those that it did not tell are missing. */
    Map<Figure, Long> figures() {
        Map<Figure, Long> figures = new LinkedHashMap<>();
        List<Long> values = statistics.map(ChannelMessage.Statistics::values).orElse(List.of());
        List<Figure> order = List.of(Figure.values());
        for (int i = 0; i < Math.min(order.size(), values.size()); i++) {
            figures.put(order.get(i), values.get(i));
        }
        return figures;
    }

    /** When the kernel said so, since its entry. */
    Optional<Duration> toldAt() {
        return statistics.map(told -> told.origin().sinceEntry());
    }

    /**
     * The time that a part of the answers took at most, by the upper end of its bucket and the longest of all.
     *
     * @param part 0.5 for the median
     */
    static Duration quantile(ChannelMessage.Latency latency, double part) {
        long wanted = Math.max(1, (long) Math.ceil(latency.count() * part));
        long seen = 0;
        for (int bucket = 0; bucket < latency.buckets().size(); bucket++) {
            seen += latency.buckets().get(bucket);
            if (seen >= wanted) {
                Duration end = Duration.ofNanos(1L << (bucket + 1));
                return end.compareTo(latency.max()) < 0 ? end : latency.max();
            }
        }
        return latency.max();
    }

    static Duration mean(ChannelMessage.Latency latency) {
        return latency.count() <= 0 ? Duration.ZERO : latency.sum().dividedBy(latency.count());
    }
}
