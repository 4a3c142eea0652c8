package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.vm.Acceleration;
import dev.metacircular.vm.Accelerator;
import dev.metacircular.vm.ChannelEvent;
import dev.metacircular.vm.ChannelMessage;
import dev.metacircular.vm.TraceEntry;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmInfo;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What is made of a channel's trace entries. */
class TraceTest {
    private static final ChannelMessage.Origin ORIGIN = new ChannelMessage.Origin(1, Duration.ZERO, 0, true);
    private static final VmInfo VM = new VmInfo(
            new VmId("jobs-2"),
            "qemu",
            Path.of("/qemu"),
            new Acceleration(Accelerator.EMULATION, "told"),
            Path.of("/image"),
            1,
            64,
            64,
            4096,
            List.of(),
            "none",
            Instant.ofEpochSecond(1_000_000_000, 5),
            Path.of("/state"));

    private final List<TraceEntry> entries = new ArrayList<>();

    private static TraceEntry.Place at(long micros, long task) {
        return new TraceEntry.Place(Duration.ofNanos(micros * 1_000), 0, task);
    }

    private TraceTest begin(long micros, long task, long span, long parent, String name) {
        entries.add(new TraceEntry.SpanBegin(at(micros, task), span, parent, name));
        return this;
    }

    private TraceTest end(long micros, long span) {
        entries.add(new TraceEntry.SpanEnd(at(micros, 1), span));
        return this;
    }

    private TraceTest event(long micros, long span, String name) {
        entries.add(new TraceEntry.Event(
                at(micros, 1), span, List.of(new TraceEntry.Field("name", name), new TraceEntry.Field("k", "v"))));
        return this;
    }

    private TraceTest event(long micros, long span, TraceEntry.Field... fields) {
        entries.add(new TraceEntry.Event(at(micros, 1), span, List.of(fields)));
        return this;
    }

    private Trace trace() {
        return Trace.of(List.of(
                new ChannelEvent.Message(new ChannelMessage.Trace(ORIGIN, entries, true)),
                new ChannelEvent.Message(new ChannelMessage.Loss(ORIGIN, 5, new ChannelMessage.Lost(0, 3, 1, 1, 0)))));
    }

    private static List<String> names(List<Trace.Span> spans) {
        return spans.stream().map(Trace.Span::name).toList();
    }

    @Test
    void spansStandInTheirParentsAndTheParentOfEveryOneIsThere() {
        begin(0, 1, 1, 0, "job")
                .begin(10, 2, 2, 1, "work")
                .end(30, 2)
                .event(35, 1, "sent")
                .end(40, 1);
        // The parent 7 was lost, with its begin; its end was not.
        begin(50, 1, 8, 7, "orphan").end(60, 8).end(70, 7);
        event(80, 9, "late").begin(90, 1, 10, 0, "open");
        Trace trace = trace();
        assertThat(names(trace.roots())).containsExactly("job", "(lost)", "(lost)", "open");
        assertThat(trace.spans())
                .allSatisfy(span -> span.parent()
                        .ifPresent(parent -> assertThat(trace.spans()).contains(parent)));
        Trace.Span lost = trace.roots().get(1);
        assertThat(lost.beginLost()).isTrue();
        assertThat(lost.start()).isEqualTo(Duration.ofNanos(50_000));
        assertThat(lost.end()).contains(Duration.ofNanos(70_000));
        assertThat(names(lost.children())).containsExactly("orphan");
        assertThat(trace.roots().get(2).events()).hasSize(1);
        assertThat(trace.roots().get(3).end()).isEmpty();
        assertThat(trace.lost().spanBegins() + trace.lost().spanEnds()).isEqualTo(4);
        assertThat(trace.eventCount()).isEqualTo(2);
    }

    @Test
    void aRingOfParentsInADamagedChannelEndsNowhere() {
        begin(0, 1, 1, 2, "one").begin(1, 1, 2, 1, "two").begin(2, 1, 3, 3, "itself");
        Trace trace = trace();
        assertThat(trace.spans()).hasSize(3);
        assertThat(names(trace.roots())).containsExactlyInAnyOrder("two", "itself");
        trace.roots()
                .forEach(root -> assertThat(new Waterfall(80, 9).lines(root)).isNotEmpty());
    }

