package dev.metacircular.runtime.podman;

import static org.assertj.core.api.Assertions.assertThat;

import dev.metacircular.runtime.UserIds;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ContainerUserTest {
    private static final Map<String, String> FILES = Map.of("/etc/passwd", """
            root:x:0:0:root:/root:/bin/sh
            app:x:1234:2345::/:/bin/sh
            broken:x:12
            7:x:8:9::/:
            """, "/etc/group", """
            root:x:0:
            staff:x:50:app
            """);

    private static Optional<UserIds> resolve(String user) {
        return ContainerUser.resolve(user, path -> FILES.getOrDefault(path, ""));
    }

    @ParameterizedTest
    @CsvSource({
        "'', 0:0",
        "root, 0:0",
        "0, 0:0",
        "0:50, 0:50",
        "app, 1234:2345",
        "1234, 1234:2345",
        "app:staff, 1234:50",
        "app:77, 1234:77",
        "999, 999:0",
        "999:1, 999:1",
        "7, 8:9"
    })
    void aUserIsWhoTheContainersOwnFilesSay(String user, String expected) {
        assertThat(resolve(user)).map(UserIds::toString).contains(expected);
    }

    @ParameterizedTest
    @CsvSource({"nobody", "broken", "app:nobody", "99999999999"})
    void aNameThatIsInNoFileIsNobody(String user) {
        assertThat(resolve(user)).isEmpty();
    }

    @Test
    void theFirstFileOfAnArchiveIsReadAndACutOneIsNone() {
        byte[] archive = new byte[2048];
        header(archive, 0, 'x', 3);
        archive[512] = 'p';
        header(archive, 1024, '0', 5);
        System.arraycopy("hello".getBytes(StandardCharsets.US_ASCII), 0, archive, 1536, 5);
        assertThat(Tar.firstFile(archive)).asString(StandardCharsets.US_ASCII).isEqualTo("hello");
        for (int length = 0; length < 1541; length++) {
            assertThat(Tar.firstFile(java.util.Arrays.copyOf(archive, length))).isEmpty();
        }
        assertThat(Tar.firstFile(new ByteArrayOutputStream().toByteArray())).isEmpty();
        assertThat(Tar.firstFile(new byte[1024])).isEmpty();
    }

    private static void header(byte[] archive, int at, char type, int size) {
        byte[] octal = "%011o\0".formatted(size).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(octal, 0, archive, at + 124, octal.length);
        archive[at + 156] = (byte) type;
    }
}
