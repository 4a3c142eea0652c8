package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.ImageEntry;
import dev.metacircular.image.ImageSpec;
import dev.metacircular.image.ImageWriter;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Node;
import dev.metacircular.model.ImageRef;
import dev.metacircular.oci.Deadlines;
import dev.metacircular.oci.Descriptor;
import dev.metacircular.oci.GuestArtifact;
import dev.metacircular.oci.MediaTypes;
import dev.metacircular.oci.Progress;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.TestRegistry;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.podman.RegistryOptions;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The store of guest images with a real registry, and with the kernel and programs of the guest's own build. */
@Timeout(120)
final class GuestImagesTest {
    private static final PullListener NOBODY = (_, _, _) -> {};
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestRegistry plain;
    private static Path guest;

    @TempDir
    private Path folder;

    private String repository = "";
    private GuestImages images;

    @BeforeAll
    static void start() {
        guest = Path.of("../../guest/zig-out").toAbsolutePath().normalize();
        assumeTrue(
                GuestSystem.in(guest).isPresent() && Files.exists(guest.resolve("tests/hello")),
                "the guest is not built (./build)");
        plain = TestRegistry.plain();
    }

    @AfterAll
    static void end() {
        if (plain != null) {
            plain.close();
        }
    }

    @BeforeEach
    void open() {
        repository = "r" + NEXT.incrementAndGet() + "/worker";
        images = reopened();
    }

    private GuestImages reopened() {
        return new GuestImages(options(GuestImageOptions.Limits.DEFAULT));
    }

    private GuestImageOptions options(GuestImageOptions.Limits limits) {
        return new GuestImageOptions(
                folder.resolve("guest-images"),
                Map.of(plain.host(), RegistryOptions.plainHttp()),
                Optional.of(guest),
                limits,
                Deadlines.DEFAULT);
    }

    private ImageRef reference(String tag) {
        return ImageRef.parse(plain.host() + "/" + repository + ":" + tag);
    }

    private static void fails(Kind kind, ThrowingCallable call, String... parts) {
        assertThatThrownBy(call)
                .asInstanceOf(type(RuntimeFailure.class))
                .satisfies(e -> assertThat(e.kind()).as(e.getMessage()).isEqualTo(kind))
                .satisfies(e -> assertThat(List.of(parts))
                        .allSatisfy(part -> assertThat(e.getMessage()).contains(part)));
    }

    /** What is left besides whole images. */
    private void nothingHalfMade() throws IOException {
        assertThat(folder.resolve("guest-images/new")).isEmptyDirectory();
    }

