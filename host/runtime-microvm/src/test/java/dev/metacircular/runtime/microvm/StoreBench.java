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
import dev.metacircular.oci.Progress;
import dev.metacircular.oci.RegistryClient;
import dev.metacircular.oci.TestRegistry;
import dev.metacircular.runtime.Image;
import dev.metacircular.runtime.PullListener;
import dev.metacircular.runtime.RuntimeFailure;
import dev.metacircular.runtime.RuntimeFailure.Kind;
import dev.metacircular.runtime.podman.RegistryOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A store of guest images, a real registry, and the kernel and programs of the guest's own build. */
abstract class StoreBench {
    static final PullListener NOBODY = (_, _, _) -> {};
    static final AtomicInteger NEXT = new AtomicInteger();

    static TestRegistry plain;
    static Path guest;

    @TempDir
    Path folder;

    String repository = "";
    GuestImages images;

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

    GuestImages reopened() {
        return new GuestImages(options(GuestImageOptions.Limits.DEFAULT));
    }

    GuestImageOptions options(GuestImageOptions.Limits limits) {
        return new GuestImageOptions(
                folder.resolve("guest-images"),
                Map.of(plain.host(), RegistryOptions.plainHttp()),
                Optional.of(guest),
                limits,
                Deadlines.DEFAULT);
    }

    ImageRef reference(String tag) {
        return ImageRef.parse(plain.host() + "/" + repository + ":" + tag);
    }

    static void fails(Kind kind, ThrowingCallable call, String... parts) {
        assertThatThrownBy(call)
                .asInstanceOf(type(RuntimeFailure.class))
                .satisfies(e -> assertThat(e.kind()).as(e.getMessage()).isEqualTo(kind))
                .satisfies(e -> assertThat(List.of(parts))
                        .allSatisfy(part -> assertThat(e.getMessage()).contains(part)));
    }

    /** What is left besides whole images. */
    void nothingHalfMade() throws IOException {
        assertThat(folder.resolve("guest-images/new")).isEmptyDirectory();
    }

    Path guestImage(String name) {
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

    Descriptor pushGuestImage(String tag, Path file) {
        try (RegistryClient registry = plain.client()) {
            return GuestArtifact.push(registry, repository, tag, file, "x", Progress.NONE)
                    .manifest();
        }
    }

    Descriptor pushOrdinary(String tag, OciImages.Recipe recipe) {
        try (RegistryClient registry = plain.client()) {
            return new OciImages(registry).push(repository, tag, recipe);
        }
    }

    Manifest manifest(Image image) {
        try (dev.metacircular.image.Image opened = dev.metacircular.image.Image.open(images.file(image.id()))) {
            opened.verify();
            return opened.manifest();
        }
    }

    List<String> files(Image image) {
        try (dev.metacircular.image.Image opened = dev.metacircular.image.Image.open(images.file(image.id()))) {
            return opened.entries().stream().map(ImageEntry::path).toList();
        }
    }

    static TarWriter program(byte[] program) {
        return new TarWriter().file("app/worker", 0755, program);
    }

    static TarWriter nativeProgram() {
        return program(OciImages.nativeProgram(guest));
    }

    static TarWriter linuxProgram() {
        return program(OciImages.elf(62, ""));
    }
}
