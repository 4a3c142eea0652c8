package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.model.Problem;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.TraceEntry;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows what a VM traced. */
@Command(
        name = "trace",
        description = {
            "Shows the spans and events that a VM traced, as a waterfall; of ended VMs too.",
            "█ a span, ▒ no end is known, ░ its begin was lost, ◆ an event"
        })
final class TraceCommand implements Callable<Integer> {
    private static final int ROOTS_SHOWN = 10;
    private static final int DEPTH_MAX = 64;

    private final Cli cli;

    @Mixin
    private JsonOption options = new JsonOption();

    @Mixin
    private NamedVm named = new NamedVm();

    @Option(
            names = "--export",
            arity = "2",
            paramLabel = "FORMAT FILE",
            hideParamSyntax = true,
            description =
                    "Writes all of it to a file: chrome (Perfetto, chrome://tracing) or otlp (OpenTelemetry, JSON).")
    private List<String> export = List.of();

    @Option(
            names = {"-n", "--last"},
            paramLabel = "N",
            defaultValue = "" + ROOTS_SHOWN,
            description = "Shows the last N spans that have no parent, with all in them (" + ROOTS_SHOWN + ").")
    private int last = ROOTS_SHOWN;

    @Option(names = "--depth", paramLabel = "N", description = "Shows no more than N levels below a root.")
    private @Nullable Integer depth;

    @Mixin
    private WidthOption width = new WidthOption();

    TraceCommand(Cli cli) {
        this.cli = cli;
    }

    @Override
    public Integer call() throws InterruptedException {
        Bounds.check("trace", "--last", last, 1, Integer.MAX_VALUE);
        int columns = width.columns(cli, "trace");
        int levels = depth == null ? DEPTH_MAX : Bounds.check("trace", "--depth", depth, 0, DEPTH_MAX);
        VirtualMachine vm = named.find(cli);
        Report report = cli.report(options.json);
        Trace trace = Trace.of(vm);
        if (!export.isEmpty()) {
            export(vm, trace, report);
            return 0;
        }
        report.line("%s: %s".formatted(vm.info().id(), summary(trace)));
        warn(trace, report);
        if (trace.spans().isEmpty() && trace.eventCount() == 0) {
            report.progress(
                    "nothing was traced: either nothing has happened yet that the workload traces, or it cannot: spans need a"
                            + " kernel that traces (kernel = \"net\" or \"full\" in [build]) and \"trace\" among the [capabilities]");
        }
        List<Trace.Span> roots = trace.roots();
        List<Trace.Span> shown = roots.subList(Math.max(0, roots.size() - last), roots.size());
        if (shown.size() < roots.size()) {
            report.line("(the last %d of %d; --last %d shows all)".formatted(shown.size(), roots.size(), roots.size()));
        }
        Waterfall waterfall = new Waterfall(columns, levels);
        for (Trace.Span root : shown) {
            report.line("");
            report.line("at %s%s"
                    .formatted(
                            Waterfall.brief(root.start()),
                            root.place().map(place -> ", task " + place.task()).orElse("")));
            waterfall.lines(root).forEach(report::line);
        }
        report.value(json(vm.info(), trace));
        return 0;
    }

    private static String summary(Trace trace) {
        return "%d spans in %d traces, %d events, %d tasks"
                .formatted(trace.spans().size(), trace.roots().size(), trace.eventCount(), trace.taskCount());
    }

    /** What is missing. */
    private static void warn(Trace trace, Report report) {
        ChannelMessage.Lost lost = trace.lost();
        long spans = lost.spanBegins() + lost.spanEnds();
        if (spans + lost.events() > 0) {
            report.progress(
                    "warning: the guest traced faster than the channel takes it: %d begins and ends of spans and %d events were lost"
                            .formatted(spans, lost.events()));
        }
        if (trace.recordsLost() > 0) {
            report.progress("warning: %d older records are no longer kept".formatted(trace.recordsLost()));
        }
        long without = trace.spans().stream().filter(Trace.Span::beginLost).count();
        if (without > 0) {
            report.progress(
                    "warning: of %d spans the begin was lost, and with it name and parent: they are marked (lost)"
                            .formatted(without));
        }
    }

