package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.metacircular.image.Attributes;
import dev.metacircular.image.FileName;
import dev.metacircular.image.Node;
import dev.metacircular.oci.Sha256;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers over one another, and what an archive may try. */
final class LayerReaderTest {
    @TempDir
    private Path folder;

    private Spool spool;
    private RootTree tree = new RootTree(1000, 20);
    private LayerReader layers;

    @BeforeEach
    void start() throws IOException {
        spool = new Spool(folder.resolve("spool"));
        layers = new LayerReader(tree, spool, 1 << 20, _ -> {});
    }

    @AfterEach
    void end() throws IOException {
        spool.close();
    }

    private Sha256 add(TarWriter tar) throws IOException {
        return add(tar.bytes());
    }

    private Sha256 add(byte[] archive) throws IOException {
        return layers.add(new ByteArrayInputStream(archive));
    }

    /** All names, folders with a slash, links with their targets, files with their contents. */
    private List<String> all() throws IOException {
        List<String> all = new ArrayList<>();
        list(tree.toNode(), "", all);
        return all;
    }

    private static void list(Node.Directory directory, String path, List<String> all) throws IOException {
        for (var entry : directory.entries().entrySet()) {
            String name = path + entry.getKey();
            switch (entry.getValue()) {
                case Node.Directory below -> {
                    all.add(name + "/");
                    list(below, name + "/", all);
                }
                case Node.SymbolicLink link ->
                    all.add(name + " -> " + new String(link.target(), StandardCharsets.UTF_8));
                case Node.RegularFile file -> {
                    try (InputStream in = file.content().open()) {
                        all.add(name + "=" + new String(in.readAllBytes(), StandardCharsets.UTF_8));
                    }
                }
            }
        }
    }

    @Test
    void anUpperLayerReplacesHidesAndAdds() throws IOException {
        add(new TarWriter()
                .folder("etc/")
                .file("etc/a", "1")
                .file("etc/b", "1")
                .file("old/x/y", "1")
                .file("kept/z", "1")
                .file("swap/inner", "1"));
        add(new TarWriter()
                .file("./etc/b", "2")
                .file("etc/.wh.a", "")
                .file("new", "2")
                .file("kept/.wh..wh..opq", "")
                .file("kept/w", "2")
                .file(".wh.old", "")
                .file("swap", "2")
                .file(".wh..wh.plnk", ""));
        assertThat(all()).containsExactly("etc/", "etc/b=2", "kept/", "kept/w=2", "new=2", "swap=2");
    }

    @Test
    void aWhiteoutHidesOnlyWhatIsBelowWhateverTheOrderInItsLayer() throws IOException {
        add(new TarWriter().file("d/old", "1").file("f", "1"));
        add(new TarWriter()
                .file("d/fresh", "2")
                .file("d/.wh..wh..opq", "")
                .file("f", "2")
                .file(".wh.f", "")
                .file(".wh.d", ""));
        assertThat(all()).containsExactly("d/", "d/fresh=2", "f=2");
    }

    @Test
    void namesLeadThroughLinksAndNeverOut() throws IOException {
        add(new TarWriter()
                .link("lib", "usr/lib")
                .link("up", "../../../..")
                .link("abs", "/usr")
                .file("usr/lib/a", "1")
                .link("usr/to-a", "../lib/./a"));
        add(new TarWriter().file("lib/b", "2").file("up/root-file", "2").file("abs/c", "2"));
        assertThat(all())
                .containsExactly(
                        "abs -> /usr",
                        "lib -> usr/lib",
                        "root-file=2",
                        "up -> ../../../..",
                        "usr/",
                        "usr/c=2",
                        "usr/lib/",
                        "usr/lib/a=1",
                        "usr/lib/b=2",
                        "usr/to-a -> ../lib/./a");
        assertThat(tree.find("/usr/../up/abs/to-a").orElseThrow().path()).isEqualTo("/usr/lib/a");
        assertThat(tree.find("/usr/lib")).isEmpty();
        assertThat(tree.find("/usr/lib/a/b")).isEmpty();
    }

    @Test
    void aHardLinkIsTheSameFileAndStaysWhenTheOtherNameGoes() throws IOException {
        add(new TarWriter().file("a", "1").hardLink("b", "a"));
        Node.Directory before = tree.toNode();
        assertThat(before.entries().get(FileName.of("b")))
                .isSameAs(before.entries().get(FileName.of("a")));
        add(new TarWriter().file(".wh.a", ""));
        assertThat(all()).containsExactly("b=1");
    }

    @Test
    void longNamesAreReadInEveryForm() throws IOException {
        String name = "d/" + "n".repeat(150);
        byte[] long1 = (name + "1\0").getBytes(StandardCharsets.UTF_8);
        add(new TarWriter()
                .entry('L', "././@LongLink", "", 0, long1.length, long1)
                .file("short", "1")
                .pax("path=" + name + "2", "mtime=1600000000.5", "uid=70000")
                .file("short", "2")
                .pax("linkpath=" + name + "1")
                .hardLink("third", "x"));
        assertThat(all()).containsExactly("d/", name + "1=1", name + "2=2", "third=1");
    }

