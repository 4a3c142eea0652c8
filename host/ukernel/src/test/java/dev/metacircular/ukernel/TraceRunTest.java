package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a real workload logs and traces, as the commands show it. */
@Timeout(180)
class TraceRunTest {
    private static final String TRACES = """
            #include <stdio.h>
            #include <uk.h>

            static uk_handle_t job;

            static void work(void *argument)
            {
                uk_handle_t span = uk_span_begin(argument, job);
                uk_span_number(span, "worked", "bytes", 17);
                uk_span_end(span);
            }

            int main(void)
            {
                struct uk_thread threads[4];
                const char *names[] = {"north", "east", "south", "west"};
                uk_log(UK_LOG_DEBUG, "fine print");
                job = uk_span_begin("job", 0);
                for (int i = 0; i < 4; i++) uk_thread_start(&threads[i], work, (void *)names[i], 0);
                for (int i = 0; i < 4; i++) uk_thread_join(&threads[i]);
                uk_span_end(job);
                uk_log(UK_LOG_WARN, "all done");
                uk_span_begin("never ended", 0);
                puts("on the console");
                return 0;
            }
            """;

    @TempDir
    Path folder;

    @Test
    void logsAndTracesOfARunAreShownFilteredAndExported() throws IOException {
        Workbench.requireQemu();
        Workbench bench = new Workbench(folder);
        assertThat(bench.run(folder, "init", "--name", "jobs", "--lang", "c").status())
                .isZero();
        Path jobs = folder.resolve("jobs");
        Files.writeString(jobs.resolve("src/main.c"), TRACES);
        Path project = jobs.resolve("ukernel.toml");
        Files.writeString(
                project,
                Files.readString(project)
                        .replaceFirst("(?m)^kernel .*$", "kernel = \"full\"")
                        .replaceFirst("(?m)^kinds .*$", "kinds = [\"log\", \"task\", \"mem\", \"io\", \"trace\"]"));
        Workbench.Result run = bench.run(jobs, "run", "--vcpu", "2");
        assertThat(run.status()).as(run.err()).isZero();
        assertThat(run.err()).contains("task 1: fine print", "warn  task 1: all done");

        assertThat(bench.run(jobs, "logs").out())
                .startsWith("on the console\n[")
                .contains("fine print", "all done");
        assertThat(bench.run(jobs, "logs", "--follow").out()).contains("on the console", "fine print", "all done");
        assertThat(bench.run(jobs, "logs", "--console").out()).isEqualTo("on the console\n");
        assertThat(bench.run(jobs, "logs", "--records", "--level", "warn").out().lines())
                .singleElement()
                .asString()
                .endsWith("warn  task 1: all done");
        Workbench.Result wrong = bench.run(jobs, "logs", "--level", "loud");
        assertThat(wrong.status()).isEqualTo(2);
        assertThat(wrong.err()).contains("debug, info, warn or error");
        ObjectMapper mapper = new ObjectMapper();
        JsonNode log = mapper.readTree(bench.run(jobs, "logs", "--records", "--level", "warn", "--json")
                .out()
                .lines()
                .filter(line -> line.contains("\"log\""))
                .findFirst()
                .orElseThrow());
        assertThat(log.path("level").asText()).isEqualTo("warn");

        Workbench.Result shown = bench.run(jobs, "trace", "--width", "70");
        assertThat(shown.status()).isZero();
        assertThat(shown.err()).isEmpty();
        List<String> lines = shown.out().lines().toList();
        assertThat(lines.getFirst()).isEqualTo("jobs-1: 6 spans in 2 traces, 4 events, 5 tasks");
        assertThat(lines).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(70));
        assertThat(shown.out())
                .containsPattern("\njob +[0-9.]+ .?s  █")
                .containsPattern("\n  (north|east|south|west) ")
                .containsPattern("\nnever ended +no end");

