package dev.metacircular.vm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a confined program sees; a shell stands for the VMM. */
@Timeout(30)
class ConfinementTest {
    private static final Path SHELL = Path.of("/usr/bin/sh");

    @TempDir
    Path folder;

    @BeforeEach
    void confinementIsPossible() {
        Confinement confinement = Confinement.orNone(folder.resolve("cache"));
        Requirement.of(confinement.isActive(), ConfinementTest.class, confinement.reason());
    }

    private Path state() throws IOException {
        return Files.createDirectories(folder.resolve("state"));
    }

    private String run(Confinement.Needs needs, String script) throws IOException, InterruptedException {
        List<String> words =
                Confinement.orNone(folder.resolve("cache")).wrap(needs, List.of(SHELL.toString(), "-c", script));
        Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    private Confinement.Needs nothing() throws IOException {
        return new Confinement.Needs(state(), SHELL, List.of(), List.of(), false, false, false);
    }

    @Test
    void onlyTheVmsOwnFilesAreThere() throws Exception {
        Path image = Files.writeString(folder.resolve("image"), "image");
        Path disk = Files.writeString(folder.resolve("disk"), "disk");
        Files.writeString(folder.resolve("other"), "other");
        Confinement.Needs needs =
                new Confinement.Needs(state(), SHELL, List.of(image), List.of(disk), false, false, false);

        String seen = run(
                needs,
                "ls " + folder + "; ls /dev; echo changed > " + disk + "; (echo changed > " + image
                        + ") 2>/dev/null || echo refused; pwd; cat /etc/passwd /root/.profile 2>&1 | grep -c directory");

        assertThat(seen.lines())
                .containsExactly("disk", "image", "state", "null", "urandom", "refused", state().toString(), "2");
        assertThat(disk).hasContent("changed");
        assertThat(image).hasContent("image");
    }

    @Test
    void thereIsNoNetworkUnlessTheVmHasOne() throws Exception {
        Confinement.Needs network = new Confinement.Needs(state(), SHELL, List.of(), List.of(), false, false, true);

        assertThat(run(nothing(), "tail -n +3 /proc/net/dev | cut -d: -f1").strip())
                .isIn("lo", "");
        assertThat(run(network, "readlink /proc/self/ns/net").strip())
                .isEqualTo(Files.readSymbolicLink(Path.of("/proc/self/ns/net")).toString());
    }

    @Test
    void noOtherProcessIsSeenAndNoPrivilegeIsLeft() throws Exception {
        String seen = run(nothing(), "echo $$; grep -E '^(NoNewPrivs|CapEff)' /proc/self/status");

        assertThat(seen.lines().findFirst()).contains("1");
        assertThat(seen).contains("NoNewPrivs:\t1");
        if (!System.getProperty("user.name").equals("root")) {
            assertThat(seen).contains("CapEff:\t0000000000000000");
        }
    }

    @Test
    void withoutBubblewrapTheVmmRunsAndTheReasonIsSaid() throws Exception {
        Confinement none = Confinement.find(folder.toString(), folder.resolve("cache"));

        assertThat(none.wrap(nothing(), List.of("vmm"))).containsExactly("vmm");
        assertThat(none.description()).contains("bubblewrap is not installed");
        assertThat(none.finding().status()).isEqualTo(Finding.Status.LACKING);
    }

    @Test
    void aBubblewrapThatTheHostRefusesIsNotUsed() throws Exception {
        Path refused = Files.writeString(
                folder.resolve("bwrap"),
                "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
        assertThat(refused.toFile().setExecutable(true)).isTrue();

        Confinement none = Confinement.find(folder.toString(), folder.resolve("cache2"));

        assertThat(none.isActive()).isFalse();
        assertThat(none.reason()).contains("No permissions to create new namespace");
        assertThat(Optional.of(none.isActive())).contains(false);
    }
}
