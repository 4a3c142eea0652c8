package dev.metacircular.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;

import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Against real registries: one over plain HTTP, one over TLS with a private authority and credentials. */
@Timeout(120)
final class RegistryClientTest {
    private static TestRegistry plain;
    private static TestRegistry tls;

    @TempDir
    private Path folder;

    @BeforeAll
    static void start() {
        plain = TestRegistry.plain();
        tls = TestRegistry.tls();
    }

    @AfterAll
    static void end() {
        plain.close();
        tls.close();
    }

    static void fails(Kind kind, ThrowingCallable call, String... parts) {
        assertThatThrownBy(call)
                .asInstanceOf(type(OciException.class))
                .satisfies(e -> assertThat(e.kind()).isEqualTo(kind))
                .satisfies(e -> assertThat(List.of(parts))
                        .allSatisfy(part -> assertThat(e.getMessage()).contains(part)));
    }

    private Path file(int bytes) throws IOException {
        byte[] content = new byte[bytes];
        new Random(bytes).nextBytes(content);
        return Files.write(folder.resolve("file-" + bytes), content);
    }

    private void goesThereAndBack(TestRegistry registry) throws IOException {
        Path file = file(3_000_000);
        List<Long> told = new ArrayList<>();
        try (RegistryClient client = registry.client()) {
            GuestArtifact.Pushed pushed =
                    GuestArtifact.push(client, "team/worker", "v1", file, "worker.img", (done, _) -> told.add(done));
            assertThat(told).isSorted().endsWith(3_000_000L);

            Document document = client.document("team/worker", "v1");
            assertThat(document.self()).isEqualTo(pushed.manifest());
            assertThat(client.document("team/worker", pushed.manifest().digest().text()))
                    .isEqualTo(document);
            Descriptor image =
                    GuestArtifact.imageOf("it", (Document.Manifest) document).orElseThrow();
            assertThat(image.digest()).isEqualTo(pushed.image().digest());
            assertThat(image.annotations()).containsEntry("org.opencontainers.image.title", "worker.img");

            Path back = folder.resolve("back");
            client.download("team/worker", image, back, Progress.NONE);
            assertThat(back).hasSameBinaryContentAs(file);
        }
    }

    @Test
    void anArtifactGoesThereAndBackOverPlainHttp() throws IOException {
        goesThereAndBack(plain);
    }

    @Test
    void anArtifactGoesThereAndBackOverTlsWithCredentialsAndAPrivateAuthority() throws IOException {
        goesThereAndBack(tls);
    }

    @Test
    void whatIsThereAlreadyIsNotSentAgain() throws IOException {
        Path file = file(500_000);
        try (RegistryClient client = plain.client()) {
            GuestArtifact.push(client, "again", "v1", file, "a", Progress.NONE);
            List<Long> told = new ArrayList<>();
            GuestArtifact.push(client, "again", "v2", file, "a", (done, _) -> told.add(done));
            assertThat(told).containsExactly(500_000L);
        }
    }

    @Test
    void whatIsNotThereIsSaid() {
        try (RegistryClient client = plain.client()) {
            fails(Kind.NOT_FOUND, () -> client.document("nothing", "v1"), "pull " + plain.host() + "/nothing:v1");
            fails(
                    Kind.NOT_FOUND,
                    () -> client.download(
                            "nothing",
                            Descriptor.of(GuestArtifact.LAYER_TYPE, new byte[] {1}),
                            folder.resolve("x"),
                            Progress.NONE));
            assertThat(folder.resolve("x")).doesNotExist();
        }
    }

    @Test
    void withoutCredentialsOneIsRefused() {
        Access anonymous = new Access(Optional.empty(), Optional.of(tls.caFile()), false);
        try (RegistryClient client = new RegistryClient(tls.host(), anonymous)) {
            fails(Kind.DENIED, () -> client.document("worker", "v1"), "no credentials are set");
        }
    }

    @Test
    void withWrongCredentialsOneIsRefusedAndTheyAreNotSaid() throws IOException {
        Path auth = folder.resolve("auth.json");
        Files.writeString(auth, "{\"auths\":{\"" + tls.host() + "/worker\":{\"auth\":\"cHVsbGVyOm90aGVy\"}}}");
        Access wrong = new Access(Optional.of(auth), Optional.of(tls.caFile()), false);
        try (RegistryClient client = new RegistryClient(tls.host(), wrong)) {
            assertThatThrownBy(() -> client.document("worker", "v1"))
                    .asInstanceOf(type(OciException.class))
                    .satisfies(e -> assertThat(e.kind()).isEqualTo(Kind.DENIED))
                    .satisfies(e -> assertThat(e.getMessage()).doesNotContain("other", "cHVs"));
        }
    }

    @Test
    void anUnknownAuthorityIsNotTrusted() {
        Access system = new Access(Optional.of(tls.authFile()), Optional.empty(), false);
        try (RegistryClient client = new RegistryClient(tls.host(), system)) {
            fails(Kind.UNREACHABLE, () -> client.document("worker", "v1"), "not trusted");
        }
    }

    @Test
    void plainHttpIsNotSpokenUnlessItIsAllowed() {
        try (RegistryClient client = new RegistryClient(plain.host(), Access.DEFAULT)) {
            fails(Kind.UNREACHABLE, () -> client.document("worker", "v1"), "speaks no TLS");
        }
    }

    @Test
    void anInsecureRegistryMaySpeakTlsWithAnyCertificate() {
        Access insecure = new Access(Optional.of(tls.authFile()), Optional.empty(), true);
        try (RegistryClient client = new RegistryClient(tls.host(), insecure)) {
            fails(Kind.NOT_FOUND, () -> client.document("nothing", "v1"));
        }
    }

    @Test
    void aRegistryThatIsNotThereIsUnreachable() {
        try (RegistryClient client = new RegistryClient("127.0.0.1:1", plain.access())) {
            fails(Kind.UNREACHABLE, () -> client.document("worker", "v1"), "no connection to https://127.0.0.1:1");
        }
        try (RegistryClient client = new RegistryClient("no.such.host.invalid", Access.DEFAULT)) {
            fails(Kind.UNREACHABLE, () -> client.document("worker", "v1"), "no.such.host.invalid");
        }
    }

    @Test
    void anEmptyBlobCanBeSent() {
        try (RegistryClient client = plain.client()) {
            Descriptor empty = client.upload("empty", "application/octet-stream", new byte[0]);
            assertThat(client.blob("empty", empty, 10)).isEmpty();
        }
    }
}
