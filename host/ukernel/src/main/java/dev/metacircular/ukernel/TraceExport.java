package dev.metacircular.ukernel;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.metacircular.vm.TraceEntry;
import dev.metacircular.vm.VmInfo;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A trace in the formats of other programs. */
final class TraceExport {
    private static final int SPAN_KIND_INTERNAL = 1;
    private static final double NANOS_PER_MICRO = 1e3;

    private final VmInfo vm;
    private final Trace trace;

    TraceExport(VmInfo vm, Trace trace) {
        this.vm = vm;
        this.trace = trace;
    }

    /**
     * Chrome's trace events (the «Trace Event Format» in JSON, which Perfetto and Chrome's own viewer open): a thread for each task. Spans that
     * do not nest on their task are asynchronous events; an arrow leads to a span from a parent on another task.
     */
    ObjectNode chrome() {
        ArrayNode events = Report.array();
        events.add(metadata("process_name", 0, vm.id().value()));
        Map<Long, Deque<Duration>> open = new HashMap<>();
        List<Trace.Span> spans = trace.spans().stream()
                .sorted(Comparator.comparing(Trace.Span::start)
                        .thenComparing(Trace.Span::lastKnown, Comparator.reverseOrder())
                        .thenComparingLong(Trace.Span::number))
                .toList();
        for (Trace.Span span : spans) {
            long task = task(span);
            if (!open.containsKey(task)) {
                events.add(metadata("thread_name", task, task == 0 ? "lost" : "task " + task));
            }
            boolean nests = nests(open.computeIfAbsent(task, _ -> new ArrayDeque<>()), span);
            addSpan(events, span, nests);
            span.parent().filter(parent -> task(parent) != task).ifPresent(parent -> {
                events.add(event("s", "parent", span.start(), task(parent)).put("id", span.number()));
                events.add(event("f", "parent", span.start(), task)
                        .put("id", span.number())
                        .put("bp", "e"));
            });
            span.events().forEach(event -> events.add(instant(event)));
        }
        trace.outside().forEach(event -> events.add(instant(event)));
        ObjectNode root = Report.object();
        root.set("traceEvents", events);
        root.put("displayTimeUnit", "ns");
        root.set("otherData", lost());
        return root;
    }

    private ObjectNode lost() {
        return Report.object()
                .put("lost_spans", trace.lost().spanBegins() + trace.lost().spanEnds())
                .put("lost_events", trace.lost().events())
                .put("lost_records", trace.recordsLost());
    }

    private static long task(Trace.Span span) {
        return span.place().map(TraceEntry.Place::task).orElse(0L);
    }

    /** Whether it lies within all spans of its task that are open when it begins. */
    private static boolean nests(Deque<Duration> open, Trace.Span span) {
        while (!open.isEmpty() && open.peek().compareTo(span.start()) <= 0) {
            open.pop();
        }
        if (!open.isEmpty() && open.peek().compareTo(span.lastKnown()) < 0) {
            return false;
        }
        open.push(span.lastKnown());
        return true;
    }

    private static void addSpan(ArrayNode events, Trace.Span span, boolean nests) {
        ObjectNode arguments = Report.object().put("span", span.number());
        span.parent().ifPresent(parent -> arguments.put("parent", parent.number()));
        span.place().ifPresent(place -> arguments.put("cpu", place.cpu()));
        if (span.beginLost()) {
            arguments.put("begin_lost", true);
        }
        if (span.end().isEmpty()) {
            arguments.put("unfinished", true);
        }
        ObjectNode begin = event(nests ? "X" : "b", span.name(), span.start(), task(span));
        begin.set("args", arguments);
        if (nests) {
            events.add(begin.put("dur", micros(span.lastKnown().minus(span.start()))));
            return;
        }
        events.add(begin.put("id", span.number()));
        events.add(event("e", span.name(), span.lastKnown(), task(span)).put("id", span.number()));
    }

    private static ObjectNode instant(TraceEntry.Event event) {
        ObjectNode node = event(
                        "i",
                        Trace.name(event),
                        event.place().sinceEntry(),
                        event.place().task())
                .put("s", "t");
        ObjectNode arguments = Report.object();
        if (event.span() != 0) {
            arguments.put("span", event.span());
        }
        event.fields().forEach(field -> arguments.put(field.key(), field.value()));
        node.set("args", arguments);
        return node;
    }

    private static ObjectNode event(String phase, String name, Duration at, long task) {
        return Report.object()
                .put("ph", phase)
                .put("cat", "ukernel")
                .put("name", name)
                .put("ts", micros(at))
                .put("pid", 1)
                .put("tid", task);
    }

    private static ObjectNode metadata(String what, long task, String name) {
        ObjectNode node =
                Report.object().put("ph", "M").put("name", what).put("pid", 1).put("tid", task);
        node.set("args", Report.object().put("name", name));
        return node;
    }

    private static double micros(Duration time) {
        return time.toNanos() / NANOS_PER_MICRO;
    }

