package dev.metacircular.oci;

import static dev.metacircular.oci.RegistryClientTest.fails;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.metacircular.oci.OciException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file of credentials: what is found in it, and that nothing of it is told. */
final class CredentialsTest {
    @TempDir
    private Path folder;

    private Path file(String text) throws IOException {
        return Files.writeString(folder.resolve("auth.json"), text);
    }

    @Test
    void theMostParticularEntryIsTaken() throws IOException {
        Path file = file("""
                {"auths": {
                  "r.example:5000": {"auth": "YTpi"},
                  "r.example:5000/team": {"auth": "YzpkOmU="},
                  "r.example:5000/team/web": {"identitytoken": "t0k"}
                }}""");
        assertThat(Credentials.find(file, "r.example:5000", "other/web")).contains(new Credentials.Password("a", "b"));
        assertThat(Credentials.find(file, "r.example:5000", "team/worker"))
                .contains(new Credentials.Password("c", "d:e"));
        assertThat(Credentials.find(file, "r.example:5000", "team/web")).contains(new Credentials.IdentityToken("t0k"));
        assertThat(Credentials.find(file, "r.example", "team/web")).isEqualTo(Optional.empty());
    }

    @Test
    void nothingOfAFileThatIsNoneIsTold() throws IOException {
        String secret = "cHVsbGVyOnMzY3JldA";
        for (String text : List.of(
                secret + "==",
                "{\"auths\":{\n \"r\":{\"auth\":" + secret + "}}}",
                "{\"auths\":{\"r\":{\"auth\":\"" + secret + "\n\"}}}",
                "{\"auths\":{\"r\":{\"auth\":\"" + secret + "!\"}}}",
                "{\"auths\":{\"r\":{\"auth\":\"" + secret)) {
            Path file = file(text);
            fails(Kind.FAILED, () -> Credentials.find(file, "r", "x"), file.toString());
            Throwable all = catchThrowable(() -> Credentials.find(file, "r", "x"));
            assertThat(all).hasNoCause();
            assertThat(all.getMessage()).doesNotContain(secret.substring(0, 8));
        }
        Path file = file("{\n  " + secret);
        fails(Kind.FAILED, () -> Credentials.find(file, "r", "x"), "are no JSON (line 2, column ");
        Path large = file(" ".repeat(Credentials.MAX_FILE_BYTES + 1));
        fails(Kind.FAILED, () -> Credentials.find(large, "r", "x"), "more than 1048576 bytes");
    }
}