    @Test
    void theWaterfallFitsTheTerminalAndShowsWhereTimeWent() {
        begin(0, 1, 1, 0, "job")
                .begin(0, 1, 2, 1, "first")
                .end(50, 2)
                .begin(50, 2, 3, 1, "a name that is much too long for a terminal of this width");
        event(75, 3, "half").end(100, 3).end(100, 1);
        List<String> lines = new Waterfall(60, 9).lines(trace().roots().getFirst());
        assertThat(lines).hasSize(3).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(60));
        assertThat(lines.get(0)).startsWith("job").contains("100.0 µs").endsWith("████");
        assertThat(lines.get(1)).startsWith("  first").contains("50.0 µs");
        assertThat(lines.get(2)).startsWith("  a name").contains("…", "◆");
        int half = lines.get(0).indexOf('█')
                + (lines.get(0).length() - lines.get(0).indexOf('█')) / 2;
        assertThat(lines.get(1).length()).isBetween(half - 1, half + 2);
        assertThat(lines.get(2).indexOf('█')).isBetween(half - 2, half + 1);
        assertThat(new Waterfall(60, 0).lines(trace().roots().getFirst()))
                .singleElement()
                .asString()
                .startsWith("job (+2)");
    }

    @Test
    void aGuestsNameDoesNotSteerTheTerminal() {
        begin(0, 1, 1, 0, "\u001b[2J\nname").end(1, 1);
        assertThat(new Waterfall(80, 9).lines(trace().roots().getFirst()))
                .singleElement()
                .asString()
                .startsWith("\uFFFD[2J\uFFFDname");
    }

    @Test
    void chromesFormatHasNestedSpansOnTheirTasksAndOthersAsAsynchronous() {
        begin(0, 1, 1, 0, "outer")
                .begin(10, 1, 2, 1, "inner")
                .end(20, 2)
                .begin(30, 1, 3, 1, "overlaps")
                .end(40, 1)
                .end(50, 3);
        begin(35, 2, 4, 1, "elsewhere").end(38, 4).event(36, 4, "hit").begin(60, 2, 5, 0, "open");
        JsonNode chrome = new TraceExport(VM, trace()).chrome();
        Map<String, String> phases = new HashMap<>();
        Set<String> metadata = new HashSet<>();
        for (JsonNode event : chrome.path("traceEvents")) {
            String phase = event.path("ph").asText();
            if (phase.equals("M")) {
                metadata.add(event.path("args").path("name").asText());
            } else if (!phase.equals("e")) {
                phases.merge(event.path("name").asText(), phase, String::concat);
            }
        }
        assertThat(metadata).containsExactlyInAnyOrder("jobs-2", "task 1", "task 2");
        assertThat(phases)
                .containsEntry("outer", "X")
                .containsEntry("inner", "X")
                .containsEntry("overlaps", "b")
                .containsEntry("elsewhere", "X")
                .containsEntry("hit", "i")
                .containsEntry("parent", "sf")
                .containsEntry("open", "X");
        JsonNode inner = chrome.path("traceEvents").path(3);
        assertThat(inner.path("ts").asDouble()).isEqualTo(10);
        assertThat(inner.path("dur").asDouble()).isEqualTo(10);
        assertThat(chrome.path("otherData").path("lost_spans").asInt()).isEqualTo(4);
    }

    @Test
    void otlpHasEveryParentAndTimesOfTheHostsClock() {
        begin(0, 1, 1, 0, "job")
                .begin(10, 2, 2, 1, "work")
                .end(20, 2)
                .event(30, 1, "sent")
                .end(40, 1);
        begin(50, 1, 8, 7, "orphan").end(60, 8);
        JsonNode resource =
                new TraceExport(VM, trace()).otlp().path("resourceSpans").path(0);
        assertThat(resource.path("resource")
                        .path("attributes")
                        .path(0)
                        .path("value")
                        .path("stringValue")
                        .asText())
                .isEqualTo("jobs");
        List<JsonNode> spans = new ArrayList<>();
        resource.path("scopeSpans").path(0).path("spans").forEach(spans::add);
        Map<String, String> traceOf = new HashMap<>();
        for (JsonNode span : spans) {
            assertThat(span.path("traceId").asText()).matches("[0-9a-f]{32}");
            assertThat(span.path("spanId").asText()).matches("[0-9a-f]{16}");
            traceOf.put(span.path("spanId").asText(), span.path("traceId").asText());
        }
        assertThat(spans)
                .hasSize(4)
                .extracting(span -> span.path("name").asText())
                .containsExactly("job", "work", "(lost)", "orphan");
        assertThat(spans)
                .filteredOn(span -> span.has("parentSpanId"))
                .hasSize(2)
                .allSatisfy(span -> assertThat(traceOf)
                        .containsEntry(
                                span.path("parentSpanId").asText(),
                                span.path("traceId").asText()));
        assertThat(new HashSet<>(traceOf.values())).hasSize(2);
        JsonNode work = spans.get(1);
        assertThat(work.path("startTimeUnixNano").asText()).isEqualTo("1000000000000010005");
        assertThat(work.path("endTimeUnixNano").asText()).isEqualTo("1000000000000020005");
        JsonNode event = spans.getFirst().path("events").path(0);
        assertThat(event.path("name").asText()).isEqualTo("sent");
        assertThat(event.path("attributes").path(0).path("key").asText()).isEqualTo("k");
        assertThat(spans.get(2).path("attributes").findValuesAsText("key")).contains("ukernel.begin_lost");
    }

    /** A workload chooses names and keys as it likes. */
    private TraceTest odd() {
        begin(0, 1, 1, 0, "job").begin(10, 2, 2, 1, "\u0000 \"\\");
        event(
                15,
                2,
                new TraceEntry.Field("k", "old"),
                new TraceEntry.Field("name", "first"),
                new TraceEntry.Field("name", "second"),
                new TraceEntry.Field("span", "mine"),
                new TraceEntry.Field("k", "new"));
        event(16, 2, new TraceEntry.Field("name", "")).event(17, 2);
        begin(20, 1, 3, 1, "overlaps").end(30, 1).end(40, 3);
        return begin(50, 1, 8, 7, "orphan").end(60, 8).event(70, 0, "outside").begin(80, 3, 9, 0, "open");
    }

    @Test
    void anOtlpReaderOfOthersTakesTheExport() throws IOException {
        List<Span> spans =
                OtlpReader.spans(new TraceExport(VM, odd().trace()).otlp().toString());
        assertThat(spans)
                .extracting(Span::getName)
                .containsExactly("job", "\u0000 \"\\", "overlaps", "(lost)", "orphan", "open");
        assertThat(spans.get(1).getStartTimeUnixNano()).isEqualTo(1_000_000_000_000_010_005L);
        assertThat(spans.get(1).getEventsList())
                .extracting(Span.Event::getName)
                .containsExactly("first", "event", "event");
        assertThat(spans.get(1).getEvents(0).getAttributesList())
                .extracting(KeyValue::getKey, attribute -> attribute.getValue().getStringValue())
                .containsExactly(tuple("k", "new"), tuple("span", "mine"));
    }

    @Test
    void chromesFormatHasWhatItDemandsOfEachEvent() {
        JsonNode chrome = new TraceExport(VM, odd().trace()).chrome();
        assertThat(ChromeReader.spans(chrome)).hasSize(6).contains("job", "overlaps", "(lost)", "open");
        JsonNode first = chrome.path("traceEvents").findParents("s").getFirst();
        assertThat(first.path("name").asText()).isEqualTo("first");
        assertThat(first.path("args").path("span").asText()).isEqualTo("mine");
        assertThat(first.path("args").path("k").asText()).isEqualTo("new");
    }

    @Test
    void spansOfAnyDepthAreShownAndExported() throws IOException {
        int depth = 10_000;
        for (int i = 1; i <= depth; i++) {
            begin(i, 1, i, i - 1, "level");
        }
        Trace trace = trace();
        assertThat(new Waterfall(80, 64).lines(trace.roots().getFirst())).hasSize(65);
        assertThat(OtlpReader.spans(new TraceExport(VM, trace).otlp().toString()))
                .hasSize(depth)
                .allSatisfy(span -> assertThat(span.getEndTimeUnixNano()).isEqualTo(1_000_000_000_010_000_005L));
        assertThat(ChromeReader.spans(new TraceExport(VM, trace).chrome())).hasSize(depth);
        JsonNode deepest = new ObjectMapper()
                .readTree(TraceCommand.json(VM, trace).toString())
                .path("roots");
        while (deepest.size() == 1) {
            deepest = deepest.path(0).path("children");
        }
        assertThat(deepest)
                .hasSize(depth - 64)
                .allSatisfy(span -> assertThat(span.path("parent").asLong())
                        .isEqualTo(span.path("span").asLong() - 1));
    }
}