    /**
     * OTLP in JSON, as a collector takes it at {@code /v1/traces} (OpenTelemetry Protocol 1.x, «JSON Protobuf Encoding»: identifiers in
     * hexadecimal, 64-bit numbers as text). Each root is a trace of its own. Times are the guest's on the host's clock at the VM's start.
     * A span that never ended ends with the last that is known of it, and says so by an attribute. Events outside of every span have no place
     * in it: they are counted.
     */
    ObjectNode otlp() {
        ArrayNode spans = Report.array();
        for (Trace.Span root : trace.roots()) {
            String traceId = traceId(root);
            root.within().forEach(span -> spans.add(otlp(span, traceId)));
        }
        ObjectNode scope = Report.object();
        scope.set("scope", Report.object().put("name", "ukernel").put("version", Main.Version.TEXT));
        scope.set("spans", spans);
        ObjectNode resource = Report.object();
        ArrayNode attributes = Report.array();
        attributes.add(attribute("service.name", serviceName()));
        attributes.add(attribute("service.instance.id", vm.id().value()));
        attributes.add(attribute(
                "ukernel.lost_spans", trace.lost().spanBegins() + trace.lost().spanEnds()));
        attributes.add(attribute("ukernel.lost_events", trace.lost().events()));
        attributes.add(attribute("ukernel.events_outside", trace.outside().size()));
        attributes.add(attribute("ukernel.lost_records", trace.recordsLost()));
        ObjectNode description = Report.object();
        description.set("attributes", attributes);
        resource.set("resource", description);
        resource.set("scopeSpans", Report.array().add(scope));
        ObjectNode root = Report.object();
        root.set("resourceSpans", Report.array().add(resource));
        return root;
    }

    /** The VM's name without its number. */
    private String serviceName() {
        return vm.id().value().replaceFirst("-[0-9]+$", "");
    }

    private ObjectNode otlp(Trace.Span span, String traceId) {
        ObjectNode node = Report.object().put("traceId", traceId).put("spanId", spanId(span));
        span.parent().ifPresent(parent -> node.put("parentSpanId", spanId(parent)));
        node.put("name", span.name())
                .put("kind", SPAN_KIND_INTERNAL)
                .put("startTimeUnixNano", unixNanos(span.start()))
                .put("endTimeUnixNano", unixNanos(span.lastKnown()));
        ArrayNode attributes = Report.array();
        attributes.add(attribute("ukernel.span", span.number()));
        span.place().ifPresent(place -> {
            attributes.add(attribute("thread.id", place.task()));
            attributes.add(attribute("ukernel.cpu", place.cpu()));
        });
        if (span.beginLost()) {
            attributes.add(attribute("ukernel.begin_lost", true));
        }
        if (span.end().isEmpty()) {
            attributes.add(attribute("ukernel.unfinished", true));
        }
        node.set("attributes", attributes);
        if (!span.events().isEmpty()) {
            ArrayNode events = Report.array();
            span.events().forEach(event -> events.add(otlp(event)));
            node.set("events", events);
        }
        return node;
    }

    private ObjectNode otlp(TraceEntry.Event event) {
        ObjectNode node = Report.object()
                .put("timeUnixNano", unixNanos(event.place().sinceEntry()))
                .put("name", Trace.name(event));
        // A workload may give a key twice, OTLP may not.
        Map<String, String> fields = new LinkedHashMap<>();
        event.fields().forEach(field -> fields.put(field.key(), field.value()));
        fields.remove("name");
        ArrayNode attributes = Report.array();
        fields.forEach((key, value) -> attributes.add(attribute(key, value)));
        node.set("attributes", attributes);
        return node;
    }

    private static ObjectNode attribute(String key, String value) {
        return attribute(key, Report.object().put("stringValue", value));
    }

    private static ObjectNode attribute(String key, long value) {
        return attribute(key, Report.object().put("intValue", Long.toString(value)));
    }

    private static ObjectNode attribute(String key, boolean value) {
        return attribute(key, Report.object().put("boolValue", value));
    }

    private static ObjectNode attribute(String key, ObjectNode value) {
        ObjectNode node = Report.object().put("key", key);
        node.set("value", value);
        return node;
    }

    private String unixNanos(Duration sinceEntry) {
        Instant at = vm.startedAt().plus(sinceEntry);
        return Long.toString(Math.addExact(Math.multiplyExact(at.getEpochSecond(), 1_000_000_000L), at.getNano()));
    }

    private String traceId(Trace.Span root) {
        return identifier("trace " + root.number(), 16);
    }

    private String spanId(Trace.Span span) {
        return identifier("span " + span.number(), 8);
    }

    /** The same for each export of one VM, and another for every other VM. */
    private String identifier(String of, int bytes) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256")
                    .digest((vm.id() + " " + vm.startedAt() + " " + of).getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The export of this name. */
    static Optional<java.util.function.Function<TraceExport, ObjectNode>> format(String name) {
        return switch (name) {
            case "chrome" -> Optional.of(TraceExport::chrome);
            case "otlp" -> Optional.of(TraceExport::otlp);
            default -> Optional.empty();
        };
    }
}
