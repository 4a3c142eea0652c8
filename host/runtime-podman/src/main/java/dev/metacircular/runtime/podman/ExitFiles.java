package dev.metacircular.runtime.podman;

import dev.metacircular.runtime.Events;
import dev.metacircular.runtime.InstanceId;
import java.io.IOException;
import java.nio.file.ClosedWatchServiceException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * Tells of a container's end as soon as its conmon has written the exit file (conmon(8), {@code --exit-dir}), which podman's own event
 * follows only after it has started a program for the clean-up, a tenth of a second or more later. A hint only: where the directory is not
 * there, or another one, podman's events still come.
 */
final class ExitFiles implements AutoCloseable {
    private static final Pattern CONTAINER = Pattern.compile("[0-9a-f]{64}");
    private static final Duration RETRY = Duration.ofSeconds(5);

    private final Path directory;
    private final Kinds kinds;
    private final Events.Listener listener;
    private final Thread thread;

    /**
     * @param socket podman's, in the user's runtime directory, where a rootless podman keeps the exit files too
     * @param kinds whose ends are told
     */
    ExitFiles(Path socket, Kinds kinds, Events.Listener listener) {
        Path run = socket.toAbsolutePath().getParent();
        Path user = run == null || run.getParent() == null ? socket : run.getParent();
        this.directory = user.resolve("libpod/tmp/exits");
        this.kinds = kinds;
        this.listener = listener;
        this.thread = Thread.ofVirtual().name("podman-exits").start(this::run);
    }

    private void run() {
        try {
            while (true) {
                if (Files.isDirectory(directory)) {
                    watch();
                }
                Thread.sleep(RETRY);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Until the directory is gone. */
    private void watch() throws InterruptedException {
        try (WatchService service = directory.getFileSystem().newWatchService()) {
            WatchKey watched = directory.register(service, StandardWatchEventKinds.ENTRY_CREATE);
            while (watched.isValid()) {
                WatchKey key = service.poll(RETRY.toMillis(), TimeUnit.MILLISECONDS);
                if (key == null) {
                    continue;
                }
                key.pollEvents().forEach(this::tell);
                if (!key.reset()) {
                    return;
                }
            }
        } catch (IOException | ClosedWatchServiceException e) {
            // No more watches, or the directory is gone: podman's events are left.
            return;
        }
    }

    private void tell(WatchEvent<?> event) {
        if (event.kind().equals(StandardWatchEventKinds.OVERFLOW)) {
            listener.gap();
        } else if (event.context() instanceof Path file
                && CONTAINER.matcher(file.toString()).matches()
                && kinds.isOwn(file.toString())) {
            listener.changed(new InstanceId(kinds.own(), file.toString()));
        }
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
