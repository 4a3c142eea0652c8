package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What needs no VM. */
class CommandsTest {
    @TempDir
    Path folder;

    private Workbench bench = new Workbench(Path.of("/"));

    @BeforeEach
    void start() {
        bench = new Workbench(folder);
    }

    private Path project(String name, String language) {
        assertThat(bench.run(folder, "init", "--name", name, "--lang", language).status())
                .isZero();
        return folder.resolve(name);
    }

    @Test
    void initMakesAProjectAndLeavesOtherFoldersAlone() throws IOException {
        Path hello = project("hello", "c");
        assertThat(hello.resolve("ukernel.toml")).content().contains("name     = \"hello\"", "language = \"c\"");
        assertThat(hello.resolve("src/main.c")).exists();
        Workbench.Result again = bench.run(folder, "init", "--name", "hello", "--lang", "zig");
        assertThat(again.status()).isEqualTo(1);
        assertThat(again.err()).contains("is not empty", "choose another --name");

        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThat(bench.run(empty, "init", "--lang", "zig").status()).isZero();
        assertThat(empty.resolve("ukernel.toml")).content().contains("name     = \"empty\"");
        assertThat(ProjectFile.parse(empty).faults()).isEmpty();
    }

    @Test
    void wrongUsageNamesWhatIsNearAndExitsWith2() {
        assertThat(bench.run(folder, "bild"))
                .satisfies(result -> assertThat(result.status()).isEqualTo(2))
                .satisfies(result -> assertThat(result.err()).contains("'bild'", "did you mean: build"));
        assertThat(bench.run(folder, "run", "--vpcu", "2").err()).contains("did you mean: --vcpu");
        assertThat(bench.run(folder, "init", "--lang", "cobol").status()).isEqualTo(2);
        assertThat(bench.run(folder).status()).isEqualTo(2);
        Workbench.Result json = bench.run(folder, "build", "--json");
        assertThat(json.status()).isEqualTo(1);
        assertThat(json.out())
                .startsWith("{\"result\":\"failed\",\"error\":{\"kind\":\"not_found\",\"what\":\"no ukernel.toml");
        assertThat(json.err()).startsWith("error: ");
    }

