package dev.metacircular.agent;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** The agent's side of one {@link FileHelper}, which is ended when nothing has moved for a minute. */
final class FileProcess implements AutoCloseable {
    /** A minute without a byte in either direction ends a transfer. */
    static final Duration IDLE = Duration.ofSeconds(60);

    private static final Duration END_GRACE = Duration.ofSeconds(5);
    private static final Duration ROUND = Duration.ofSeconds(1);

    private final Process process;
    private final DataOutputStream to;
    private final DataInputStream from;
    private final Thread guard;
    private volatile long movedNanos = System.nanoTime();
    private volatile boolean late;

    private FileProcess(Process process) {
        this.process = process;
        this.to = new DataOutputStream(new BufferedOutputStream(process.getOutputStream(), FileHelper.CHUNK_BYTES));
        this.from = new DataInputStream(new BufferedInputStream(process.getInputStream(), FileHelper.CHUNK_BYTES));
        this.guard = Thread.ofVirtual().name("file-transfer-guard").start(this::watch);
    }

    /** Starts helpers. */
    @FunctionalInterface
    interface Starter {
        Process start() throws IOException;
    }

    static FileProcess start(Starter starter) throws IOException {
        return new FileProcess(starter.start());
    }

    /** A helper in the containers' user namespace. */
    static Process inUserNamespace() throws IOException {
        try {
            Path program = Path.of(FileHelper.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            return new ProcessBuilder(UserNamespace.enter(List.of(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-XX:+UseSerialGC",
                            "-XX:TieredStopAtLevel=1",
                            "-XX:-UsePerfData",
                            "-Xmx32m",
                            "-Xlog:disable",
                            "--enable-native-access=ALL-UNNAMED",
                            "-cp",
                            program.toString(),
                            FileHelper.class.getName())))
                    .redirectError(Redirect.DISCARD)
                    .start();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private void watch() {
        try {
            while (process.isAlive()) {
                Thread.sleep(ROUND);
                if (System.nanoTime() - movedNanos > IDLE.toNanos()) {
                    late = true;
                    kill();
                    return;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void kill() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
    }

    private void moved() {
        movedNanos = System.nanoTime();
    }

    void ask(byte operation, Path services, Name service, String path) throws IOException {
        to.writeByte(operation);
        text(services.toString());
        text(service.value());
        text(path);
    }

    private void text(String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        to.writeInt(bytes.length);
        to.write(bytes);
    }

    /** Waits for the helper's word, and throws what it refuses with. */
    private void requireOk() throws IOException {
        try {
            if (from.readByte() == FileHelper.OK) {
                moved();
                return;
            }
            throw refusal();
        } catch (EOFException e) {
            throw ended();
        }
    }

    private ProblemException refusal() throws IOException {
        return Problem.of(Problem.Kind.valueOf(from.readUTF()), from.readUTF())
                .next(from.readUTF())
                .exception();
    }

    private ProblemException ended() {
        return late
                ? Problem.of(
                                Problem.Kind.DEADLINE,
                                "nothing has moved for " + IDLE.toSeconds() + " s, so the transfer was ended")
                        .next("run the command again; nothing was changed")
                        .exception()
                : Problem.of(Problem.Kind.FAILED, "the helper in the containers' user namespace ended early")
                        .next("mcp doctor shows what the node lacks")
                        .exception();
    }

    FileTransfers.Written push(
            String path, String unfinished, int mode, boolean parents, long maxBytes, FileTransfers.Source source)
            throws IOException {
        text(unfinished);
        to.writeInt(mode);
        to.writeBoolean(parents);
        to.writeLong(maxBytes);
        to.flush();
        requireOk();
        try {
            for (Optional<byte[]> chunk = source.next(); chunk.isPresent(); chunk = source.next()) {
                byte[] bytes = chunk.get();
                for (int at = 0; at < bytes.length; at += FileHelper.CHUNK_BYTES) {
                    int count = Math.min(FileHelper.CHUNK_BYTES, bytes.length - at);
                    to.writeInt(count);
                    to.write(bytes, at, count);
                }
                moved();
            }
            to.writeInt(0);
            to.flush();
        } catch (IOException e) {
            // It has refused what came, and says why below.
        }
        requireOk();
        try {
            return new FileTransfers.Written(path, from.readLong(), from.readInt());
        } catch (EOFException e) {
            throw ended();
        }
    }

    void pull(long maxBytes, FileTransfers.Sink sink) throws IOException {
        to.writeLong(maxBytes);
        to.flush();
        requireOk();
        try {
            sink.facts(from.readLong(), from.readInt());
            while (true) {
                int count = from.readInt();
                if (count == 0) {
                    return;
                }
                if (count < 0) {
                    requireOk();
                    throw ended();
                }
                byte[] chunk = from.readNBytes(count);
                if (chunk.length < count) {
                    throw ended();
                }
                sink.data(chunk);
                moved();
            }
        } catch (EOFException e) {
            throw ended();
        }
    }

    void collect(String unfinished) throws IOException {
        text(unfinished);
        to.flush();
        requireOk();
    }

    /** Whether it has ended and taken an unfinished file away; asked after it was closed. */
    boolean endedOrderly() {
        return !process.isAlive() && (process.exitValue() == 0 || process.exitValue() == FileHelper.ABORTED);
    }

    /** Ends it: a file that is unfinished goes. */
    @Override
    public void close() {
        try {
            process.getInputStream().close();
            // Not by the stream around it, which would write first what it still holds.
            process.getOutputStream().close();
        } catch (IOException e) {
            // It has ended.
        }
        try {
            if (!process.waitFor(END_GRACE.toMillis(), TimeUnit.MILLISECONDS)) {
                kill();
                process.waitFor(END_GRACE.toMillis(), TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            kill();
        } finally {
            guard.interrupt();
        }
    }
}