    @Test
    void ownersModesAndTimesStay() throws IOException {
        add(new TarWriter()
                .pax("mtime=1600000000.5", "uid=70000")
                .file("a", 04755, new byte[0])
                .pax("mtime=-5")
                .folder("b"));
        Node.Directory root = tree.toNode();
        Attributes a =
                Objects.requireNonNull(root.entries().get(FileName.of("a"))).attributes();
        assertThat(a).isEqualTo(new Attributes(04755, 70000, 1000, Instant.ofEpochSecond(1_600_000_000)));
        Attributes b =
                Objects.requireNonNull(root.entries().get(FileName.of("b"))).attributes();
        assertThat(b.modified()).isEqualTo(Instant.EPOCH);
    }

    @Test
    void theDigestIsOfTheWholeArchive() throws IOException {
        byte[] archive = new TarWriter().file("a", "1").bytes();
        byte[] padded = Arrays.copyOf(archive, archive.length + 10_000);
        assertThat(add(padded)).isEqualTo(Sha256.of(padded));
    }

    @Test
    void devicesAreLeftOutBelowDevAndRefusedElsewhere() throws IOException {
        add(new TarWriter().entry('3', "dev/console", "", 0600, 0, new byte[0]));
        assertThat(all()).isEmpty();
        for (char type : new char[] {'3', '4', '6'}) {
            TarWriter tar = new TarWriter().entry(type, "etc/x", "", 0600, 0, new byte[0]);
            assertThatThrownBy(() -> add(tar)).hasMessageContaining("'etc/x' is a device or a pipe");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"../etc/passwd", "a/../../b", "/..", "..", "a/.."})
    void namesThatLeadUpwardsAreRefused(String path) {
        assertThatThrownBy(() -> add(new TarWriter().file(path, "x"))).hasMessageContaining("leads upwards");
        assertThatThrownBy(() -> add(new TarWriter().file("a", "").hardLink("b", path)))
                .isInstanceOf(RootTree.BadTree.class);
    }

    @Test
    void anAbsoluteNameIsBelowTheRoot() throws IOException {
        add(new TarWriter().file("/etc/x", "1"));
        assertThat(all()).containsExactly("etc/", "etc/x=1");
    }

    @Test
    void whatHasNoEndIsRefused() throws IOException {
        add(new TarWriter().link("a", "b").link("b", "a").link("self", "self/x"));
        assertThatThrownBy(() -> add(new TarWriter().file("a/x", ""))).hasMessageContaining("more than 40 links");
        assertThatThrownBy(() -> add(new TarWriter().file("self/x", ""))).hasMessageContaining("more than 40 links");
        assertThat(tree.find("/a")).isEmpty();
    }

    @Test
    void linksToNothingFoldersOverFilesAndTheRootAreRefused() {
        for (TarWriter tar : List.of(
                new TarWriter().hardLink("a", "nothing"),
                new TarWriter().folder("d/").hardLink("a", "d"),
                new TarWriter().file("f", "").file("f/x", ""),
                new TarWriter().link("./", "x"),
                new TarWriter().hardLink("a", ""),
                new TarWriter().file(".wh.", ""),
                new TarWriter().file(".wh...", ""))) {
            assertThatThrownBy(() -> add(tar)).isInstanceOf(RootTree.BadTree.class);
        }
    }

    @Test
    void tooManyTooDeepAndTooMuchAreRefused() {
        TarWriter many = new TarWriter();
        for (int i = 0; i < 1001; i++) {
            many.file("f" + i, "");
        }
        assertThatThrownBy(() -> new LayerReader(new RootTree(1000, 20), spool, 1 << 20, _ -> {})
                        .add(new ByteArrayInputStream(many.bytes())))
                .hasMessageContaining("more than 1000 files");
        assertThatThrownBy(() -> add(new TarWriter().file("d/".repeat(21) + "x", "")))
                .hasMessageContaining("more than 20 deep");
        assertThatThrownBy(() -> add(new TarWriter().file("big", 0644, new byte[1 << 20])))
                .hasMessageContaining("more than 1048576 bytes");
    }