    @Test
    void aFaultyProjectFileExitsWith2AndNamesTheLine() throws IOException {
        Path hello = project("hello", "c");
        Files.writeString(
                hello.resolve("ukernel.toml"), Files.readString(hello.resolve("ukernel.toml")) + "speed = 9\n");
        Workbench.Result result = bench.run(hello, "build");
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err()).contains("ukernel.toml:16:1: unknown key 'speed'");
    }

    @Test
    void eachStepDoesOnlyWhatChanged() throws IOException {
        Workbench.requireGuest();
        Path hello = project("hello", "c");
        assertThat(bench.run(hello, "pack").err())
                .contains("build: compiled build/hello", "pack: wrote dist/hello.img");
        assertThat(bench.run(hello, "pack").err()).contains("build: nothing to do", "pack: nothing to do");
        Files.writeString(
                hello.resolve("src/main.c"),
                Files.readString(hello.resolve("src/main.c")).replace("hello from", "greetings from"));
        assertThat(bench.run(hello, "pack").err()).contains("build: compiled", "pack: wrote");
        Files.delete(hello.resolve("dist/hello.img"));
        assertThat(bench.run(hello, "pack").err()).contains("build: nothing to do", "pack: wrote");
        Files.writeString(hello.resolve("dist/hello.img"), "damaged");
        assertThat(bench.run(hello, "pack").err()).contains("pack: wrote");
    }

    @Test
    void sourcesThatDoNotCompileAreShownWithTheirLine() throws IOException {
        Workbench.requireGuest();
        Path hello = project("hello", "c");
        Files.writeString(hello.resolve("src/main.c"), "int main(void)\n{\n    return speed;\n}\n");
        Workbench.Result result = bench.run(hello, "build");
        assertThat(result.status()).isEqualTo(1);
        assertThat(result.err()).contains("src/main.c:3:12", "speed", "next: mend the lines above");
        assertThat(bench.run(hello, "build").status()).isEqualTo(1);
        Files.delete(hello.resolve("src/main.c"));
        assertThat(bench.run(hello, "build").err()).contains("the entry src/main.c is missing");
    }

    @Test
    void theSameProjectElsewhereGivesTheSameImage() throws IOException {
        Workbench.requireGuest();
        for (String language : new String[] {"c", "zig"}) {
            Path one = project("same", language);
            Path two = Files.createDirectories(folder.resolve("quite/another place"))
                    .resolve("same");
            copy(one, two);
            assertThat(bench.run(one, "pack").status()).isZero();
            assertThat(bench.run(two, "pack").status()).isZero();
            assertThat(one.resolve("dist/same.img")).hasSameBinaryContentAs(two.resolve("dist/same.img"));
            assertThat(bench.run(folder, "diff", one + "/dist/same.img", two + "/dist/same.img"))
                    .isEqualTo(new Workbench.Result(0, "no difference\n", ""));
            delete(one);
            delete(two);
        }
    }

    @Test
    void filesOfTheProjectStandInTheImageAndInspectAndDiffShowThem() throws IOException {
        Workbench.requireGuest();
        Path hello = project("hello", "c");
        Files.writeString(
                hello.resolve("ukernel.toml"),
                Files.readString(hello.resolve("ukernel.toml")).replace("[build]", "[build]\nfiles = \"root\""));
        Files.createDirectories(hello.resolve("root/etc"));
        Files.writeString(hello.resolve("root/etc/greeting"), "hello\n");
        assertThat(bench.run(hello, "pack").status()).isZero();
        Workbench.Result inspected = bench.run(hello, "inspect", "--json", "--files");
        JsonNode json = new ObjectMapper().readTree(inspected.out());
        assertThat(json.path("verified").asBoolean()).isTrue();
        assertThat(json.path("adapter").asText()).isEqualTo("native");
        assertThat(json.path("entries").findValuesAsText("path")).contains("/app/hello", "/etc/greeting", "/kernel");
        assertThat(json.path("segments").findValuesAsText("role"))
                .containsExactly("metadata", "kernel", "adapter", "workload");

        Path before = Files.copy(hello.resolve("dist/hello.img"), folder.resolve("before.img"));
        Files.writeString(hello.resolve("root/etc/greeting"), "good morning\n");
        assertThat(bench.run(hello, "pack").err()).contains("build: nothing to do", "pack: wrote");
        Workbench.Result diff = bench.run(hello, "diff", before.toString(), "dist/hello.img");
        assertThat(diff.status()).isEqualTo(1);
        assertThat(diff.out()).isEqualTo("/etc/greeting: 6 → 13 bytes\n    The workload's files differ.\n");

        byte[] bytes = Files.readAllBytes(before);
        bytes[bytes.length - 4096] ^= 1;
        Files.write(before, bytes);
        Workbench.Result damaged = bench.run(hello, "inspect", before.toString());
        assertThat(damaged.status()).isEqualTo(1);
        assertThat(damaged.err()).contains("before.img' is not a sound image", "Pack it again");
    }

    @Test
    void damagedDebugInformationGivesFewerNamesAndNeverAnError() throws IOException {
        Workbench.requireGuest();
        Path hello = project("hello", "c");
        assertThat(bench.run(hello, "build").status()).isZero();
        byte[] sound = Files.readAllBytes(hello.resolve("build/hello.debug"));
        List<Long> addresses = ElfFile.of(sound).orElseThrow().functions().stream()
                .map(function -> function.address() + function.sizeBytes() / 2)
                .toList();
        Random random = new Random(7);
        Path damaged = folder.resolve("damaged");
        int named = 0;
        for (int round = 0; round < 100; round++) {
            byte[] bytes = sound.clone();
            for (int flips = 0; flips < 200; flips++) {
                bytes[random.nextInt(round % 2 == 0 ? bytes.length : 4096)] = (byte) random.nextInt();
            }
            Files.write(damaged, bytes);
            for (Symbols symbols : Symbols.of(damaged).stream().toList()) {
                for (long address : addresses) {
                    named += symbols.describe(address).isPresent() ? 1 : 0;
                }
            }
        }
        assertThat(named).isPositive();
    }

    private static void copy(Path from, Path to) throws IOException {
        try (var files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        try (var files = Files.walk(folder)) {
            for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
