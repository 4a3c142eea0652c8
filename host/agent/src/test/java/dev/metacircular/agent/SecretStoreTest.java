package dev.metacircular.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.metacircular.model.Component;
import dev.metacircular.model.ComponentId;
import dev.metacircular.model.Name;
import dev.metacircular.model.Problem;
import dev.metacircular.model.ProblemException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SecretStoreTest {
    private static final Name SHOP = Name.of("shop");
    private static final ComponentId WEB = ComponentId.of("shop", "web");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    private Path scratch;

    @SuppressWarnings("NullAway.Init")
    private SecretStore store;

    @BeforeEach
    void open() throws IOException {
        store = new SecretStore(scratch.resolve("secrets"), Clock.systemUTC());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Component component(String... secrets) {
        return Component.builder("web", "localhost/web:v1")
                .secrets(java.util.List.of(secrets))
                .build();
    }

    private static Problem.Kind kind(ThrowingCallable call) {
        return catchThrowableOfType(ProblemException.class, call).problem().kind();
    }

    @Test
    void valuesSurviveAndArePrivate() throws IOException {
        store.set(SHOP, "PASSWORD", bytes("first"));
        store.set(SHOP, "PASSWORD", bytes("two\nlines ünd more"));
        store.set(SHOP, "OTHER", bytes("1 00000000000000000000000000000000 5\n"));
        Files.writeString(scratch.resolve("secrets/shop/.new"), "half");
        store = new SecretStore(scratch.resolve("secrets"), Clock.systemUTC());
        assertThat(store.give(WEB, component("PASSWORD", "OTHER"), "d").values())
                .containsEntry("PASSWORD", "two\nlines ünd more")
                .containsEntry("OTHER", "1 00000000000000000000000000000000 5\n");
        assertThat(store.list(SHOP)).extracting(SecretStore.Known::name).containsExactly("OTHER", "PASSWORD");
        assertThat(mode("secrets")).isEqualTo("rwx------");
        assertThat(mode("secrets/shop")).isEqualTo("rwx------");
        assertThat(mode("secrets/shop/PASSWORD")).isEqualTo("rw-------");
        assertThat(scratch.resolve("secrets/shop/.new")).doesNotExist();
    }

    private String mode(String path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(scratch.resolve(path)));
    }

    @Test
    void whatNoEnvironmentVariableCanHoldIsRefused() {
        assertThat(kind(() -> store.set(SHOP, "A", new byte[0]))).isEqualTo(Problem.Kind.INVALID);
        assertThat(kind(() -> store.set(SHOP, "A", new byte[] {'a', 0}))).isEqualTo(Problem.Kind.INVALID);
        assertThat(kind(() -> store.set(SHOP, "A", new byte[] {(byte) 0xff}))).isEqualTo(Problem.Kind.INVALID);
        assertThat(kind(() -> store.set(SHOP, "A", bytes("x".repeat(SecretStore.MAX_VALUE_BYTES + 1)))))
                .isEqualTo(Problem.Kind.INVALID);
        for (String name : new String[] {"", "1A", "A-B", "../A", "A/B", ".new", "A".repeat(129)}) {
            assertThat(kind(() -> store.set(SHOP, name, bytes("x")))).as(name).isEqualTo(Problem.Kind.INVALID);
        }
        store.set(SHOP, "A", bytes("x".repeat(SecretStore.MAX_VALUE_BYTES)));
        assertThat(store.list(SHOP)).hasSize(1);
    }

    @Test
    void aServiceHasABoundedNumber() {
        for (int i = 0; i < SecretStore.MAX_OF_SERVICE; i++) {
            store.set(SHOP, "S" + i, bytes("x"));
        }
        assertThat(kind(() -> store.set(SHOP, "MORE", bytes("x")))).isEqualTo(Problem.Kind.EXHAUSTED);
        store.set(SHOP, "S0", bytes("y"));
        store.set(Name.of("other"), "S0", bytes("x"));
    }

    @Test
    void oneThatIsNotSetIsNamedWithWhatSetsIt() {
        ProblemException failure =
                catchThrowableOfType(ProblemException.class, () -> store.requireSet(WEB, component("PASSWORD")));
        assertThat(failure.problem().what()).contains("PASSWORD");
        assertThat(failure.problem().next()).isEqualTo("mcp secret set shop PASSWORD");
    }

    @Test
    void theDigestTellsThatAValueIsAnotherOneAndNothingOfIt() {
        assertThat(store.digest(WEB, component(), "d")).isEqualTo("d");
        store.set(SHOP, "PASSWORD", bytes("same"));
        String first = store.digest(WEB, component("PASSWORD"), "d");
        assertThat(first)
                .isNotEqualTo("d")
                .isEqualTo(store.give(WEB, component("PASSWORD"), "d").digest());
        store.set(SHOP, "PASSWORD", bytes("same"));
        assertThat(store.digest(WEB, component("PASSWORD"), "d")).isNotEqualTo(first);
    }

    @Test
    void whatIsRemovedIsGone() {
        store.set(SHOP, "A", bytes("x"));
        store.set(SHOP, "B", bytes("x"));
        store.remove(SHOP, "A");
        assertThat(kind(() -> store.remove(SHOP, "A"))).isEqualTo(Problem.Kind.NOT_FOUND);
        assertThat(store.removeAll(SHOP)).containsExactly("B");
        assertThat(scratch.resolve("secrets")).isEmptyDirectory();
    }
}
