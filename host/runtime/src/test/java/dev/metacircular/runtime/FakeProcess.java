package dev.metacircular.runtime;

import dev.metacircular.runtime.LogSink.Stream;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
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
    private volatile OptionalInt answer = OptionalInt.empty();

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

    /** From now on every port accepts connections and answers HTTP with this status. */
    public void answer(int httpStatus) {
        answer = OptionalInt.of(httpStatus);
    }

    /** Waits until it is asked to end (SIGTERM). */
    public void awaitTermination() throws InterruptedException {
        terminated.await();
    }

    void terminate() {
        terminated.countDown();
    }

    OptionalInt answer() {
        return answer;
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
