package dev.metacircular.runtime.microvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.runtime.RuntimeFailure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a node says of {@code kernel = "nanos"}. Scripts stand for an {@code ops} that fails, for the real one fails in no way that is asked for. */
@Timeout(120)
final class NanosTest {
    @TempDir
    private Path folder;

    private Path home;
    private Path bin;

    @BeforeEach
    void aNode() throws IOException {
        home = Files.createDirectory(folder.resolve("home"));
        bin = Files.createDirectory(folder.resolve("bin"));
    }

    private Nanos nanos() {
        return new Nanos(bin.toString(), home);
    }

    private void release() throws IOException {
        Path release = Files.createDirectories(home.resolve(".ops/0.1.55"));
        Files.writeString(release.resolveSibling("latest.txt"), "0.1.55");
        Files.writeString(release.resolve("kernel.img"), "kernel");
        Files.writeString(release.resolve("boot.img"), "boot");
    }

    private void ops(String... lines) throws IOException {
        Path file = Files.writeString(bin.resolve("ops"), "#!/bin/sh\n" + String.join("\n", lines) + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    /** An image that holds what it was given, made as {@code ops} names it. */
    private static final String BUILDS =
            "mkdir -p $OPS_HOME/.ops/images && cat root/etc/resolv.conf config.json > $OPS_HOME/.ops/images/guest";

    private void refuses(String... parts) {
        assertThat(nanos().refusal())
                .hasValueSatisfying(why ->
                        assertThat(why).startsWith("kernel = \"nanos\" needs ").contains(parts))
                .hasValueSatisfying(why -> assertThat(why).endsWith("; or use kernel = \"ukernel\""));
        assertThatThrownBy(() -> nanos().require())
                .isInstanceOfSatisfying(
                        RuntimeFailure.class, e -> assertThat(e.kind()).isEqualTo(RuntimeFailure.Kind.UNSUPPORTED));
    }

    @Test
    void saysWhatIsMissing() throws IOException {
        refuses(
                "NanoVMs' ops (https://ops.city)",
                "search path",
                home.resolve(".ops/bin/ops").toString());
        ops("echo 'Bootable image file:x'");
        refuses(home.resolve(".ops/latest.txt").toString(), "ops update");
        release();
        Files.writeString(home.resolve(".ops/latest.txt"), "../../etc");
        refuses("does not tell which");
        Files.writeString(home.resolve(".ops/latest.txt"), "0.1.55\n");
        Files.delete(home.resolve(".ops/0.1.55/boot.img"));
        refuses(home.resolve(".ops/0.1.55/boot.img") + " of ops, which is not there");
        assertThat(nanos().title()).isEmpty();
    }

    @Test
    void anExitStatusOfZeroIsNoImage() throws IOException {
        release();
        ops("echo 'error: disk is round'", "exit 0");
        refuses("cannot build an image here: it does not say that it built an image: error: disk is round");
        ops("echo 'Bootable image file:/x'", "exit 0");
        refuses("it says that it built an image, and there is none");
    }

    @Test
    void anOldImageIsNoImage() throws IOException {
        release();
        Path old = Files.write(folder.resolve("old"), new byte[8192]);
        Files.setLastModifiedTime(old, FileTime.from(Instant.now().minusSeconds(3600)));
        ops(
                "mkdir -p $OPS_HOME/.ops/images",
                "cp " + old + " $OPS_HOME/.ops/images/guest",
                "echo \"Bootable image file:$OPS_HOME/.ops/images/guest\"");
        refuses("the image that it left is not made of what it was given");
    }

    @Test
    void aBuildThatHangsIsEndedWithAllThatItStarted() throws IOException, InterruptedException {
        release();
        ops("echo $$ > " + folder.resolve("pid"), "sleep 600 &", "wait");
        Path work = Files.createDirectory(folder.resolve("work"));
        OpsBuild build = new OpsBuild(work, Duration.ofSeconds(1));
        Nanos.Release release = new Nanos.Release(bin.resolve("ops"), "0.1.55", work, work, "");
        assertThatThrownBy(() -> build.run(release, new OpsBuild.Program("/p", List.of("p"), Map.of(), "/")))
                .isInstanceOf(OpsBuild.Failed.class)
                .hasMessage("it did not end within 1 s");
        long pid = Long.parseLong(Files.readString(folder.resolve("pid")).strip());
        for (int i = 0; i < 100 && ProcessHandle.of(pid).isPresent(); i++) {
            Thread.sleep(50);
        }
        assertThat(ProcessHandle.of(pid)).isEmpty();
        assertThat(ProcessHandle.current()
                        .descendants()
                        .map(p -> p.info().commandLine().orElse("")))
                .noneMatch(line -> line.contains("sleep 600"));
    }

    @Test
    void aFailedTrialIsRepeatedWhenSomethingHasChanged() throws IOException {
        release();
        ops("exit 0");
        Nanos nanos = nanos();
        assertThat(nanos.title()).contains("nanos 0.1.55");
        assertThat(nanos.refusal()).isPresent();
        assertThat(nanos.title()).isEmpty();
        ops(BUILDS, "echo 'Bootable image file:x'", "echo x >> " + folder.resolve("builds"));
        assertThat(nanos.refusal()).isEmpty();
        assertThat(nanos.require().version()).isEqualTo("0.1.55");
        assertThat(nanos.title()).contains("nanos 0.1.55");
        assertThat(folder.resolve("builds")).hasContent("x");
    }

    @Test
    void opsGetsAHomeOfItsOwnAndNobodyElsesVariables() throws IOException, OpsBuild.Failed {
        release();
        ops("env > " + folder.resolve("env"), BUILDS, "cp config.json " + folder, "echo 'Bootable image file:x'");
        Path work = Files.createDirectory(folder.resolve("work"));
        OpsBuild build = new OpsBuild(work, Duration.ofSeconds(20));
        Nanos.Release release = new Nanos.Release(bin.resolve("ops"), "0.1.55", work, work, "");
        OpsBuild.Built built =
                build.run(release, new OpsBuild.Program("/p", List.of("p", "it's"), Map.of("A", "1\n2"), "/srv"));
        assertThat(built.resolver()).isZero();
        assertThat(List.of(built.address(), built.mask(), built.gateway()))
                .doesNotHaveDuplicates()
                .allMatch(place -> place > OpsBuild.RESOLVER_BYTES);
        assertThat(Files.readString(folder.resolve("env")).lines().map(l -> l.replaceAll("=.*", "")))
                .containsOnly("OPS_HOME", "HOME", "TMPDIR", "PATH", "HTTP_PROXY", "HTTPS_PROXY", "PWD");
        assertThat(Files.readString(folder.resolve("env"))).contains("OPS_HOME=" + work);
        assertThat(Files.readString(folder.resolve("config.json")))
                .contains("\"it's\"", "\"A\":\"1\\n2\"", "\"cwd\":\"/srv\"", "\"program\":\"/p\"");
        assertThat(Files.getPosixFilePermissions(work.resolve("config.json"))).hasToString("[OWNER_READ, OWNER_WRITE]");
    }

    @Test
    void theRealOneBuildsAndIsNotToldToRunWhatItIsGiven() throws IOException, OpsBuild.Failed {
        Optional<NanosTools> tools = NanosTools.named();
        if (tools.isEmpty()) {
            System.out.println("NOT RUN: NanosTest with the real ops: " + NanosTools.NOT_RUN);
        }
        assumeTrue(tools.isPresent(), "NOT RUN: " + NanosTools.NOT_RUN);
        Nanos real = new Nanos(tools.get().searchPath(), tools.get().home());
        assertThat(real.refusal()).isEmpty();

        Path work = Files.createDirectory(folder.resolve("work"));
        OpsBuild build = new OpsBuild(work, Duration.ofSeconds(60));
        // A program that says so when it runs; it is dynamically linked, and ops would run it.
        Files.copy(Path.of("/usr/bin/touch"), build.root().resolve("touch"));
        Files.createSymbolicLink(build.root().resolve("link"), Path.of("touch"));
        OpsBuild.Built built = build.run(
                real.require(), new OpsBuild.Program("/touch", List.of("touch", "/ran"), Map.of("A", "b"), "/"));
        assertThat(built.image()).isNotEmptyFile();
        assertThat(built.resolver() % 512).isZero();
        try (Stream<Path> left = Files.list(work)) {
            assertThat(left.map(p -> p.getFileName().toString()))
                    .containsExactlyInAnyOrder("home", "root", "config.json", ".ops-stand-in");
        }
    }

    @Test
    void theRealOnesLiesAreNotBelieved() throws IOException {
        Optional<NanosTools> tools = NanosTools.named();
        assumeTrue(tools.isPresent(), "NOT RUN: " + NanosTools.NOT_RUN);
        release();
        Files.createSymbolicLink(bin.resolve("ops"), tools.get().ops().toAbsolutePath());
        Files.delete(home.resolve(".ops/0.1.55/kernel.img"));
        Files.createDirectory(home.resolve(".ops/0.1.55/kernel.img"));
        refuses("kernel.img");
    }
}
