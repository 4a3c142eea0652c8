package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.model.ImageRef;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the store keeps. */
@Timeout(120)
final class GuestImagesTest extends StoreBench {
    @Test
    void aGuestImageIsPulledKeptAndFoundAgain() throws IOException {
        Path file = guestImage("one");
        Descriptor manifest = pushGuestImage("v1", file);
        assertThat(images.image(reference("v1"))).isEmpty();
        List<Long> told = new ArrayList<>();
        Image image = images.pull(reference("v1"), (_, done, _) -> told.add(done));
        assertThat(told).isSorted().endsWith(Files.size(file));
        assertThat(image.id()).isEqualTo(ImageFiles.digest(file).toString());
        assertThat(image.digest()).isEqualTo(manifest.digest().text());
        assertThat(image.references()).containsExactly(reference("v1").toString());
        assertThat(image.sizeBytes()).isEqualTo(Files.size(file));
        assertThat(images.file(image.id())).hasSameBinaryContentAs(file);
        assertThat(Files.getPosixFilePermissions(images.file(image.id())))
                .isEqualTo(PosixFilePermissions.fromString("r--r--r--"));

        GuestImages again = reopened();
        assertThat(again.image(reference("v1"))).contains(image);
        assertThat(again.images()).containsExactly(image);
        ImageRef byDigest = ImageRef.parse(plain.host() + "/" + repository + "@" + manifest.digest());
        assertThat(again.pull(byDigest, NOBODY).id()).isEqualTo(image.id());
        assertThat(again.images()).hasSize(1);
        nothingHalfMade();
    }

    @Test
    void aTagThatMovesKeepsTheOldImageUntilItIsRemoved() {
        pushGuestImage("v1", guestImage("one"));
        Image before = images.pull(reference("v1"), NOBODY);
        pushGuestImage("v1", guestImage("two"));
        assertThat(images.image(reference("v1")).orElseThrow().id()).isEqualTo(before.id());
        Image after = images.pull(reference("v1"), NOBODY);
        assertThat(after.id()).isNotEqualTo(before.id());
        assertThat(images.images()).hasSize(2).anySatisfy(image -> {
            assertThat(image.id()).isEqualTo(before.id());
            assertThat(image.references()).isEmpty();
        });
        assertThat(images.remove(new Image(before.id(), List.of(), "", 0))).isTrue();
        assertThat(images.remove(before)).isTrue();
        assertThat(images.images()).containsExactly(after);
        fails(Kind.NOT_FOUND, () -> images.file(before.id()), before.id());
    }

    @Test
    void anImageGoesWithTheLastOfItsNames() {
        Path file = guestImage("one");
        pushGuestImage("v1", file);
        pushGuestImage("v2", file);
        Image one = images.pull(reference("v1"), NOBODY);
        Image both = images.pull(reference("v2"), NOBODY);
        assertThat(both.references()).hasSize(2);
        assertThat(images.remove(one)).isFalse();
        assertThat(images.image(reference("v1"))).isEmpty();
        assertThat(images.remove(images.image(reference("v2")).orElseThrow())).isTrue();
        assertThat(images.images()).isEmpty();
    }

    @Test
    void theNodesOwnImagesAreLoadedAndNeverLookedUpElsewhere() throws IOException {
        ImageRef own = ImageRef.parse("localhost/worker:v1");
        fails(Kind.NOT_FOUND, () -> images.pull(own, NOBODY), "never looked up elsewhere", "mcp-agent load");
        Image loaded = images.load(guestImage("one"), own);
        assertThat(loaded.digest()).isEmpty();
        assertThat(images.pull(own, NOBODY)).isEqualTo(loaded);
        Path text = Files.writeString(folder.resolve("text"), "x".repeat(5000));
        fails(Kind.INVALID, () -> images.load(text, own), "no sound guest image");
        fails(Kind.INVALID, () -> images.load(text, reference("v1")), "belongs to an image registry");
        assertThat(images.image(own)).contains(loaded);
        nothingHalfMade();
    }

