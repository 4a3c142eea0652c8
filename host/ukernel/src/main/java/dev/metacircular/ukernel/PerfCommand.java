package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Shows where a VM's time and memory go. */
@Command(
        name = "perf",
        description = {
            "Shows a VM's cold start, how long its devices and peers took to answer, and its memory:",
            "of a running VM as they are now, of an ended one as they were at its end."
        })
final class PerfCommand implements Callable<Integer> {
    private static final long PAGE_BYTES = 4096;
    private static final int LABEL_COLUMNS = 26;
    private static final int NUMBER_COLUMNS = 30;

    /** What the phases of a start are, by their names in the channel. */
    private static final Map<String, String> MEANINGS = Map.of(
            "VMM", "VMM, until the guest runs",
            "firmware", "firmware and loading",
            "kernel", "kernel",
            "devices", "devices",
            "program", "image and program",
            "workload", "workload's memory");

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Mixin
    private NamedVm named = new NamedVm();

    @Mixin
    private WidthOption width = new WidthOption();

    PerfCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws InterruptedException {
        int columns = width.columns(cli, "perf");
        VirtualMachine vm = named.find(cli);
        Report report = cli.report(options.json);
        Performance performance = Performance.of(vm);
        if (!performance.answered()) {
            report.progress(
                    "warning: the guest's kernel did not answer within 5 s: what is shown is older, or missing");
        }
        int bar = Math.max(10, columns - LABEL_COLUMNS - NUMBER_COLUMNS);
        report.line("%s, %s on %s"
                .formatted(
                        vm.info().id(),
                        vm.info().driver(),
                        vm.info().acceleration().accelerator().label()));
        showStart(performance.coldStart(), report, bar);
        performance.latencies().forEach(latency -> showLatency(latency, report, bar));
        showMemory(vm, performance, report);
        report.value(json(vm, performance));
        return 0;
    }

    private static void showStart(List<Performance.Phase> phases, Report report, int bar) {
        report.line("");
        report.line("cold start");
        if (phases.isEmpty()) {
            report.line("  not known: the channel no longer has it");
            return;
        }
        Duration total = total(phases);
        Duration before = Duration.ZERO;
        for (Performance.Phase phase : phases) {
            int from = part(before, total, bar);
            before = before.plus(phase.time());
            String blocks = " ".repeat(from) + "█".repeat(Math.max(1, part(before, total, bar) - from));
            line(report, MEANINGS.getOrDefault(phase.name(), phase.name()), Waterfall.brief(phase.time()), blocks);
        }
        line(report, "to the first instruction", Waterfall.brief(total), "");
    }

    private static Duration total(List<Performance.Phase> phases) {
        return phases.stream().map(Performance.Phase::time).reduce(Duration.ZERO, Duration::plus);
    }

    private static int part(Duration time, Duration of, int columns) {
        return Math.clamp(time.toNanos() * columns / Math.max(1, of.toNanos()), 0, columns);
    }

    private static void line(Report report, String label, String number, String rest) {
        report.line(("  " + pad(label, LABEL_COLUMNS) + " ".repeat(Math.max(0, 10 - number.length())) + number + "  "
                        + rest)
                .stripTrailing());
    }

    private static String pad(String text, int columns) {
        return text + " ".repeat(Math.max(0, columns - text.length()));
    }

    private static void showLatency(ChannelMessage.Latency latency, Report report, int bar) {
        report.line("");
        report.line("%s: %d, mean %s, half within %s, 99%% within %s, longest %s"
                .formatted(
                        Waterfall.clean(latency.name()),
                        latency.count(),
                        Waterfall.brief(Performance.mean(latency)),
                        Waterfall.brief(Performance.quantile(latency, 0.5)),
                        Waterfall.brief(Performance.quantile(latency, 0.99)),
                        Waterfall.brief(latency.max())));
        List<Long> buckets = latency.buckets();
        long most = buckets.stream().mapToLong(Long::longValue).max().orElse(0);
        for (int i = 0; i < buckets.size(); i++) {
            long count = buckets.get(i);
            if (count > 0) {
                String range = Waterfall.brief(Duration.ofNanos(1L << i)) + " to "
                        + Waterfall.brief(Duration.ofNanos(1L << (i + 1)));
                line(report, range, Long.toString(count), "█".repeat((int) Math.max(1, count * bar / most)));
            }
        }
    }