        JsonNode json = mapper.readTree(bench.run(jobs, "trace", "--json").out());
        assertThat(json.path("lost_spans").asInt(-1)).isZero();
        assertThat(json.path("roots").path(0).path("children").findValuesAsText("name"))
                .contains("north", "east", "south", "west");
        assertThat(bench.run(jobs, "trace", "--export", "chrome", "trace.json").status())
                .isZero();
        JsonNode chrome = mapper.readTree(jobs.resolve("trace.json").toFile());
        assertThat(chrome.path("traceEvents").findValuesAsText("name")).contains("worked");
        assertThat(ChromeReader.spans(chrome))
                .containsExactlyInAnyOrder("job", "north", "east", "south", "west", "never ended");
        assertThat(bench.run(jobs, "trace", "--export", "otlp", "otlp.json").out())
                .contains("→ otlp.json");
        List<Span> spans = OtlpReader.spans(Files.readString(jobs.resolve("otlp.json")));
        assertThat(spans)
                .extracting(Span::getName)
                .containsExactlyInAnyOrder("job", "north", "east", "south", "west", "never ended");
        assertThat(spans)
                .filteredOn(span -> !span.getParentSpanId().isEmpty())
                .hasSize(4)
                .allSatisfy(span -> assertThat(span.getEventsList())
                        .extracting(Span.Event::getName)
                        .containsExactly("worked"));
        assertThat(bench.run(jobs, "trace", "--export", "svg", "x").err()).contains("expected chrome or otlp");
    }

    @Test
    void perfTellsOfARunningVmAndOfOneThatEnded() throws Exception {
        Workbench.requireQemu();
        Workbench bench = new Workbench(folder);
        assertThat(bench.run(folder, "init", "--name", "idle", "--lang", "c").status())
                .isZero();
        Path idle = folder.resolve("idle");
        Files.writeString(
                idle.resolve("src/main.c"),
                "#include <uk.h>\nint main(void) { for (;;) task_sleep(time_now() + 1000000000); }\n");
        assertThat(bench.run(idle, "run", "--detach").status()).isZero();
        try {
            JsonNode running = awaitAnswer(bench, idle);
            assertThat(running.path("cold_start").findValuesAsText("phase"))
                    .containsExactly("VMM", "firmware", "kernel", "devices", "program", "workload");
            assertThat(running.path("cold_start"))
                    .allSatisfy(
                            phase -> assertThat(phase.path("time_ns").asLong()).isBetween(1L, 60_000_000_000L));
            assertThat(running.path("resident_bytes").asLong()).isGreaterThan(1 << 20);
            long tasks = running.path("figures").path("tasks_used").asLong();
            assertThat(tasks).isEqualTo(1);
            List<JsonNode> latencies = new ArrayList<>();
            running.path("latencies").forEach(latencies::add);
            JsonNode read = latencies.stream()
                    .filter(latency -> latency.path("name").asText().equals("image read"))
                    .findFirst()
                    .orElseThrow();
            long counted = 0;
            for (JsonNode bucket : read.path("buckets_log2_ns")) {
                counted += bucket.asLong();
            }
            assertThat(counted).isEqualTo(read.path("count").asLong()).isPositive();
        } finally {
            bench.run(idle, "stop");
        }
        Workbench.Result ended = bench.run(idle, "perf", "--width", "80");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.out())
                .startsWith("idle-1, qemu on ")
                .contains("\ncold start\n  VMM, until the guest runs", "image read: ", "half within", "\nmemory of ");
        assertThat(ended.out().lines()).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
    }

    /** A kernel that still starts may answer late. */
    private static JsonNode awaitAnswer(Workbench bench, Path project) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (true) {
            JsonNode told = new ObjectMapper()
                    .readTree(bench.run(project, "perf", "--json").out());
            if (told.path("answered").asBoolean() || System.nanoTime() > deadline) {
                return told;
            }
        }
    }
}