    @Test
    void whatWouldFillTheMemoryIsRefused() throws IOException {
        layers = new LayerReader(tree, spool, 1 << 24, _ -> {});
        String comment = "comment=" + "x".repeat(1_000_000);
        assertThatThrownBy(() -> add(
                        new TarWriter().pax(comment).pax(comment).pax(comment).file("a", "")))
                .isInstanceOf(TarReader.BadArchive.class)
                .hasMessage("the extended headers of an entry have more than 2097152 bytes");
        TarWriter sound = new TarWriter();
        for (int i = 0; i < 3; i++) {
            sound.pax(comment).file("c" + i, "");
        }
        new LayerReader(new RootTree(10, 5), spool, 1 << 22, _ -> {}).add(new ByteArrayInputStream(sound.bytes()));

        tree = new RootTree(40_000, 20);
        layers = new LayerReader(tree, spool, 1 << 24, _ -> {});
        TarWriter links = new TarWriter();
        String target = "linkpath=" + "t".repeat(4095);
        for (int i = 0; i < 1000; i++) {
            links.pax(target).link("d/l" + i, "x");
        }
        add(links);
        // What is taken away does not count.
        add(new TarWriter().file(".wh.d", ""));
        add(links);
        TarWriter more = new TarWriter();
        for (int i = 0; i < 100; i++) {
            more.pax(target).link("m" + i, "x");
        }
        assertThatThrownBy(() -> add(more))
                .isInstanceOf(RootTree.BadTree.class)
                .hasMessage("the names of its files and the targets of its links have more than 4194304 bytes");
    }

    @Test
    void thereIsALookForRoomEverySixtyFourMebibytes() {
        List<Long> looks = new ArrayList<>();
        layers = new LayerReader(tree, spool, 1 << 30, next -> {
            looks.add(next);
            if (looks.size() == 2) {
                throw new RootTree.BadTree("no room");
            }
        });
        InputStream endless = new SequenceInputStream(
                new ByteArrayInputStream(new TarWriter().file("a", "1").bytes()), new InputStream() {
                    @Override
                    public int read() {
                        return 0;
                    }

                    @Override
                    public int read(byte[] buffer, int offset, int length) {
                        Arrays.fill(buffer, offset, offset + length, (byte) 0);
                        return length;
                    }
                });
        assertThatThrownBy(() -> layers.add(endless)).hasMessage("no room");
        assertThat(looks).containsExactly(64L << 20, 64L << 20);
        assertThat(layers.bytes()).isBetween(64L << 20, 65L << 20);
    }

    @Test
    void aSizeThatNoNumberCanCountWithItsPaddingPassesOverEverything() {
        byte[] archive = new TarWriter().file("d/.wh.a", "").file("hidden", "1").bytes();
        // GNU tar's binary form of the largest number, of a content that nobody reads.
        Arrays.fill(archive, 124, 136, (byte) 0xff);
        archive[124] = (byte) 0x80;
        Arrays.fill(archive, 125, 128, (byte) 0);
        archive[128] = 0x7f;
        mendChecksum(archive, 0);
        assertThatThrownBy(() -> add(archive)).isInstanceOf(EOFException.class);
    }

    @Test
    void anArchiveThatIsCutAnywhereIsRefused() {
        byte[] archive =
                new TarWriter().pax("path=long").file("a", "x".repeat(700)).bytes();
        int content = archive.length - 1024;
        for (int at = 1; at < content; at += 97) {
            byte[] cut = Arrays.copyOf(archive, at);
            // Between two entries an archive without its end is taken, as by others.
            if (at % 512 != 0) {
                assertThatThrownBy(() -> add(cut)).isInstanceOf(IOException.class);
            }
        }
    }

    @Test
    void archivesOfNoiseAreRefusedOrReadButNothingElseHappens() {
        Random random = new Random(13);
        byte[] sound = new TarWriter()
                .pax("path=long")
                .file("a", "x")
                .folder("d")
                .link("l", "a")
                .hardLink("h", "long")
                .bytes();
        for (int round = 0; round < 2000; round++) {
            byte[] noisy = sound.clone();
            int header = random.nextInt(noisy.length / 512) * 512;
            for (int i = 0; i < 1 + random.nextInt(4); i++) {
                noisy[header + random.nextInt(512)] = (byte) random.nextInt();
            }
            mendChecksum(noisy, header);
            try {
                new LayerReader(new RootTree(100, 5), spool, 1 << 20, _ -> {}).add(new ByteArrayInputStream(noisy));
            } catch (IOException | RootTree.BadTree | dev.metacircular.image.ImageException e) {
                assertThat(e.getMessage()).isNotBlank();
            }
        }
    }

    private static void mendChecksum(byte[] archive, int header) {
        Arrays.fill(archive, header + 148, header + 156, (byte) ' ');
        int sum = 0;
        for (int i = 0; i < 512; i++) {
            sum += archive[header + i] & 0xff;
        }
        byte[] digits = "%06o\0 ".formatted(sum).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(digits, 0, archive, header + 148, 8);
    }

    @Test
    void whatIsNotUnderstoodIsRefused() {
        for (TarWriter tar : List.of(
                new TarWriter().entry('S', "sparse", "", 0644, 0, new byte[0]),
                new TarWriter().pax("GNU.sparse.major=1").file("sparse", ""),
                new TarWriter().entry('5', "d", "", 0755, 5, new byte[5]),
                new TarWriter().pax("size=99999999999999999999").file("a", ""),
                new TarWriter().pax("path=" + "x".repeat(5000)).file("a", ""))) {
            assertThatThrownBy(() -> add(tar)).isInstanceOf(TarReader.BadArchive.class);
        }
    }
}
