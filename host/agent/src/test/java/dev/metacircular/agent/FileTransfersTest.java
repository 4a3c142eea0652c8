package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever lies in a service's folder and whoever changes it meanwhile: nothing outside is written or read. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FileTransfersTest {
    private static final Name SHOP = Name.of("shop");
    private static final long LIMIT = 1 << 20;
    private static final String TOLD = "what lies outside";

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path scratch;

    @SuppressWarnings("NullAway.Init")
    private Path services;

    @SuppressWarnings("NullAway.Init")
    private Path shop;

    @SuppressWarnings("NullAway.Init")
    private Path outside;

    @SuppressWarnings("NullAway.Init")
    private FileTransfers transfers;

    @BeforeEach
    void prepare() throws IOException {
        services = Files.createDirectories(scratch.resolve("srv"));
        shop = Files.createDirectories(services.resolve("shop"));
        outside = Files.createDirectories(services.resolve("other"));
        Files.writeString(outside.resolve("file"), TOLD);
        transfers = new FileTransfers(
                services, Files.createDirectories(scratch.resolve("agent")), LIMIT, HelperInThread::new);
    }

    private static FileTransfers.Source source(byte[]... chunks) {
        ArrayDeque<byte[]> left = new ArrayDeque<>(Arrays.asList(chunks));
        return () -> Optional.ofNullable(left.poll());
    }

    private FileTransfers.Written push(String path, String content) {
        return transfers.push(SHOP, path, 0, 0640, false, source(content.getBytes(StandardCharsets.UTF_8)));
    }

    private byte[] pull(String path) {
        ByteArrayOutputStream got = new ByteArrayOutputStream();
        transfers.pull(SHOP, path, new FileTransfers.Sink() {
            @Override
            public void facts(long sizeBytes, int mode) {}

            @Override
            public void data(byte[] chunk) {
                got.writeBytes(chunk);
            }
        });
        return got.toByteArray();
    }

    private static Problem refused(ThrowingCallable call) {
        ProblemException failure = catchThrowableOfType(ProblemException.class, call);
        assertThat(failure).as("a refusal").isNotNull();
        assertThat(failure.problem().where()).startsWith("shop:");
        assertThat(failure.problem().next()).as(failure.problem().what()).isNotEmpty();
        return failure.problem();
    }

    private void requireOutsideUntouched() throws IOException {
        assertThat(outside.resolve("file")).hasContent(TOLD);
        try (Stream<Path> all = Files.walk(scratch, new FileVisitOption[0])) {
            assertThat(all.filter(p -> !p.startsWith(shop)).filter(Files::isRegularFile))
                    .containsExactly(outside.resolve("file"));
        }
    }

    private void requireNothingUnfinished() throws IOException {
        try (Stream<Path> all = Files.walk(scratch)) {
            assertThat(all.filter(p -> p.getFileName().toString().startsWith(FileHelper.UNFINISHED)))
                    .isEmpty();
        }
    }

    private static String mode(Path file) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
    }

    private static void run(String... command) throws IOException {
        Programs.Result result = Programs.run(Duration.ofSeconds(20), List.of(command));
        assertThat(result.ok()).as(result.output()).isTrue();
    }

    @Test
    void aFileGoesThereAndBackAsItIs() throws IOException {
        byte[] content = new byte[200_000];
        new java.util.Random(1).nextBytes(content);
        FileTransfers.Written written = transfers.push(
                SHOP,
                "./a//b/ünïcödé",
                content.length,
                0751,
                true,
                source(Arrays.copyOf(content, 150_000), Arrays.copyOfRange(content, 150_000, 200_000)));
        assertThat(written).isEqualTo(new FileTransfers.Written("a/b/ünïcödé", 200_000, 0751));
        assertThat(mode(shop.resolve("a/b/ünïcödé"))).isEqualTo("rwxr-x--x");
        assertThat(pull("a/b/ünïcödé")).isEqualTo(content);

        assertThat(push("empty", "").sizeBytes()).isZero();
        assertThat(pull("empty")).isEmpty();
        requireNothingUnfinished();
    }

    /** All other tests have the helper in a thread, which is quicker and meets races more often. */
    @Test
    void itIsTheSameWithAHelperInAProcessOfItsOwn() throws IOException {
        transfers = new FileTransfers(services, scratch.resolve("agent"), LIMIT, FileProcess::inUserNamespace);
        push("file", "content");
        assertThat(pull("file")).asString().isEqualTo("content");
        assertThat(refused(() -> pull("absent")).kind()).isEqualTo(Problem.Kind.NOT_FOUND);
        stopHalfWay();
    }

    @Test
    void aServicesFolderIsMadeForItsFirstFile() {
        transfers.push(Name.of("new"), "conf", 0, 0600, false, source(new byte[] {'x'}));
        assertThat(services.resolve("new/conf")).hasContent("x");
    }

    @Test
    void oneThatIsThereKeepsItsModeAndOwnerAndItsOtherNamesTheirContent() throws IOException {
        Path file = Files.writeString(shop.resolve("conf"), "old");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r-----"));
        Path link = Files.createLink(shop.resolve("link"), file);
        boolean root = SystemUser.callerIsRoot();
        if (root) {
            run("chown", "1234:4321", file.toString());
        }
        assertThat(push("conf", "new").mode()).isEqualTo(0440);
        assertThat(file).hasContent("new");
        assertThat(mode(file)).isEqualTo("r--r-----");
        assertThat(link).as("a hard link of the old file").hasContent("old");
        if (root) {
            assertThat(Files.getAttribute(file, "unix:uid")).isEqualTo(1234);
            assertThat(Files.getAttribute(file, "unix:gid")).isEqualTo(4321);
            run("chown", "77:88", shop.toString());
            push("fresh", "x");
            assertThat(Files.getAttribute(shop.resolve("fresh"), "unix:uid")).isEqualTo(77);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                ".",
                "/",
                "..",
                "../other/file",
                "a/../../other/file",
                "/etc/passwd",
                "a\nb",
                "a\u0000b",
                "\u001b[2J",
                "not-utf8-\uFFFD",
                "folder/",
                ".mcp-push-0123456789abcdef",
            })
    void pathsThatAreNoneAreRefused(String path) throws IOException {
        assertThat(refused(() -> push(path, "x")).kind()).isEqualTo(Problem.Kind.INVALID);
        assertThat(refused(() -> pull(path)).kind()).isEqualTo(Problem.Kind.INVALID);
        requireOutsideUntouched();
    }

    @Test
    void longNamesAreRefusedAndTheLongestAreNot() {
        assertThat(refused(() -> push("a".repeat(256), "x")).kind()).isEqualTo(Problem.Kind.INVALID);
        assertThat(refused(() -> push("ä".repeat(128), "x")).kind()).isEqualTo(Problem.Kind.INVALID);
        assertThat(refused(() -> push("a/".repeat(2_500) + "a", "x")).kind()).isEqualTo(Problem.Kind.INVALID);
        push("a".repeat(255), "x");
        assertThat(pull("a".repeat(255))).hasSize(1);
    }

    @Test
    void linksThatLeadOutAreRefusedAndThoseWithinAreNot() throws IOException {
        Files.createSymbolicLink(shop.resolve("relative"), Path.of("../other"));
        Files.createSymbolicLink(shop.resolve("absolute"), outside);
        Files.createSymbolicLink(shop.resolve("file"), Path.of("../other/file"));
        Files.createSymbolicLink(shop.resolve("root"), Path.of("/proc/self/root"));
        for (String path : List.of("relative/file", "absolute/file", "file", "root/etc/passwd")) {
            assertThat(refused(() -> push(path, "x")).kind()).as(path).isEqualTo(Problem.Kind.CONFLICT);
            assertThat(refused(() -> pull(path)).kind()).as(path).isEqualTo(Problem.Kind.CONFLICT);
        }
        Files.createDirectories(shop.resolve("v2"));
        Files.createSymbolicLink(shop.resolve("current"), Path.of("v2"));
        push("current/conf", "within");
        assertThat(shop.resolve("v2/conf")).hasContent("within");
        assertThat(pull("current/conf")).asString().isEqualTo("within");

        Files.createSymbolicLink(services.resolve("link"), outside);
        ProblemException failure = catchThrowableOfType(
                ProblemException.class,
                () -> transfers.push(Name.of("link"), "file", 0, 0600, false, source(new byte[1])));
        assertThat(failure.problem().kind()).isEqualTo(Problem.Kind.CONFLICT);
        requireOutsideUntouched();
    }

    @Test
    void aHardLinkOfAFileThatMayBeAnothersIsNotRead() throws IOException {
        Files.createLink(shop.resolve("hard"), outside.resolve("file"));
        assertThat(refused(() -> pull("hard")).what()).contains("hard links");
        push("hard", "mine");
        assertThat(pull("hard")).asString().isEqualTo("mine");
        requireOutsideUntouched();
    }

    @Test
    void onlyFilesAreMovedAndNothingElseIsOpened() throws IOException {
        Files.createDirectories(shop.resolve("folder"));
        run("mkfifo", shop.resolve("fifo").toString());
        for (String path : List.of("folder", "fifo")) {
            assertThat(refused(() -> push(path, "x")).what()).contains("a " + (path.equals("fifo") ? "FIFO" : path));
            assertThat(refused(() -> pull(path)).what()).contains("a " + (path.equals("fifo") ? "FIFO" : path));
        }
        assertThat(refused(() -> pull("absent")).kind()).isEqualTo(Problem.Kind.NOT_FOUND);
        assertThat(refused(() -> push("absent/file", "x")).what()).contains("no folder absent");
        push("plain", "x");
        assertThat(refused(() -> push("plain/file", "x")).kind()).isEqualTo(Problem.Kind.CONFLICT);
        requireNothingUnfinished();
    }

    @Test
    void devicesAreRefused() throws IOException {
        Assumptions.assumeTrue(SystemUser.callerIsRoot(), "only root can make devices");
        run("mknod", shop.resolve("null").toString(), "c", "1", "3");
        run("mknod", shop.resolve("disk").toString(), "b", "7", "200");
        for (String path : List.of("null", "disk")) {
            assertThat(refused(() -> push(path, "x")).what()).contains("a device");
            assertThat(refused(() -> pull(path)).what()).contains("a device");
        }
    }

    @Test
    void whatIsTooLargeIsRefusedBeforeAndWhileItComes() throws IOException {
        push("file", "old");
        Problem early = refused(() -> transfers.push(SHOP, "file", LIMIT + 1, 0600, false, source()));
        assertThat(early.kind()).isEqualTo(Problem.Kind.EXHAUSTED);
        byte[] chunk = new byte[64 << 10];
        Problem late = refused(() -> transfers.push(SHOP, "file", 0, 0600, false, () -> Optional.of(chunk)));
        assertThat(late.kind()).isEqualTo(Problem.Kind.EXHAUSTED);
        assertThat(late.next()).contains("max_mb");
        assertThat(shop.resolve("file")).hasContent("old");

        Files.write(shop.resolve("large"), new byte[(int) LIMIT + 1]);
        assertThat(refused(() -> pull("large")).kind()).isEqualTo(Problem.Kind.EXHAUSTED);
        assertThat(pull("file")).asString().isEqualTo("old");
        requireNothingUnfinished();
    }

    @Test
    void aFullDiskIsToldAndLeavesTheOldFile() throws IOException {
        Assumptions.assumeTrue(SystemUser.callerIsRoot(), "only root can mount a small file system");
        Path small = Files.createDirectories(shop.resolve("small"));
        run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small.toString());
        try {
            push("small/file", "old");
            byte[] chunk = new byte[64 << 10];
            Problem full = refused(() ->
                    transfers.push(SHOP, "small/file", 0, 0600, false, source(chunk, chunk, chunk, chunk, chunk)));
            assertThat(full.kind()).isEqualTo(Problem.Kind.EXHAUSTED);
            assertThat(full.what()).contains("disk is full");
            assertThat(small.resolve("file")).hasContent("old");
            requireNothingUnfinished();
        } finally {
            run("umount", small.toString());
        }
    }

    @Test
    void oneThatStopsHalfWayLeavesTheOldFileAndNothingElse() throws IOException {
        stopHalfWay();
    }

    private void stopHalfWay() throws IOException {
        push("file", "old");
        AtomicBoolean first = new AtomicBoolean(true);
        CancellationException failure = catchThrowableOfType(
                CancellationException.class,
                () -> transfers.push(SHOP, "file", 0, 0600, false, () -> {
                    if (first.getAndSet(false)) {
                        return Optional.of(new byte[70_000]);
                    }
                    throw new CancellationException("gone");
                }));
        assertThat(failure).hasMessage("gone");
        assertThat(shop.resolve("file")).hasContent("old");
        requireNothingUnfinished();
    }

    @Test
    void whatADeadAgentLeftIsCollected() throws IOException {
        Path left = Files.writeString(shop.resolve(FileHelper.UNFINISHED + "00ff00ff00ff00ff"), "half");
        Path records = Files.createDirectories(scratch.resolve("agent/transfers"));
        Files.writeString(records.resolve(String.valueOf(left.getFileName())), "shop\nfile");
        Files.writeString(records.resolve(FileHelper.UNFINISHED + "1111111111111111"), "shop\ngone/file");
        Files.writeString(records.resolve(FileHelper.UNFINISHED + "2222222222222222"), "");
        Path vanished = Files.writeString(records.resolve(FileHelper.UNFINISHED + "3333333333333333"), "shop\nfile");
        List<Path> leftovers = transfers.leftovers();
        Files.delete(vanished);
        Path underWay = Files.writeString(records.resolve(FileHelper.UNFINISHED + "0000000000000000"), "shop\nfile");
        leftovers.sort(Comparator.comparing((Path p) -> !p.equals(vanished)));
        transfers.collectLeftovers(leftovers);
        assertThat(left).doesNotExist();
        assertThat(underWay).exists();
        Files.delete(underWay);
        assertThat(records).isEmptyDirectory();
    }

    /** A folder on the path is swapped with a link that leads out, as fast as it goes, while files are written and read. */
    @Test
    void aRaceOfSwappedFoldersAndFilesNeverLeadsOut() throws Exception {
        Files.createDirectories(shop.resolve("data"));
        Files.writeString(shop.resolve("data/file"), "inside");
        Path link = Files.createSymbolicLink(shop.resolve("link"), outside);
        AtomicBoolean ended = new AtomicBoolean();
        Thread attacker = Thread.ofPlatform().start(() -> {
            Path aside = shop.resolve("aside");
            while (!ended.get()) {
                try {
                    Files.move(shop.resolve("data"), aside);
                    Files.move(link, shop.resolve("data"));
                    Files.move(shop.resolve("data"), link);
                    Files.move(aside, shop.resolve("data"));
                    Path file = shop.resolve("data/file");
                    Files.deleteIfExists(file);
                    Files.createSymbolicLink(file, Path.of("../../other/file"));
                    Files.deleteIfExists(file);
                    Files.writeString(file, "inside");
                    try (Stream<Path> all = Files.list(shop.resolve("data"))) {
                        for (Path p : all.filter(p -> p.getFileName().toString().startsWith(".mcp-push-"))
                                .toList()) {
                            Files.deleteIfExists(p);
                            Files.createSymbolicLink(p, outside.resolve("file"));
                        }
                    }
                } catch (IOException e) {
                    // The other side was faster.
                }
            }
        });
        int refusals = 0;
        try {
            long end = System.nanoTime() + Duration.ofSeconds(6).toNanos();
            while (System.nanoTime() < end) {
                try {
                    push("data/file", "pushed");
                } catch (ProblemException e) {
                    refusals++;
                }
                try {
                    assertThat(pull("data/file")).asString().isIn("inside", "pushed", "");
                } catch (ProblemException e) {
                    refusals++;
                }
            }
        } finally {
            ended.set(true);
            attacker.join();
        }
        assertThat(refusals).as("the attack has hit").isPositive();
        assertThat(outside.resolve("file")).hasContent(TOLD);
        try (Stream<Path> all = Files.list(outside)) {
            assertThat(all).hasSize(1);
        }
    }

    @Test
    void aWriterThatIsCutOffWaitsForNobody() {
        FileTransfers.Source stuck = () -> {
            throw new CancellationException("cut");
        };
        for (int i = 0; i < 5; i++) {
            assertThat(catchThrowableOfType(
                            CancellationException.class, () -> transfers.push(SHOP, "file", 0, 0600, false, stuck)))
                    .isNotNull();
        }
        push("file", "all places are free again");
    }
}