    private static void showMemory(VirtualMachine vm, Performance performance, Report report) {
        Map<Performance.Figure, Long> figures = performance.figures();
        report.line("");
        if (figures.isEmpty()) {
            report.line("memory: the guest has not said; it does at its end");
            return;
        }
        report.line("memory of %d MiB, %s after the kernel's entry"
                .formatted(
                        vm.info().memoryMebibytes(),
                        performance.toldAt().map(Waterfall::brief).orElse("?")));
        line(report, "the kernel's", pages(figures, Performance.Figure.PAGES_KERNEL), "");
        line(report, "free", pages(figures, Performance.Figure.PAGES_FREE), "");
        line(report, "free at least, so far", pages(figures, Performance.Figure.PAGES_FREE_MIN), "");
        residentBytes(vm)
                .ifPresent(bytes -> line(report, "resident on the host", Report.size(bytes), "(with the VMM)"));
        count(report, figures, "handles", Performance.Figure.HANDLES_USED, Performance.Figure.HANDLES_MAX);
        count(report, figures, "tasks", Performance.Figure.TASKS_USED, Performance.Figure.TASKS_MAX);
        count(report, figures, "regions", Performance.Figure.REGIONS_USED, Performance.Figure.REGIONS_MAX);
        line(
                report,
                "records in the channel",
                Long.toString(figures.getOrDefault(Performance.Figure.CHANNEL_RECORDS, 0L)),
                "%d messages lost".formatted(figures.getOrDefault(Performance.Figure.CHANNEL_LOST, 0L)));
    }

    private static String pages(Map<Performance.Figure, Long> figures, Performance.Figure figure) {
        return Optional.ofNullable(figures.get(figure))
                .map(pages -> Report.size(pages * PAGE_BYTES))
                .orElse("?");
    }

    private static void count(
            Report report,
            Map<Performance.Figure, Long> figures,
            String label,
            Performance.Figure used,
            Performance.Figure max) {
        line(
                report,
                label,
                Long.toString(figures.getOrDefault(used, 0L)),
                "of %d".formatted(figures.getOrDefault(max, 0L)));
    }

    /** What the VMM's process holds of the host's memory, while it runs (proc(5)). */
    private static Optional<Long> residentBytes(VirtualMachine vm) {
        if (!(vm.state() instanceof VmState.Running(long pid))) {
            return Optional.empty();
        }
        try {
            return Files.readAllLines(Path.of("/proc", Long.toString(pid), "status")).stream()
                    .filter(line -> line.matches("VmRSS:\\s+[0-9]+ kB"))
                    .map(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
                    .findFirst();
        } catch (IOException e) {
            // It ended meanwhile.
            return Optional.empty();
        }
    }

    private static ObjectNode json(VirtualMachine vm, Performance performance) {
        ArrayNode start = Report.array();
        performance
                .coldStart()
                .forEach(phase -> start.add(Report.object()
                        .put("phase", phase.name())
                        .put("time_ns", phase.time().toNanos())));
        ArrayNode latencies = Report.array();
        performance.latencies().forEach(latency -> {
            ArrayNode buckets = Report.array();
            latency.buckets().forEach(buckets::add);
            ObjectNode node = Report.object()
                    .put("name", latency.name())
                    .put("count", latency.count())
                    .put("mean_ns", Performance.mean(latency).toNanos())
                    .put("max_ns", latency.max().toNanos());
            node.set("buckets_log2_ns", buckets);
            latencies.add(node);
        });
        ObjectNode figures = Report.object();
        performance
                .figures()
                .forEach((figure, value) -> figures.put(figure.name().toLowerCase(Locale.ROOT), value));
        ObjectNode node = Report.object().put("name", vm.info().id().value()).put("answered", performance.answered());
        node.set("cold_start", start);
        node.set("latencies", latencies);
        node.set("figures", figures);
        node.put("resident_bytes", residentBytes(vm).orElse(null));
        return node;
    }
}
