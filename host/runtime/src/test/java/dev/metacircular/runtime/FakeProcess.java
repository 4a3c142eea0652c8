package dev.metacircular.runtime;

import dev.metacircular.runtime.LogSink.Stream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;

/** One run of an instance of a {@link FakeRuntime}, as its {@link FakeProgram} sees it. */
public final class FakeProcess {
    /** The longest part of a line that is delivered at once. */
    static final int MAX_LINE_CHARS = 16 * 1024;

    record Line(Instant time, Stream stream, String text) {}

    private final InstanceSpec spec;
    private final List<Line> log;
    private final CountDownLatch terminated = new CountDownLatch(1);
    private volatile Optional<Answers> answers = Optional.empty();

    FakeProcess(InstanceSpec spec, List<Line> log) {
        this.spec = spec;
        this.log = log;
    }

    public InstanceSpec spec() {
        return spec;
    }

    public void out(String line) {
        write(Stream.OUT, line);
    }

    public void err(String line) {
        write(Stream.ERR, line);
    }

    /** How its ports answer: HTTP with this status at the path, or at all where it is empty, and 404 else. */
    private record Answers(Optional<String> path, OptionalInt httpStatus) {}

    /** From now on every port accepts connections and answers HTTP with this status. */
    public void answer(int httpStatus) {
        answers = Optional.of(new Answers(Optional.empty(), OptionalInt.of(httpStatus)));
    }

    /** From now on every port accepts connections and answers HTTP with this status at this path, with 404 at others. */
    public void answerAt(String path, int httpStatus) {
        answers = Optional.of(new Answers(Optional.of(path), OptionalInt.of(httpStatus)));
    }

    /** From now on every port accepts connections and never answers. */
    public void acceptOnly() {
        answers = Optional.of(new Answers(Optional.empty(), OptionalInt.empty()));
    }

    /** Waits until it is asked to end (SIGTERM). */
    public void awaitTermination() throws InterruptedException {
        terminated.await();
    }

    void terminate() {
        terminated.countDown();
    }

    ProbeResult probeTcp() {
        return answers.isPresent() ? new ProbeResult.Healthy() : new ProbeResult.Unhealthy("connection refused");
    }

    ProbeResult probeHttp(String path) {
        if (answers.isEmpty()) {
            return probeTcp();
        }
        Answers now = answers.get();
        if (now.httpStatus.isEmpty()) {
            return new ProbeResult.Unhealthy("no answer in time");
        }
        int status = now.path.orElse(path).equals(path) ? now.httpStatus.getAsInt() : 404;
        return status >= 200 && status <= 399
                ? new ProbeResult.Healthy()
                : new ProbeResult.Unhealthy("HTTP status " + status);
    }

    private void write(Stream stream, String line) {
        List<Line> parts = new ArrayList<>();
        for (int at = 0; at == 0 || at < line.length(); at += MAX_LINE_CHARS) {
            parts.add(
                    new Line(Instant.now(), stream, line.substring(at, Math.min(line.length(), at + MAX_LINE_CHARS))));
        }
        synchronized (log) {
            log.addAll(parts);
            log.notifyAll();
        }
    }
}
