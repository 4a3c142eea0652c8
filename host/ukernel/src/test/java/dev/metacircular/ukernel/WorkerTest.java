package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The template {@code worker}, as {@code init} makes it, in a real VM. {@code -Dworker.seconds} loads it for longer. */
@Timeout(value = 2, unit = TimeUnit.HOURS)
class WorkerTest {
    private static final Duration LOAD = Duration.ofSeconds(Integer.getInteger("worker.seconds", 120));
    private static final Duration WARM_UP = Duration.ofSeconds(Math.clamp(LOAD.toSeconds() / 12, 5, 60));
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration ZIG_LOAD = Duration.ofSeconds(5);
    private static final int CONNECTIONS = 24;
    private static final int CONNECTIONS_MAX = 64;
    /** What the kernel's and the network's caches may hold more of after a longer time: none of it grows with the jobs. */
    private static final long PAGES_MORE_MAX = 64;

    @TempDir
    Path folder;

    private final ExecutorService tasks = Executors.newVirtualThreadPerTaskExecutor();
    private Workbench bench = new Workbench(Path.of("/"));
    private Path project = Path.of("/");

    @BeforeEach
    void start() {
        Workbench.requireQemu();
        bench = new Workbench(folder);
        project = folder.resolve("pipeline");
    }

    @AfterEach
    void end() {
        bench.run(folder, "stop", "pipeline-1", "--time", "1");
        tasks.close();
    }

