package dev.metacircular.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageWriterTest {
    private static final int WINDOW_BYTES = 1 << 20;

    @TempDir
    Path folder;

    private Path source() throws IOException {
        return Files.createDirectory(folder.resolve("source"));
    }

    /** Packs {@code source} and lets every judge speak. */
    private Path judged(Path source) throws Exception {
        Path image = folder.resolve("image");
        ImageWriter.write(Samples.spec(SourceTree.read(source, SourceTree.Permissions.KEEP)), image);
        Tools.fsck(image);
        Tools.mounted(image, folder.resolve("mounted"), mounted -> {
            assertThat(mounted.resolve("kernel")).hasBinaryContent(Samples.kernel());
            Path expected = Files.createDirectory(folder.resolve("expected"));
            Tools.succeed("cp", "-a", "--sparse=always", source + "/.", expected.toString());
            Files.copy(mounted.resolve("kernel"), expected.resolve("kernel"));
            Files.setPosixFilePermissions(expected.resolve("kernel"), PosixFilePermissions.fromString("rwxr-xr-x"));
            Files.copy(mounted.resolve("manifest"), expected.resolve("manifest"));
            Files.setPosixFilePermissions(expected.resolve("manifest"), PosixFilePermissions.fromString("rw-r--r--"));
            Tools.sameTree(expected, mounted);
        });
        return image;
    }

    @Test
    void linuxMountsWhatWasPacked() throws Exception {
        Path source = source();
        Random random = new Random(1);
        for (int size : List.of(0, 1, 4095, 4096, 4097, 8192, 100_000)) {
            byte[] bytes = new byte[size];
            random.nextBytes(bytes);
            Files.write(source.resolve("size-" + size), bytes);
        }
        Files.createLink(source.resolve("another-name"), source.resolve("size-4097"));
        Path deep = Files.createDirectories(source.resolve("a/b"));
        Files.createLink(deep.resolve("third-name"), source.resolve("size-4097"));
        Files.createSymbolicLink(source.resolve("relative"), Path.of("a/b/third-name"));
        Files.createSymbolicLink(source.resolve("broken"), Path.of("/no/such/file"));
        Files.createSymbolicLink(source.resolve("long"), Path.of("x/".repeat(2000) + "y"));
        Files.writeString(source.resolve("-sorts-before-the-dots"), "x");
        Files.writeString(source.resolve("ümläut"), "x");
        Files.writeString(source.resolve("run"), "#!/bin/sh\n");
        Files.setPosixFilePermissions(source.resolve("run"), PosixFilePermissions.fromString("rwx--x---"));
        Files.setPosixFilePermissions(deep, PosixFilePermissions.fromString("r-x------"));
        judged(source);
    }

    @Test
    void namesThatAreNotTextAndNamesOf255Bytes() throws Exception {
        Path source = source();
        Files.writeString(source.resolve("n".repeat(255)), "long");
        Files.createDirectories(source.resolve("d".repeat(255)).resolve("e".repeat(255)));
        Tools.succeed("sh", "-c", "printf x > '" + source + "'/\"$(printf 'bad\\377\\200name')\"");
        Tools.succeed("ln", "-s", "x\\\"y\n", source.resolve("link").toString());
        Tools.succeed("sh", "-c", "ln -s \"$(printf '\\351/\\370/')\" '" + source + "'/latin1");
        judged(source);
    }

    @Test
    void twentyThousandNamesInOneDirectory() throws Exception {
        Path source = source();
        Path many = Files.createDirectory(source.resolve("many"));
        for (int i = 0; i < 20_000; i++) {
            Files.createFile(many.resolve("file-" + Integer.toString(i * 7919, 36)));
        }
        judged(source);
    }

    @Test
    void twoHundredDirectoriesInOneAnother() throws Exception {
        Path source = source();
        Path deep = source;
        for (int i = 0; i < 200; i++) {
            deep = deep.resolve("level-" + i);
        }
        Files.createDirectories(deep);
        Files.writeString(deep.resolve("bottom"), "reached");
        judged(source);
    }

    @Test
    void directoriesOfEverySizeAroundABlock() throws Exception {
        Path source = source();
        for (int names = 14; names <= 18; names++) {
            for (int last = 1; last <= 255; last += 23) {
                Path directory = Files.createDirectory(source.resolve(names + "-" + last));
                for (int i = 0; i < names; i++) {
                    Files.createFile(directory.resolve((char) ('a' + i) + "x".repeat(254)));
                }
                Files.createFile(directory.resolve("z".repeat(last)));
            }
        }
        judged(source);
    }

    @Test
    void sparseFileOfFiveGibibytesTakesWhatItHolds() throws Exception {
        Path source = source();
        long gibibyte = 1L << 30;
        try (FileChannel file =
                FileChannel.open(source.resolve("huge"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            for (long at : new long[] {0, gibibyte + 12_345, 3 * gibibyte - 1, 5 * gibibyte - 7}) {
                file.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4, 5, 6, 7}), at);
            }
        }
        try (FileChannel file = FileChannel.open(
                source.resolve("hole-at-the-end"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            byte[] bytes = new byte[300_000];
            new Random(2).nextBytes(bytes);
            file.write(ByteBuffer.wrap(bytes));
            file.write(ByteBuffer.wrap(new byte[1]), 700_000);
        }
        Files.write(source.resolve("only-zeros"), new byte[1_000_001]);
        Path image = folder.resolve("image");
        ImageWriter.write(Samples.spec(SourceTree.read(source, SourceTree.Permissions.KEEP)), image);
        assertThat(Files.size(image)).isLessThan(2_000_000);
        Tools.requireInstalled("fsck.erofs");
        Tools.succeed("fsck.erofs", image.toString());
        Tools.mounted(image, folder.resolve("mounted"), mounted -> {
            for (String name : List.of("hole-at-the-end", "only-zeros")) {
                Tools.succeed(
                        "cmp",
                        source.resolve(name).toString(),
                        mounted.resolve(name).toString());
            }
            assertThat(Files.size(mounted.resolve("huge"))).isEqualTo(5 * gibibyte);
            for (long at = 0; at < 5 * gibibyte; at += gibibyte / 4) {
                assertThat(window(mounted.resolve("huge"), at)).isEqualTo(window(source.resolve("huge"), at));
            }
            assertThat(window(mounted.resolve("huge"), gibibyte)).contains((byte) 7);
            assertThat(window(mounted.resolve("huge"), 5 * gibibyte - WINDOW_BYTES / 2))
                    .endsWith(new byte[] {5, 6, 7});
        });
    }

    /** A mebibyte of a file, from half of one before {@code at} where there is one. */
    private static byte[] window(Path file, long at) throws IOException {
        try (FileChannel channel = FileChannel.open(file)) {
            ByteBuffer window = ByteBuffer.allocate(WINDOW_BYTES);
            channel.read(window, Math.max(0, at - WINDOW_BYTES / 2));
            return window.array();
        }
    }

    @Test
    void manyLinksAndForeignOwnersTakeExtendedInodes() throws Exception {
        Node.Directory root = Samples.directory();
        Node.RegularFile shared = Samples.file("shared");
        for (int i = 0; i < 70_000; i++) {
            root.add("link-" + i, shared);
        }
        Attributes attributes = new Attributes(01777, 100_000, 65_536, Instant.ofEpochSecond(1_700_000_000, 5));
        root.add("owned", new Node.Directory(attributes));
        Path image = folder.resolve("image");
        ImageWriter.write(Samples.spec(root), image);
        Tools.fsck(image);
        Tools.mounted(image, folder.resolve("mounted"), mounted -> {
            assertThat(Files.getAttribute(mounted.resolve("link-69999"), "unix:nlink"))
                    .isEqualTo(70_000);
            assertThat(Files.readAttributes(mounted.resolve("owned"), "unix:mode,uid,gid,lastModifiedTime")
                            .toString())
                    .contains("uid=100000", "gid=65536", "mode=17407", "2023-11-14T22:13:20.000000005Z");
        });
    }

    @Test
    void mountsAsMkfsOnTheSameTreeDoes() throws Exception {
        Tools.requireInstalled("mkfs.erofs");
        Path source = source();
        Files.createDirectories(source.resolve("x/y"));
        Files.write(source.resolve("x/a"), new byte[5000]);
        Files.createLink(source.resolve("x/y/b"), source.resolve("x/a"));
        Files.createSymbolicLink(source.resolve("x/c"), Path.of("a"));
        Path image = judged(source);
        Tools.mounted(image, folder.resolve("mounted"), mounted -> {
            Path copy = folder.resolve("mkfs.image");
            Tools.succeed("mkfs.erofs", "-T0", "--all-root", "-x-1", copy.toString(), mounted.toString());
            Tools.mounted(copy, folder.resolve("mkfs"), theirs -> Tools.sameTree(mounted, theirs));
        });
    }

    @Test
    void equalTreesGiveEqualBytesWhereverTheyStand() throws Exception {
        Path first = source();
        Files.writeString(first.resolve("run"), "one");
        Files.setPosixFilePermissions(first.resolve("run"), PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.createDirectories(first.resolve("sub/empty"));
        Files.writeString(first.resolve("sub/data"), "two");
        Path second = folder.resolve("elsewhere/with/another name");
        Files.createDirectories(second.resolve("sub/empty"));
        Files.writeString(second.resolve("sub/data"), "two");
        Files.writeString(second.resolve("run"), "one");
        Files.setPosixFilePermissions(second.resolve("run"), PosixFilePermissions.fromString("rwx------"));
        Files.setPosixFilePermissions(second.resolve("sub"), PosixFilePermissions.fromString("rwx------"));
        Files.setPosixFilePermissions(second.resolve("sub/data"), PosixFilePermissions.fromString("rw-------"));

        Path a = folder.resolve("a");
        Path b = folder.resolve("b");
        WrittenImage written =
                ImageWriter.write(Samples.spec(SourceTree.read(first, SourceTree.Permissions.NORMAL)), a);
        assertThat(ImageWriter.write(Samples.spec(SourceTree.read(second, SourceTree.Permissions.NORMAL)), b))
                .isEqualTo(written);
        assertThat(a).hasSameBinaryContentAs(b);
    }

    @Test
    void localeZoneAndUmaskOfTheProcessDoNotReachTheImage() throws Exception {
        for (String umask : List.of("022", "077")) {
            Tools.succeed(
                    "sh",
                    "-c",
                    "umask " + umask + "; cd '" + folder + "' && mkdir -p " + umask + "/sub && cd " + umask
                            + " && echo x > \"$(printf 'sub/b\\344d \\303\\274')\""
                            + " && ln -s \"$(printf '\\377/')\" link && echo y > plain");
        }
        List<List<String>> environments =
                List.of(List.of("LC_ALL=C", "TZ=Asia/Kathmandu"), List.of("LC_ALL=C.UTF-8", "TZ=America/St_Johns"));
        List<Path> images = new ArrayList<>();
        for (String umask : List.of("022", "077")) {
            for (List<String> environment : environments) {
                Path image = folder.resolve("image-" + images.size());
                images.add(image);
                List<String> command = new ArrayList<>(List.of("env"));
                command.addAll(environment);
                command.addAll(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        PackProgram.class.getName(),
                        folder.resolve(umask).toString(),
                        image.toString()));
                Tools.succeed(command.toArray(new String[0]));
                assertThat(image).hasSameBinaryContentAs(images.getFirst());
            }
        }
        try (Image image = Image.open(images.getFirst())) {
            assertThat(image.entries().stream().map(ImageEntry::path)).contains("/sub/b\\xe4d \\xc3\\xbc");
        }
    }

    @Test
    void aSparseSourceAndAFullOneGiveTheSameBytes() throws Exception {
        byte[] bytes = new byte[1 << 20];
        bytes[500_000] = 1;
        Path sparse = Files.createDirectory(folder.resolve("sparse"));
        Path full = Files.createDirectory(folder.resolve("full"));
        Files.write(full.resolve("file"), bytes);
        try (FileChannel file =
                FileChannel.open(sparse.resolve("file"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(new byte[] {1}), 500_000);
            file.write(ByteBuffer.wrap(new byte[] {0}), bytes.length - 1);
        }
        ImageWriter.write(Samples.spec(SourceTree.read(sparse, SourceTree.Permissions.KEEP)), folder.resolve("a"));
        ImageWriter.write(Samples.spec(SourceTree.read(full, SourceTree.Permissions.KEEP)), folder.resolve("b"));
        assertThat(folder.resolve("a")).hasSameBinaryContentAs(folder.resolve("b"));
    }

    @Test
    void theFirstBytesAreAnElfHeaderThatLeadsIntoTheKernel() throws Exception {
        Path image = folder.resolve("image");
        ImageWriter.write(Samples.spec(Samples.tree()), image);
        byte[] bytes = Files.readAllBytes(image);
        ByteBuffer elf = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        assertThat(elf.getInt(0)).isEqualTo(0x464c457f);
        assertThat(elf.getLong(24)).isEqualTo(0x100000);
        assertThat(elf.getShort(56)).isEqualTo((short) 2);
        int loaded = (int) elf.getLong(64 + 8);
        assertThat(Arrays.copyOfRange(bytes, loaded, loaded + 904))
                .isEqualTo(Arrays.copyOfRange(Samples.kernel(), 4096, 5000));
        int note = (int) elf.getLong(120 + 8);
        assertThat(new String(bytes, note + 12, 3, StandardCharsets.US_ASCII)).isEqualTo("Xen");
    }

    @Test
    void segmentsCoverTheFileAndCarryTheirDigests() throws Exception {
        Path image = folder.resolve("image");
        ImageSpec spec = new ImageSpec(
                Samples.manifest(),
                Content.of(Samples.kernel()),
                Optional.of(Samples.directory().add("linux", Samples.file("adapter"))),
                Samples.tree());
        WrittenImage written = ImageWriter.write(spec, image);
        byte[] bytes = Files.readAllBytes(image);
        long at = 0;
        for (Segment segment : written.segments()) {
            assertThat(segment.offset()).isEqualTo(at);
            at += segment.sizeBytes();
            assertThat(segment.digest())
                    .isEqualTo(Digest.of(Arrays.copyOfRange(bytes, (int) segment.offset(), (int) at)));
        }
        assertThat(at).isEqualTo(bytes.length);
        assertThat(written.segments().get(2).sizeBytes()).isEqualTo(4096);
        assertThat(written.manifest().digests()).containsEntry("kernel", Digest.of(Samples.kernel()));
    }

    @Test
    void aChangedFileChangesOnlyMetadataAndItsSegment() {
        WrittenImage one = ImageWriter.write(
                Samples.spec(Samples.directory().add("f", Samples.file("one"))), folder.resolve("one"));
        WrittenImage two = ImageWriter.write(
                Samples.spec(Samples.directory().add("f", Samples.file("two"))), folder.resolve("two"));
        assertThat(one.segments().get(1)).isEqualTo(two.segments().get(1));
        assertThat(one.segments().get(2)).isEqualTo(two.segments().get(2));
        assertThat(one.segments().get(3)).isNotEqualTo(two.segments().get(3));
        assertThat(one.uuid()).isNotEqualTo(two.uuid());
    }

    @Test
    void refusalsSayWhatAndWhy() throws Exception {
        Path image = folder.resolve("image");
        assertThatThrownBy(() -> ImageWriter.write(
                        Samples.spec(Samples.directory().add("manifest", Samples.file("mine"))), image))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("'/manifest'")
                .hasMessageContaining("rename it");
        ImageSpec noKernel =
                new ImageSpec(Samples.manifest(), Content.of(new byte[100]), Optional.empty(), Samples.directory());
        assertThatThrownBy(() -> ImageWriter.write(noKernel, image))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("does not begin with an ELF header");
        assertThatThrownBy(() ->
                        ImageWriter.write(Samples.spec(Samples.directory()), folder.resolve("no/such/folder/image")))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("no/such/folder/image");
        Path source = source();
        Tools.succeed("mkfifo", source.resolve("pipe").toString());
        assertThatThrownBy(() -> SourceTree.read(source, SourceTree.Permissions.KEEP))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("pipe")
                .hasMessageContaining("take it out");
        assertThat(image).doesNotExist();
        try (var left = Files.list(folder)) {
            assertThat(left.map(path -> path.getFileName().toString())).containsExactly("source");
        }
    }

    @Test
    void aFileThatChangesWhileItIsPackedIsAnErrorAndLeavesTheOldImage() throws Exception {
        Path source = source();
        Path file = Files.writeString(source.resolve("file"), "before");
        Node.Directory tree = SourceTree.read(source, SourceTree.Permissions.KEEP);
        Path image = Files.writeString(folder.resolve("image"), "old");
        Files.writeString(file, "after, and longer");
        assertThatThrownBy(() -> ImageWriter.write(Samples.spec(tree), image))
                .isInstanceOf(ImageException.class)
                .hasMessageContaining("'/file'")
                .hasMessageContaining("meanwhile");
        assertThat(image).hasContent("old");
    }
}
