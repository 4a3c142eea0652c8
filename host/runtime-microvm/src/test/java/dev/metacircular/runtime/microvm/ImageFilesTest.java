package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the store's files take, and what is kept of them. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ImageFilesTest {
    private static final ImageRef REFERENCE = ImageRef.parse("localhost/worker:v1");

    @TempDir
    private Path folder;

    private ImageFiles store(long maxBytes) {
        return new ImageFiles(folder.resolve("store"), maxBytes);
    }

    private static Optional<Path> made(ImageFiles files, int bytes) throws IOException {
        return Optional.of(Files.write(files.workspace().resolve("image"), new byte[bytes]));
    }

    private static ImageFiles.Stored image(char digit, int bytes) {
        return new ImageFiles.Stored("sha256:" + String.valueOf(digit).repeat(64), bytes, "", List.of());
    }

    @Test
    void whatIsBeingMadeCountsAndNothingIsKeptBeyondTheBound() throws IOException {
        ImageFiles files = store(100_000);
        files.requireRoom(60_000);
        Optional<Path> one = made(files, 60_000);
        StoreBench.fails(Kind.EXHAUSTED, () -> files.requireRoom(60_000), "remove some");
        // As two that asked at the same time.
        Optional<Path> other = made(files, 60_000);
        files.keep(one, image('1', 60_000), REFERENCE);
        StoreBench.fails(Kind.EXHAUSTED, () -> files.keep(other, image('2', 60_000), REFERENCE), "remove some");
        assertThat(files.all()).hasSize(1);
    }

    @Test
    void whatIsKnownOfAnImageStaysWhenItIsLoadedAgain() throws IOException {
        ImageFiles files = store(1 << 20);
        String id = image('1', 10).id();
        ImageFiles.Stored pulled = new ImageFiles.Stored(id, 10, "sha256:" + "a".repeat(64), List.of("serve", "--all"));
        files.keep(made(files, 10), pulled, ImageRef.parse("registry.example/worker:v1"));
        files.keep(made(files, 10), image('1', 10), REFERENCE);
        assertThat(files.stored(id)).contains(pulled);
        assertThat(files.find(REFERENCE).orElseThrow().digest()).isEmpty();
    }

    @Test
    void whatGoesMeanwhileDoesNotMatter() throws Exception {
        ImageFiles files = store(1 << 20);
        AtomicBoolean over = new AtomicBoolean();
        Thread others = Thread.ofPlatform().start(() -> {
            while (!over.get()) {
                try {
                    Path made = files.workspace();
                    Files.write(made.resolve("image"), new byte[1]);
                    FileTree.delete(made);
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
        try {
            for (int i = 0; i < 500; i++) {
                files.requireRoom(1);
            }
        } finally {
            over.set(true);
            others.join();
        }
    }
}