    private JobClient boot(String language) throws Exception {
        assertThat(bench.run(folder, "init", "--name", "pipeline", "--lang", language, "--template", "worker")
                        .status())
                .isZero();
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        Workbench.Result run =
                bench.run(project, "run", "--release", "--detach", "--port", "127.0.0.1:" + port + ":8080");
        assertThat(run.status()).as(run.err()).isZero();
        JobClient client = new JobClient(port);
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            try {
                client.stat("jobs");
                return client;
            } catch (IOException | java.util.NoSuchElementException e) {
                assertThat(System.nanoTime()).as("the worker answers: " + e).isLessThan(end);
                Thread.sleep(100);
            }
        }
    }

    private String stopped() {
        Workbench.Result stop = bench.run(folder, "stop", "pipeline-1");
        assertThat(stop.status()).as(stop.err()).isZero();
        return bench.run(folder, "logs", "pipeline-1", "--records").out();
    }

    @Test
    void theExamplesAreTheTemplates() throws IOException {
        checkTemplate("c", "examples/worker");
        checkTemplate("zig", "examples/worker-zig");
    }

    private void checkTemplate(String language, String folderOfExample) throws IOException {
        Path parent = Files.createDirectory(folder.resolve(language));
        Path made = parent.resolve("worker");
        assertThat(bench.run(parent, "init", "--name", "worker", "--lang", language, "--template", "worker")
                        .status())
                .isZero();
        assertThat(made.resolve("README.md")).isNotEmptyFile();
        Path example = Workbench.home().resolve(folderOfExample);
        try (var files = Files.walk(example)) {
            List<Path> sources = files.filter(Files::isRegularFile)
                    .map(example::relativize)
                    .filter(file -> !file.startsWith("build") && !file.startsWith("dist") && !file.startsWith("logs"))
                    .toList();
            assertThat(sources).isNotEmpty();
            for (Path source : sources) {
                assertThat(made.resolve(source))
                        .as(source.toString())
                        .hasSameTextualContentAs(example.resolve(source), StandardCharsets.UTF_8);
            }
        }
    }

    private static void checkAnswers(JobClient client) throws IOException {
        assertThat(client.ask("crc32 hello\n\nnonsense\nprimes 100\r\nprimes 200001\ncrc32 a\tb\n" + "x".repeat(5_000)
                        + "\ncrc32 hello\nhalf a line"))
                .satisfiesExactly(
                        answer -> assertThat(answer).isEqualTo("ok 3610a686"),
                        answer -> assertThat(answer).startsWith("error empty line"),
                        answer -> assertThat(answer).startsWith("error unknown job 'nonsense'"),
                        answer -> assertThat(answer).isEqualTo("ok 25"),
                        answer -> assertThat(answer).startsWith("error primes takes a number"),
                        answer -> assertThat(answer).startsWith("error the line holds a byte"),
                        answer -> assertThat(answer).startsWith("error a line has at most 1023 bytes"),
                        answer -> assertThat(answer).isEqualTo("ok 3610a686"),
                        answer -> assertThat(answer).startsWith("error the last line has no end"));
    }

    @Test
    void theWorkerInZigAnswersTheSame() throws Exception {
        JobClient client = boot("zig");
        checkAnswers(client);
        JobClient.Tally tally = client.load(CONNECTIONS, ZIG_LOAD);
        assertThat(tally.answered()).isEqualTo(tally.sent()).isPositive();
        assertThat(client.stat("in_flight")).isZero();
        assertThat(stopped()).containsPattern("stopped jobs=[0-9]+ answered=[0-9]+ dropped=0 ");
        checkExports();
    }

    /** The channel holds the end of the load, so the begins of some spans are lost. */
    private void checkExports() throws IOException {
        for (String format : List.of("otlp", "chrome")) {
            assertThat(bench.run(project, "trace", "--export", format, format).status())
                    .isZero();
        }
        List<Span> spans = OtlpReader.spans(Files.readString(project.resolve("otlp")));
        assertThat(spans).extracting(Span::getName).contains("job", "queue", "work", "reply");
        JsonNode chrome = new ObjectMapper().readTree(project.resolve("chrome").toFile());
        assertThat(ChromeReader.spans(chrome)).hasSameSizeAs(spans);
    }

    @Test
    void everyJobIsAnsweredInOrderUnderLoadAndMemoryStaysFlat() throws Exception {
        JobClient client = boot("c");
        Cli cli = new Cli(bench.environment(), project, System.out, System.err);
        Future<SpanAudit.Book> audit = tasks.submit(new SpanAudit(cli.machines()
                .find(Optional.of("pipeline-1"), Optional.empty(), true)
                .channel()
                .orElseThrow()));
        checkAnswers(client);

        client.load(CONNECTIONS, WARM_UP);
        long pages = client.stat("pages_used");
        long handles = client.stat("handles");
        long tasks = client.stat("tasks");
        long before = client.stat("jobs");
        long started = System.nanoTime();
        JobClient.Tally tally = client.load(CONNECTIONS, LOAD);
        double seconds = (System.nanoTime() - started) / 1e9;
        System.out.printf(
                "worker: %d jobs in %.0f s, %.0f/s; pages %d before, %d after%n",
                tally.sent(), seconds, tally.sent() / seconds, pages, client.stat("pages_used"));
        assertThat(tally.answered()).isEqualTo(tally.sent()).isPositive();
        assertThat(client.stat("jobs") - before).isEqualTo(tally.sent());
        assertThat(client.stat("answered")).isEqualTo(client.stat("jobs"));
        assertThat(client.stat("in_flight")).isZero();
        assertThat(client.stat("pages_used")).isLessThanOrEqualTo(pages + PAGES_MORE_MAX);
        assertThat(client.stat("handles")).isEqualTo(handles);
        assertThat(client.stat("tasks")).isEqualTo(tasks);

        // As many as are served, and one more.
        List<Socket> held = new ArrayList<>();
        try {
            for (int i = 0; i < CONNECTIONS_MAX; i++) {
                Socket socket = client.connect();
                held.add(socket);
                socket.getOutputStream().write("primes 10\n".getBytes(StandardCharsets.US_ASCII));
                assertThat(JobClient.reader(socket).readLine()).isEqualTo("ok 4");
            }
            assertThat(client.ask("stats\n")).singleElement().asString().startsWith("error busy: 64 connections");
            // What is under way when the stop comes is answered.
            Socket last = held.getLast();
            last.getOutputStream().write("primes 50000\n".repeat(8).getBytes(StandardCharsets.US_ASCII));
            BufferedReader answers = JobClient.reader(last);
            assertThat(answers.readLine()).isEqualTo("ok 5133");
            String log = stopped();
            assertThat(answers.lines()).hasSize(7).containsOnly("ok 5133");
            assertThat(log).containsPattern("stopped jobs=[0-9]+ answered=[0-9]+ dropped=0 ");
            check(audit.get(PATIENCE.toSeconds(), TimeUnit.SECONDS), tally.sent());
        } finally {
            for (Socket socket : held) {
                socket.close();
            }
        }
    }

    /** Every job is a span with its four parts in it, whichever tasks they happened in; what is missing is told. */
    private static void check(SpanAudit.Book book, long jobs) {
        System.out.println("worker: " + book);
        if (book.whole()) {
            assertThat(book.orphans() + book.strayEnds() + book.open()).isZero();
            assertThat(book.begins().get("job")).isGreaterThanOrEqualTo(jobs);
            assertThat(book.begins().get("work"))
                    .isGreaterThanOrEqualTo(jobs)
                    .isEqualTo(book.begins().get("queue"));
            assertThat(book.begins().get("reply")).isEqualTo(book.begins().get("job"));
        } else if (book.records() == 0) {
            // A job whose beginning is missing leaves its four parts without a parent, and its end.
            assertThat(book.orphans() + book.strayEnds()).isLessThanOrEqualTo(5 * book.told());
        }
    }
}
