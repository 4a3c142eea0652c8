package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.image.AbiVersion;
import dev.metacircular.image.Attributes;
import dev.metacircular.image.Content;
import dev.metacircular.image.ImageSpec;
import dev.metacircular.image.ImageWriter;
import dev.metacircular.image.Manifest;
import dev.metacircular.image.Node;
import dev.metacircular.model.ImageRef;
import dev.metacircular.runtime.microvm.GuestImageOptions;
import dev.metacircular.runtime.microvm.GuestImages;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code mcp-agent load}. */
class LoadCommandTest {
    @TempDir
    private Path directory;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int load(String file, String name) {
        return Main.run(
                new PrintWriter(out, true),
                new PrintWriter(err, true),
                "load",
                "--dir",
                directory.toString(),
                file,
                name);
    }

    @Test
    void aGuestImageIsPutIntoTheNodesStore() throws IOException {
        Path kernel = Path.of("../../guest/zig-out/kernel/ukernel-full.elf");
        assumeTrue(Files.exists(kernel), "the guest is not built (./build)");
        Manifest manifest = new Manifest(
                "x", new AbiVersion(0, 1), "native", "/x", "/x", List.of("x"), Map.of(), List.of(), Map.of(), Map.of());
        Path file = directory.resolve("x.img");
        ImageWriter.write(
                new ImageSpec(manifest, Content.of(kernel), Optional.empty(), new Node.Directory(Attributes.of(0755))),
                file);
        assertThat(load(file.toString(), "localhost/x:v1")).as(err.toString()).isZero();
        assertThat(out.toString()).startsWith("loaded localhost/x:v1: sha256:");
        GuestImages images =
                new GuestImages(GuestImageOptions.of(directory.resolve("guest-images"), Map.of(), Optional.empty()));
        assertThat(images.image(ImageRef.parse("localhost/x:v1"))).isPresent();
        assertThat(images.images()).hasSize(1);
        InputStream before = System.in;
        try (InputStream in = Files.newInputStream(file)) {
            System.setIn(in);
            assertThat(load("-", "localhost/x:v2")).as(err.toString()).isZero();
        } finally {
            System.setIn(before);
        }
        assertThat(images.image(ImageRef.parse("localhost/x:v2"))).isPresent();
        assertThat(directory.resolve("guest-images/new")).isEmptyDirectory();
    }

    @Test
    void nothingIsReadForANameThatIsNone() throws IOException {
        InputStream before = System.in;
        InputStream in = new ByteArrayInputStream(new byte[5]);
        try {
            System.setIn(in);
            assertThat(load("-", "x")).isEqualTo(2);
            assertThat(load("-", "registry.example/x:v1")).isEqualTo(1);
        } finally {
            System.setIn(before);
        }
        assertThat(in.available()).isEqualTo(5);
    }

    @Test
    void anythingElseIsRefused() throws IOException {
        Path text = Files.writeString(directory.resolve("text"), "x".repeat(9000));
        assertThat(load(text.toString(), "localhost/x:v1")).isEqualTo(1);
        assertThat(err.toString()).contains("no sound guest image", "next: ");
        assertThat(load(text.toString(), "registry.example/x:v1")).isEqualTo(1);
        assertThat(err.toString()).contains("belongs to an image registry");
        assertThat(load(text.toString(), "x")).isEqualTo(2);
        assertThat(load(directory.resolve("none").toString(), "localhost/x:v1")).isEqualTo(1);
        assertThat(err.toString()).contains("NoSuchFileException");
    }
}
