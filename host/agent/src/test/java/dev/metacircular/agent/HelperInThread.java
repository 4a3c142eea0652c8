package dev.metacircular.agent;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A {@link FileHelper} in a thread of this process. */
final class HelperInThread extends Process {
    private static final int PIPE_BYTES = 256 << 10;

    private final PipedOutputStream input = new PipedOutputStream();
    private final PipedInputStream output = new PipedInputStream(PIPE_BYTES);
    private final CompletableFuture<Integer> end = new CompletableFuture<>();

    HelperInThread() throws IOException {
        PipedInputStream in = new PipedInputStream(input, PIPE_BYTES);
        PipedOutputStream out = new PipedOutputStream(output);
        Thread.ofPlatform().daemon().start(() -> {
            try (in;
                    out) {
                end.complete(FileHelper.serve(in, out));
            } catch (IOException e) {
                end.complete(1);
            }
        });
    }

    @Override
    public OutputStream getOutputStream() {
        return input;
    }

    @Override
    public InputStream getInputStream() {
        return output;
    }

    @Override
    public InputStream getErrorStream() {
        return InputStream.nullInputStream();
    }

    @Override
    public int waitFor() {
        return end.join();
    }

    @Override
    public boolean waitFor(long timeout, TimeUnit unit) {
        var _ = end.completeOnTimeout(1, timeout, unit).join();
        return true;
    }

    @Override
    public boolean isAlive() {
        return !end.isDone();
    }

    @Override
    public int exitValue() {
        return end.getNow(1);
    }

    @Override
    public void destroy() {}

    @Override
    public java.util.stream.Stream<ProcessHandle> descendants() {
        return java.util.stream.Stream.empty();
    }
}
