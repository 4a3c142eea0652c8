package dev.metacircular.vm;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The named pipe that is a VM's serial input. Its supervisor holds it open, so that it outlives every writer. */
final class SerialInput {
    private SerialInput() {}

    /**
     * Writes everything into the pipe.
     *
     * @throws java.nio.file.NoSuchFileException when the VM has ended
     * @throws TimeoutException when the guest did not take enough of what was written earlier; a part may have been written
     */
    static void write(Path pipe, ByteBuffer bytes, Duration deadline)
            throws IOException, TimeoutException, InterruptedException {
        // Open for both ways, or the opening would wait for a reader that may just have died. Closing it ends a write
        // that blocks.
        try (FileChannel channel = FileChannel.open(pipe, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            FutureTask<Boolean> writing = new FutureTask<>(() -> {
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                return true;
            });
            Thread.ofPlatform().daemon().name("vm-serial-input").start(writing);
            writing.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IOException failure ? failure : new IOException(e.getCause());
        }
    }
}