    @Test
    void pullsOfOneImageAtATimeAreOne() throws Exception {
        pushOrdinary("v1", new OciImages.Recipe().entrypoint("/app/worker").layer(nativeProgram()));
        List<String> told = Collections.synchronizedList(new ArrayList<>());
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Image>> pulls = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                pulls.add(executor.submit(() -> images.pull(reference("v1"), (what, _, _) -> told.add(what))));
            }
            for (Future<Image> pull : pulls) {
                assertThat(pull.get()).isEqualTo(pulls.getFirst().get());
            }
        }
        assertThat(told).isNotEmpty().containsOnly(reference("v1").toString());
        assertThat(images.images()).hasSize(1);
        nothingHalfMade();
    }

    @Test
    void aDamagedImageIsSaidNotUsedAndPulledAgain() throws IOException {
        pushGuestImage("v1", guestImage("one"));
        Image image = images.pull(reference("v1"), NOBODY);
        Path file = images.file(image.id());
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        try (RandomAccessFile damage = new RandomAccessFile(file.toFile(), "rw")) {
            damage.seek(damage.length() / 2);
            damage.write(damage.read() ^ 1);
        }
        fails(Kind.NOT_FOUND, () -> images.file(image.id()), "was damaged");
        assertThat(images.image(reference("v1"))).isEmpty();
        assertThat(images.pull(reference("v1"), NOBODY)).isEqualTo(image);
        assertThat(images.file(image.id())).exists();

        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        try (RandomAccessFile damage = new RandomAccessFile(file.toFile(), "rw")) {
            damage.setLength(100);
        }
        assertThat(reopened().image(reference("v1"))).isEmpty();
        assertThat(reopened().images()).isEmpty();
        assertThat(reopened().pull(reference("v1"), NOBODY)).isEqualTo(image);
    }

    @Test
    void whatACrashLeftIsTakenAwayAndFaultyFilesAreNotUsed() throws IOException {
        pushGuestImage("v1", guestImage("one"));
        Image image = images.pull(reference("v1"), NOBODY);
        Path store = folder.resolve("guest-images");
        Files.createDirectory(store.resolve("new/999999999-1-1"));
        Files.writeString(store.resolve("new/999999999-1-1/image"), "half");
        Files.writeString(store.resolve("new/junk"), "half");
        Path orphan = Files.writeString(store.resolve("content/" + "0".repeat(64) + ".img"), "half");
        Files.writeString(store.resolve("names/junk"), "\0\0");
        Files.writeString(store.resolve("content/junk.info"), "bytes x");
        GuestImages again = reopened();
        assertThat(again.images()).containsExactly(image);
        assertThat(orphan).doesNotExist();
        nothingHalfMade();
    }

    @Test
    void aStoreThatCannotBeOpenedSaysSoUntilItCan() throws IOException {
        Path store = Files.writeString(folder.resolve("guest-images"), "a file instead of a folder");
        assertThat(images.fault())
                .hasValueSatisfying(
                        why -> assertThat(why).startsWith("cannot make the store of guest images in " + store));
        fails(Kind.FAILED, images::images, store.toString());
        Files.delete(store);
        assertThat(images.fault()).isEmpty();
        assertThat(images.images()).isEmpty();
    }

    @Test
    void theStoreIsBounded() throws IOException {
        pushGuestImage("v1", guestImage("one"));
        images = new GuestImages(options(new GuestImageOptions.Limits(1 << 16, 1 << 20, 100, 10)));
        fails(Kind.EXHAUSTED, () -> images.pull(reference("v1"), NOBODY), "remove some");
        nothingHalfMade();
    }

    @Test
    void whatTheRegistrySaysIsPassedOn() throws IOException {
        fails(
                Kind.NOT_FOUND,
                () -> images.pull(reference("v1"), NOBODY),
                reference("v1").toString());
        fails(Kind.UNREACHABLE, () -> images.pull(ImageRef.parse("127.0.0.1:1/x:v1"), NOBODY), "no connection");
        pushGuestImage("text", Files.writeString(folder.resolve("text"), "text"));
        fails(Kind.INVALID, () -> images.pull(reference("text"), NOBODY), "no sound guest image");
        assertThat(images.images()).isEmpty();
        nothingHalfMade();
    }
}
