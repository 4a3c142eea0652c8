package dev.metacircular.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class ImageTest {
    @TempDir
    Path folder;

    private Path written(String name, Node.Directory workload) {
        Path image = folder.resolve(name);
        ImageWriter.write(Samples.spec(workload), image);
        return image;
    }

    @Test
    void readsBackWhatWasWritten() throws IOException {
        Path file = folder.resolve("image");
        Node.Directory tree = Samples.tree();
        byte[] sparse = new byte[600_000];
        sparse[300_000] = 7;
        tree.add("sparse", Samples.file(sparse));
        ImageSpec spec = new ImageSpec(
                Samples.manifest(),
                Content.of(Samples.kernel()),
                Optional.of(Samples.directory().add("linux", Samples.file("adapter"))),
                tree);
        WrittenImage written = ImageWriter.write(spec, file);
        try (Image image = Image.open(file)) {
            image.verify();
            assertThat(image.uuid()).isEqualTo(written.uuid());
            assertThat(image.segments()).isEqualTo(written.segments());
            assertThat(image.manifest()).isEqualTo(written.manifest());
            assertThat(image.sizeBytes()).isEqualTo(written.sizeBytes()).isEqualTo(Files.size(file));
            List<ImageEntry> entries = image.entries();
            assertThat(entries.stream().map(ImageEntry::path))
                    .containsExactlyInAnyOrder(
                            "/-before-the-dot",
                            "/adapter",
                            "/adapter/linux",
                            "/app",
                            "/app/sample",
                            "/empty",
                            "/first",
                            "/kernel",
                            "/link",
                            "/manifest",
                            "/second",
                            "/sparse",
                            "/zero");
            ImageEntry first = entry(entries, "/first");
            assertThat(first.links()).isEqualTo(2);
            assertThat(entry(entries, "/second").nid()).isEqualTo(first.nid());
            assertThat(content(image, first)).asString().isEqualTo("two names");
            assertThat(content(image, entry(entries, "/sparse"))).isEqualTo(sparse);
            assertThat(content(image, entry(entries, "/kernel"))).isEqualTo(Samples.kernel());
            assertThat(entry(entries, "/link").target()).contains("app/sample");
            assertThat(entry(entries, "/app/sample").mode()).isEqualTo(0755);
        }
    }

    private static ImageEntry entry(List<ImageEntry> entries, String path) {
        return entries.stream()
                .filter(entry -> entry.path().equals(path))
                .findFirst()
                .orElseThrow();
    }

    private static byte[] content(Image image, ImageEntry entry) throws IOException {
        try (InputStream in = image.read(entry)) {
            return in.readAllBytes();
        }
    }

    /** Reads all that can be read; big holes that a damaged size makes are cut short. */
    private static int readAll(Path file) throws IOException {
        int entries = 0;
        try (Image image = Image.open(file)) {
            image.segments();
            for (ImageEntry entry : image.entries()) {
                entries++;
                if (entry.kind() == ImageEntry.Kind.FILE) {
                    try (InputStream in = image.read(entry)) {
                        in.readNBytes(1 << 20);
                    }
                }
            }
        }
        return entries;
    }

    @Test
    @Timeout(300)
    void everyChangedByteOfTheMetadataIsAClearErrorOrAConsistentRead() throws IOException {
        Path file = written("image", Samples.tree().add("sparse", Samples.file(new byte[200_000])));
        long metadata;
        try (Image image = Image.open(file)) {
            metadata = image.segments().getFirst().sizeBytes();
        }
        byte[] sound = Files.readAllBytes(file);
        int errors = 0;
        int consistent = 0;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            for (int at = 0; at < metadata; at++) {
                for (int flip : new int[] {0x01, 0x80, 0xff}) {
                    byte[] block = Arrays.copyOf(sound, ErofsFormat.BLOCK_BYTES);
                    if (at < ErofsFormat.BLOCK_BYTES) {
                        block[at] ^= (byte) flip;
                        if (at < 1028 || at >= 1032) {
                            // With a checksum that is right again the fields themselves are put to the test.
                            ByteBuffer.wrap(block)
                                    .order(ByteOrder.LITTLE_ENDIAN)
                                    .putInt(1028, ErofsFormat.superblockChecksum(block));
                        }
                        channel.write(ByteBuffer.wrap(block), 0);
                    } else {
                        channel.write(ByteBuffer.wrap(new byte[] {(byte) (sound[at] ^ flip)}), at);
                    }
                    try {
                        assertThat(readAll(file)).isPositive();
                        consistent++;
                    } catch (ImageException e) {
                        assertThat(e).hasMessageMatching("(?s).{20,}");
                        errors++;
                    }
                    if (at % 7 == 0) {
                        int byteChanged = at;
                        assertThatThrownBy(() -> {
                                    try (Image image = Image.open(file)) {
                                        image.verify();
                                    }
                                })
                                .as("byte %d", byteChanged)
                                .isInstanceOf(ImageException.class);
                    }
                    if (at < ErofsFormat.BLOCK_BYTES) {
                        channel.write(ByteBuffer.wrap(sound, 0, ErofsFormat.BLOCK_BYTES), 0);
                    } else {
                        channel.write(ByteBuffer.wrap(sound, at, 1), at);
                    }
                }
            }
        }
        assertThat(file).hasBinaryContent(sound);
        assertThat(errors).isGreaterThan(1000);
        assertThat(consistent).isGreaterThan(1000);
    }

    @Test
    void everyTruncationIsAClearError() throws IOException {
        Path file = written("image", Samples.tree());
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            for (long size = channel.size() - 1; size >= 0; size--) {
                channel.truncate(size);
                assertThatThrownBy(() -> Image.open(file).close())
                        .isInstanceOf(ImageException.class)
                        .hasMessageContaining("is not a sound image");
            }
        }
    }

    @Test
    void aChangedByteOfDataIsFoundByVerifying() throws IOException {
        Path file = written("image", Samples.tree());
        List<Segment> segments;
        try (Image image = Image.open(file)) {
            segments = image.segments();
        }
        for (Segment segment : segments) {
            if (segment.sizeBytes() == 0 || segment.role() == Segment.Role.METADATA) {
                continue;
            }
            byte[] bytes = Files.readAllBytes(file);
            bytes[(int) (segment.offset() + segment.sizeBytes() - 1)] ^= 1;
            Path changed = Files.write(folder.resolve("changed"), bytes);
            try (Image image = Image.open(changed)) {
                assertThatThrownBy(image::verify)
                        .isInstanceOf(ImageException.class)
                        .hasMessageContaining("segment '" + segment.role() + "'");
            }
        }
    }

    @Test
    void whatIsNoImageIsSaidSo() throws IOException {
        assertThatThrownBy(() -> Image.open(folder.resolve("absent")))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("There is no image")
                .hasMessageContaining("ukernel pack");
        Path text = Files.writeString(folder.resolve("text"), "hello ".repeat(2000));
        assertThatThrownBy(() -> Image.open(text))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("byte 1024 does not begin an EROFS superblock");
        assertThatThrownBy(() -> Image.open(folder)).isInstanceOf(ImageException.class);
    }

    @Test
    void damageMayNotHangTheReaderByALoopOfDirectories() throws IOException {
        Path file = written(
                "image", Samples.directory().add("a", Samples.directory().add("b", Samples.directory())));
        byte[] bytes = Files.readAllBytes(file);
        List<ImageEntry> entries;
        try (Image image = Image.open(file)) {
            entries = image.entries();
        }
        long outer = entry(entries, "/a").nid();
        long inner = entry(entries, "/a/b").nid();
        ByteBuffer raw = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<Integer> places = new ArrayList<>();
        for (int at = ErofsFormat.BLOCK_BYTES; at + 8 < bytes.length && at < 8192; at += 4) {
            if (raw.getLong(at) == inner) {
                places.add(at);
            }
        }
        assertThat(places).isNotEmpty();
        for (int place : places) {
            ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(place, outer);
        }
        Files.write(file, bytes);
        try (Image image = Image.open(file)) {
            assertThatThrownBy(image::entries)
                    .isInstanceOf(ImageException.class)
                    .hasMessageContaining("is not a sound image");
        }
    }

    @Test
    void differencesSayWhatAndWhy() {
        Path before = written("before", Samples.tree().add("gone", Samples.file("x")));
        Node.Directory changed = Samples.directory()
                .add("app", Samples.directory().add("sample", Samples.file("now a text")))
                .add("zero", Samples.file("0"))
                .add("first", Samples.file("TWO names"))
                .add("link", Node.SymbolicLink.to("elsewhere"))
                .add("new", Samples.directory());
        Path after = written("after", changed);
        try (Image one = Image.open(before);
                Image two = Image.open(after)) {
            assertThat(ImageDiff.between(one, one)).isEmpty();
            List<ImageDiff.Difference> differences = ImageDiff.between(one, two);
            assertThat(differences.stream().map(d -> d.subject() + ": " + d.change()))
                    .contains(
                            "/app/sample: mode 0755 → 0644, 5000 → 10 bytes",
                            "/first: 2 → 1 names, content, still 9 bytes",
                            "/gone: removed",
                            "/link: leads to elsewhere, was app/sample",
                            "/new: added",
                            "/zero: 0 → 1 bytes")
                    .noneMatch(line -> line.startsWith("/kernel"));
            assertThat(differences).allMatch(d -> d.meaning().endsWith("."));
        }
    }

    @Test
    void readsAgainstTheJudgeWhatMkfsWroteAsFarAsItIsAnImage() throws Exception {
        Tools.requireInstalled("mkfs.erofs");
        Path source = Files.createDirectory(folder.resolve("source"));
        Files.write(source.resolve("kernel"), Samples.kernel());
        Path ours = written("ours", Samples.tree());
        try (Image image = Image.open(ours)) {
            Files.write(source.resolve("manifest"), content(image, entry(image.entries(), "/manifest")));
        }
        for (int i = 0; i < 3000; i++) {
            Files.createFile(source.resolve("file-" + i));
        }
        Path theirs = folder.resolve("theirs");
        Tools.succeed(
                "mkfs.erofs", "-T0", "--all-root", "-x-1", "-Enoinline_data", theirs.toString(), source.toString());
        try (Image image = Image.open(theirs)) {
            assertThat(image.entries()).hasSize(3002);
            assertThatThrownBy(image::verify).isInstanceOf(ImageException.class);
        } catch (ImageException e) {
            fail("our reader refuses what mkfs.erofs wrote", e);
        }
    }
}