    private Path guestImage(String name) {
        Path file = folder.resolve(name);
        try {
            Manifest manifest = new Manifest(
                    name,
                    new AbiVersion(0, 1),
                    "native",
                    "/app/hello",
                    "/app/hello",
                    List.of("hello"),
                    Map.of(),
                    List.of(),
                    Map.of(),
                    Map.of());
            Node.Directory root = new Node.Directory(Attributes.of(0755))
                    .add(
                            "app",
                            new Node.Directory(Attributes.of(0755))
                                    .add(
                                            "hello",
                                            new Node.RegularFile(
                                                    Attributes.of(0755), Content.of(guest.resolve("tests/hello")))));
            ImageWriter.write(
                    new ImageSpec(
                            manifest, Content.of(guest.resolve("kernel/ukernel-full.elf")), Optional.empty(), root),
                    file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return file;
    }

    private Descriptor pushGuestImage(String tag, Path file) {
        try (RegistryClient registry = plain.client()) {
            return GuestArtifact.push(registry, repository, tag, file, "x", Progress.NONE)
                    .manifest();
        }
    }

    private Descriptor pushOrdinary(String tag, OciImages.Recipe recipe) {
        try (RegistryClient registry = plain.client()) {
            return new OciImages(registry).push(repository, tag, recipe);
        }
    }

    private Manifest manifest(Image image) {
        try (dev.metacircular.image.Image opened = dev.metacircular.image.Image.open(images.file(image.id()))) {
            opened.verify();
            return opened.manifest();
        }
    }

    private List<String> files(Image image) {
        try (dev.metacircular.image.Image opened = dev.metacircular.image.Image.open(images.file(image.id()))) {
            return opened.entries().stream().map(ImageEntry::path).toList();
        }
    }

    private static TarWriter program(byte[] program) {
        return new TarWriter().file("app/worker", 0755, program);
    }

    private static TarWriter nativeProgram() {
        return program(OciImages.nativeProgram(guest));
    }

    private static TarWriter linuxProgram() {
        return program(OciImages.elf(62, ""));
    }

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
        assertThat(orphan).doesNotExist();
        assertThat(again.images()).containsExactly(image);
        nothingHalfMade();
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

    @Test
    void aNativeProgramIsPackedWithTheNodesKernel() {
        Descriptor manifest = pushOrdinary(
                "v1",
                new OciImages.Recipe()
                        .entrypoint("/app/worker", "--fast")
                        .cmd("one", "two")
                        .env("A=1", "B=x=y", "bad")
                        .layer(nativeProgram())
                        .layer(new TarWriter().file("etc/worker.conf", "x")));
        Image image = images.pull(reference("v1"), NOBODY);
        assertThat(image.digest()).isEqualTo(manifest.digest().text());
        Manifest packed = manifest(image);
        assertThat(packed.name()).isEqualTo("worker");
        assertThat(packed.adapter()).isEqualTo("native");
        assertThat(packed.start()).isEqualTo("/app/worker").isEqualTo(packed.entry());
        assertThat(packed.arguments()).containsExactly("/app/worker", "--fast");
        assertThat(packed.environment()).isEqualTo(Map.of("A", "1", "B", "x=y"));
        assertThat(images.command(image.id())).containsExactly("one", "two");
        assertThat(files(image)).contains("/app/worker", "/etc/worker.conf").doesNotContain("/adapter");
    }

    @Test
    void aLinuxProgramIsPackedWithTheAdapterAndFoundOnItsPath() {
        pushOrdinary(
                "v1",
                new OciImages.Recipe()
                        .cmd("worker", "serve")
                        .env("PATH=/bin:/opt/bin")
                        .layerType(MediaTypes.LAYER_TAR)
                        .layer(linuxProgram()
                                .file("bin/worker", "not executable")
                                .link("opt/bin/worker", "../../app/worker")));
        Image image = images.pull(reference("v1"), NOBODY);
        Manifest packed = manifest(image);
        assertThat(packed.adapter()).isEqualTo("linux");
        assertThat(packed.start()).isEqualTo("/adapter/linux");
        assertThat(packed.entry()).isEqualTo("/app/worker");
        assertThat(packed.arguments()).containsExactly("worker");
        assertThat(images.command(image.id())).containsExactly("serve");
        assertThat(packed.capabilities().stream().map(Object::toString)).contains("mem:exec-write", "net");
        assertThat(files(image)).contains("/adapter/linux");
    }

    @Test
    void anImageThatWasPackedIsNotPackedAgainUnlessTheKernelChanges() throws IOException {
        OciImages.Recipe recipe =
                new OciImages.Recipe().entrypoint("/app/worker").layer(linuxProgram());
        pushOrdinary("v1", recipe);
        Image one = images.pull(reference("v1"), NOBODY);
        pushOrdinary("v2", recipe);
        Image two = images.pull(reference("v2"), NOBODY);
        assertThat(two.id()).isEqualTo(one.id());
        assertThat(two.references()).hasSize(2);
        Object made = Files.getLastModifiedTime(images.file(one.id()));
        images.pull(reference("v1"), NOBODY);
        assertThat(Files.getLastModifiedTime(images.file(one.id()))).isEqualTo(made);

        Path other = folder.resolve("guest");
        for (String part : List.of("kernel/ukernel-full.elf", "adapters/linux", "sdk/include/ukernel.h")) {
            Files.createDirectories(other.resolve(part).getParent());
            Files.copy(guest.resolve(part), other.resolve(part));
        }
        Files.copy(
                guest.resolve("kernel/ukernel-net.elf"),
                other.resolve("kernel/ukernel-full.elf"),
                java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        guest = other;
        try {
            assertThat(reopened().pull(reference("v1"), NOBODY).id()).isNotEqualTo(one.id());
        } finally {
            guest = Path.of("../../guest/zig-out").toAbsolutePath().normalize();
        }
        assertThat(images.images()).hasSize(2);
        nothingHalfMade();
    }

    @Test
    void ofAnIndexTheImageForThisMachineIsTaken() {
        try (RegistryClient registry = plain.client()) {
            OciImages images = new OciImages(registry);
            OciImages.Recipe recipe =
                    new OciImages.Recipe().entrypoint("/app/worker").layer(linuxProgram());
            Descriptor amd64 = images.push(repository, "amd64", recipe);
            Descriptor arm64 = images.push(repository, "arm64", recipe.architecture("arm64"));
            Descriptor index = images.pushIndex(repository, "v1", Map.of("amd64", amd64, "arm64", arm64));
            assertThat(this.images.pull(reference("v1"), NOBODY).digest())
                    .isEqualTo(index.digest().text());
            images.pushIndex(repository, "v2", Map.of("arm64", arm64));
        }
        fails(
                Kind.UNSUPPORTED,
                () -> images.pull(reference("v2"), NOBODY),
                "not for linux/amd64, only for linux/arm64");
        fails(Kind.UNSUPPORTED, () -> images.pull(reference("arm64"), NOBODY), "it is for linux/arm64");
    }

    private void refused(Kind kind, OciImages.Recipe recipe, String... why) {
        String tag = "t" + NEXT.incrementAndGet();
        pushOrdinary(tag, recipe);
        fails(kind, () -> images.pull(reference(tag), NOBODY), why);
    }

    private static OciImages.Recipe recipe(TarWriter layer) {
        return new OciImages.Recipe().entrypoint("/app/worker").layer(layer);
    }

    @Test
    void whatCannotRunIsRefusedWithTheReason() throws IOException {
        Kind no = Kind.UNSUPPORTED;
        refused(no, new OciImages.Recipe().layer(linuxProgram()), "it names no program");
        refused(
                no,
                new OciImages.Recipe().cmd("/bin/sh", "-c", "worker").layer(linuxProgram()),
                "starts the shell '/bin/sh'");
        refused(no, new OciImages.Recipe().entrypoint("tini", "--", "worker").layer(linuxProgram()), "starts 'tini'");
        refused(no, new OciImages.Recipe().entrypoint("/nowhere").layer(linuxProgram()), "'/nowhere' is not in it");
        refused(no, new OciImages.Recipe().entrypoint("app").layer(linuxProgram()), "'app' is not in it");
        refused(no, recipe(new TarWriter().file("app/worker", "x")), "is not executable");
        refused(
                no,
                recipe(program("#!/usr/bin/python3\nprint(1)\n".getBytes(StandardCharsets.UTF_8))),
                "'/app/worker' is a script for '/usr/bin/python3'");
        refused(no, recipe(program("text".getBytes(StandardCharsets.UTF_8))), "is no ELF file");
        refused(no, recipe(program(OciImages.elf(183, ""))), "a program for ARM of 64 bits");
        refused(
                no,
                recipe(program(OciImages.elf(62, "/lib64/ld-linux-x86-64.so.2"))),
                "needs the interpreter '/lib64/ld-linux-x86-64.so.2'");
        byte[] newer = OciImages.nativeProgram(guest);
        int note = new String(newer, StandardCharsets.ISO_8859_1).indexOf("ukernel\0");
        newer[note + 12] = (byte) 200;
        refused(no, recipe(program(newer)), "version 0.200 of the kernel's interface");
        refused(no, recipe(linuxProgram()).layerType(MediaTypes.LAYER_ZSTD), "compressed by gzip");
        assertThat(images.images()).isEmpty();
        nothingHalfMade();
    }

    @Test
    void aDynamicProgramWithItsInterpreterIsTaken() {
        byte[] program = OciImages.elf(62, "/lib64/ld.so");
        pushOrdinary("v1", recipe(program(program).link("lib64", "usr/lib64").file("usr/lib64/ld.so", "x")));
        assertThat(manifest(images.pull(reference("v1"), NOBODY)).adapter()).isEqualTo("linux");
    }

    @Test
    void maliciousAndDamagedImagesAreRefusedAndLeaveNothing() throws IOException {
        images = new GuestImages(options(new GuestImageOptions.Limits(1 << 30, 4 << 20, 100, 10)));
        Kind bad = Kind.INVALID;
        refused(bad, recipe(linuxProgram().file("../../escape", "x")), "leads upwards");
        refused(bad, recipe(linuxProgram().entry('3', "app/disk", "", 0600, 0, new byte[0])), "a device or a pipe");
        refused(bad, recipe(linuxProgram().file("kernel", "x")), "'/kernel'");
        refused(bad, recipe(linuxProgram().file("d/".repeat(11) + "x", "")), "more than 10 deep");
        refused(
                bad,
                recipe(linuxProgram().file("zeros", 0644, new byte[5 << 20])),
                "unpack to more than 4194304 bytes");
        refused(bad, recipe(linuxProgram()).wrongDiffIds(), "its configuration says");
        refused(bad, recipe(linuxProgram()).layer(new byte[] {1, 2, 3}), "is damaged");
        TarWriter many = linuxProgram();
        for (int i = 0; i < 100; i++) {
            many.file("f" + i, "");
        }
        refused(bad, recipe(many), "more than 100 files");
        refused(bad, recipe(linuxProgram()).env("A=" + "x".repeat(70_000)), "manifest");
        assertThat(images.images()).isEmpty();
        assertThat(folder).isDirectoryNotContaining("glob:**escape");
        nothingHalfMade();
    }

    @Test
    void withoutAKernelOrdinaryImagesAreRefused() {
        pushOrdinary("v1", recipe(linuxProgram()));
        images = new GuestImages(GuestImageOptions.of(
                folder.resolve("other"), Map.of(plain.host(), RegistryOptions.plainHttp()), Optional.empty()));
        fails(Kind.UNSUPPORTED, () -> images.pull(reference("v1"), NOBODY), "no kernel to pack it with");
    }
}