    private void export(VirtualMachine vm, Trace trace, Report report) {
        Function<TraceExport, ObjectNode> format = TraceExport.format(export.getFirst())
                .orElseThrow(() -> Problem.of(
                                Problem.Kind.INVALID,
                                "--export is '" + export.getFirst() + "': expected chrome or otlp")
                        .next("ukernel trace --help")
                        .exception());
        Path file = cli.path(export.get(1));
        try {
            Files.writeString(file, format.apply(new TraceExport(vm.info(), trace)) + "\n");
        } catch (IOException e) {
            throw Problem.of(
                            Problem.Kind.FAILED,
                            "cannot write the trace: "
                                    + (e instanceof NoSuchFileException ? "there is no such folder" : e.getMessage()))
                    .at(file.toString())
                    .next("name a file in a folder that you can write to")
                    .exception();
        }
        warn(trace, report);
        report.line("%s: %s → %s".formatted(vm.info().id(), summary(trace), export.get(1)));
        report.value(counts(vm.info(), trace).put("file", file.toString()));
    }

    private static ObjectNode counts(VmInfo vm, Trace trace) {
        return Report.object()
                .put("name", vm.id().value())
                .put("spans", trace.spans().size())
                .put("events", trace.eventCount())
                .put("lost_spans", trace.lost().spanBegins() + trace.lost().spanEnds())
                .put("lost_events", trace.lost().events())
                .put("lost_records", trace.recordsLost());
    }

    static ObjectNode json(VmInfo vm, Trace trace) {
        ArrayNode roots = Report.array();
        trace.roots().forEach(root -> addJson(root, roots));
        ArrayNode outside = Report.array();
        trace.outside().forEach(event -> outside.add(json(event)));
        ObjectNode node = counts(vm, trace);
        node.set("roots", roots);
        node.set("outside", outside);
        return node;
    }

    /** A reader of JSON bounds the depth that it takes: a span that lies deeper stands beside its parent. */
    private static void addJson(Trace.Span root, ArrayNode roots) {
        record Place(int depth, ArrayNode children) {}
        Map<Trace.Span, Place> places = new HashMap<>();
        for (Trace.Span span : root.within()) {
            Place around = span.parent().map(places::get).orElse(new Place(0, roots));
            ObjectNode node = json(span);
            around.children().add(node);
            places.put(
                    span,
                    around.depth() == DEPTH_MAX ? around : new Place(around.depth() + 1, node.withArray("children")));
        }
    }

    private static ObjectNode json(Trace.Span span) {
        ObjectNode node = Report.object()
                .put("span", span.number())
                .put(
                        "parent",
                        span.parent().map(parent -> (Long) parent.number()).orElse(null))
                .put("name", span.name())
                .put("begin_lost", span.beginLost())
                .put("start_ns", span.start().toNanos())
                .put("end_ns", span.end().map(end -> (Long) end.toNanos()).orElse(null))
                .put("task", span.place().map(TraceEntry.Place::task).orElse(null))
                .put("cpu", span.place().map(TraceEntry.Place::cpu).orElse(null));
        ArrayNode events = Report.array();
        span.events().forEach(event -> events.add(json(event)));
        node.set("events", events);
        node.set("children", Report.array());
        return node;
    }

    private static ObjectNode json(TraceEntry.Event event) {
        ObjectNode fields = Report.object();
        event.fields().forEach(field -> fields.put(field.key(), field.value()));
        ObjectNode node = Report.object()
                .put("at_ns", event.place().sinceEntry().toNanos())
                .put("task", event.place().task())
                .put("cpu", event.place().cpu());
        node.set("fields", fields);
        return node;
    }
}
