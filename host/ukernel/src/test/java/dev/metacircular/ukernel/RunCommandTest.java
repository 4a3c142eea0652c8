package dev.metacircular.ukernel;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.metacircular.vm.VirtualMachine;
import dev.metacircular.vm.VmId;
import dev.metacircular.vm.VmSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real projects in real VMs. */
@Timeout(180)
class RunCommandTest {
    private static final String CRASHES = """
            #include <stdio.h>
            #include <string.h>
            #include <uk.h>

            __attribute__((noinline)) static int read_it(volatile int *address)
            {
                return *address;
            }

            int main(int argc, char **argv)
            {
                const char *what = argc > 1 ? argv[1] : "";
                printf("doing %s\\n", what);
                if (!strcmp(what, "null")) return read_it(0);
                if (!strcmp(what, "trap")) __builtin_trap();
                if (!strcmp(what, "spin")) for (;;) ;
                return argc > 1 ? 7 : 0;
            }
            """;

    @TempDir
    Path folder;

    private Workbench bench = new Workbench(Path.of("/"));

    @BeforeEach
    void start() {
        Workbench.requireQemu();
        bench = new Workbench(folder);
    }

    private Path project(String language) {
        assertThat(bench.run(folder, "init", "--name", "hello", "--lang", language)
                        .status())
                .isZero();
        return folder.resolve("hello");
    }

    @Test
    void aKernelPanicIsToldWithNamesAndLines() {
        Path hello = project("c");
        Workbench.Result result = bench.run(hello, "run", "--kernel-args", "ukernel.selftest=1");
        assertThat(result.status()).isEqualTo(125);
        assertThat(result.out()).contains("ukernel: panic: asked for by ukernel.selftest", "\n  by ffffffff80");
        assertThat(result.err())
                .contains("crash: panic: asked for by ukernel.selftest")
                .containsPattern("\\n  (at|by) \\S+ .*init\\.zig:[0-9]+");
        assertThat(bench.run(hello, "logs").err())
                .containsPattern("crash: panic: asked for by ukernel.selftest(?s:.*)init\\.zig:[0-9]+");
    }

    @Test
    void aFreshCProjectRuns() {
        Path hello = project("c");
        Workbench.Result result = bench.run(hello, "run", "--", "one", "two words");
        assertThat(result.err())
                .contains(
                        "build: compiled",
                        "pack: wrote",
                        "run: hello-1 on qemu",
                        "info  task 1: said hello",
                        "ended, status 0");
        assertThat(result.out()).isEqualTo("hello from hello on the µKernel\nargument 1: one\nargument 2: two words\n");
        assertThat(result.status()).isZero();
        assertThat(hello.resolve("logs/hello-1.console")).content().startsWith("hello from hello");
        assertThat(bench.run(hello, "logs", "--console").out()).isEqualTo(result.out());
        assertThat(bench.run(hello, "logs", "--records").out()).contains("info  task 1: said hello");
    }

    @Test
    void aFreshZigProjectRunsAndTellsProgramsWhatHappens() throws IOException {
        Path hello = project("zig");
        Workbench.Result result = bench.run(hello, "run", "--vcpu", "2", "--json");
        assertThat(result.status()).isZero();
        List<JsonNode> events = new ArrayList<>();
        for (String line : result.out().lines().toList()) {
            events.add(new ObjectMapper().readTree(line));
        }
        assertThat(events.getFirst().path("event").asText()).isEqualTo("started");
        assertThat(events.getFirst().path("vcpus").asInt()).isEqualTo(2);
        assertThat(events.getLast().path("event").asText()).isEqualTo("ended");
        assertThat(events.getLast().path("exit_status").asInt()).isZero();
        assertThat(events)
                .anyMatch(event -> event.path("event").asText().equals("log")
                        && event.path("text").asText().equals("said hello"))
                .anyMatch(event -> event.path("event").asText().equals("boot_phase"))
                .anyMatch(event -> event.path("event").asText().equals("console")
                        && event.path("text").asText().contains("µKernel"));
        assertThat(result.err()).isEmpty();
    }

    @Test
    void theWorkloadsStatusIsTheCommands() throws IOException {
        Path hello = project("c");
        Files.writeString(hello.resolve("src/main.c"), CRASHES);
        Workbench.Result result = bench.run(hello, "run", "--", "ukernel: panic: said by a workload");
        assertThat(result.status()).isEqualTo(7);
        Workbench.Result logs = bench.run(hello, "logs");
        assertThat(logs.out()).isEqualTo(result.out()).contains("ukernel: panic: said");
        assertThat(logs.err()).doesNotContain("crash:");
    }

    @Test
    void aNameThatAnotherRunTakesAtTheSameTimeIsLeftToIt() throws Exception {
        Path hello = project("c");
        assertThat(bench.run(hello, "pack").status()).isZero();
        Machines machines = Machines.of(bench.environment());
        machines.prepare();
        Path image = hello.resolve("dist/hello.img");
        List<VmId> names = new ArrayList<>();
        VirtualMachine vm = machines.start(machines.driver(Optional.of("qemu"), Set.of()), "hello", id -> {
            names.add(id);
            if (names.size() == 1) {
                take(machines.state().resolve(id.value()));
            }
            return VmSpec.ofImage(id, image).build();
        });
        assertThat(names).containsExactly(new VmId("hello-1"), new VmId("hello-2"));
        assertThat(vm.info().id()).isEqualTo(new VmId("hello-2"));
        assertThat(vm.await(Duration.ofSeconds(100))).isPresent();
    }

    private static void take(Path folder) {
        try {
            Files.createDirectory(folder);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aCrashNamesCauseFunctionAndLine() throws IOException {
        Path hello = project("c");
        Files.writeString(hello.resolve("src/main.c"), CRASHES);
        Workbench.Result result = bench.run(hello, "run", "--", "null");
        assertThat(result.status()).isEqualTo(139);
        assertThat(result.err())
                .contains(
                        "null pointer",
                        "at read_it (src/main.c:7)",
                        "by main (src/main.c:14)",
                        "run: hello-1: crashed, status 139");
        assertThat(bench.run(hello, "logs", "hello-1").out()).contains("rip 00000000010");
        Workbench.Result trap = bench.run(hello, "run", "--release", "--", "trap");
        assertThat(trap.status()).isEqualTo(132);
        assertThat(trap.err()).contains("illegal instruction", "main (src/main.c:15)");
    }

    @Test
    void aDetachedVmIsListedFollowedAndStopped() throws Exception {
        Path hello = project("c");
        Files.writeString(hello.resolve("src/main.c"), CRASHES);
        Workbench.Result started = bench.run(hello, "run", "--detach", "--", "spin");
        assertThat(started)
                .extracting(Workbench.Result::status, Workbench.Result::out)
                .containsExactly(0, "hello-1\n");
        assertThat(bench.run(folder, "ps").out()).contains("hello-1", "running for");
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (bench.run(folder, "logs", "hello-1").out().isEmpty() && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        Thread follower = Thread.ofVirtual().start(() -> bench.run(folder, "logs", "hello-1", "--follow"));
        Workbench.Result stopped = bench.run(hello, "stop");
        assertThat(stopped.status()).isZero();
        assertThat(stopped.out()).startsWith("hello-1: stopped");
        follower.join(20_000);
        assertThat(follower.isAlive()).isFalse();
        assertThat(bench.run(folder, "stop", "hello-1").out()).contains("nothing to do");
        assertThat(bench.run(folder, "ps").out().lines()).hasSize(1);
        assertThat(bench.run(folder, "ps", "--all").out()).contains("hello-1", "stopped, status");
        assertThat(bench.run(folder, "logs", "hello-1").out()).isEqualTo("doing spin\n");
        assertThat(bench.run(folder, "logs", "nobody").err()).contains("there is no VM 'nobody'", "ukernel ps --all");
    }

    @Test
    void anEndOfTheProcessStopsTheVm() throws Exception {
        Path hello = project("c");
        Files.writeString(hello.resolve("src/main.c"), CRASHES);
        assertThat(bench.run(hello, "pack").status()).isZero();
        Path output = folder.resolve("output");
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Main.class.getName(),
                        "run",
                        "--",
                        "spin")
                .directory(hello.toFile())
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().putAll(bench.environment());
        Process process = builder.start();
        try {
            long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (!Files.readString(output).contains("doing spin") && System.nanoTime() < deadline) {
                Thread.sleep(20);
            }
            // SIGTERM takes the same way as Ctrl-C, and a process in the background may have to ignore SIGINT.
            process.destroy();
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(output).content().contains("run: stopping hello-1", "run: hello-1: stopped, status 143");
            assertThat(process.exitValue()).isEqualTo(143);
            assertThat(bench.run(folder, "ps").out().lines()).hasSize(1);
        } finally {
            process.destroyForcibly();
        }
    }

    @Test
    void anImageRunsWithoutItsProject() throws IOException {
        Path hello = project("c");
        assertThat(bench.run(hello, "pack", "--image", "../else.img").status()).isZero();
        Workbench.Result result = bench.run(folder, "run", "--image", "else.img", "--memory", "16");
        assertThat(result.status()).isZero();
        assertThat(result.out()).startsWith("hello from hello");
    }

    @Test
    void whatCannotStartIs125OrWrongUsage() throws IOException {
        Path hello = project("c");
        assertThat(bench.run(hello, "run", "--vcpu", "99").status()).isEqualTo(2);
        assertThat(bench.run(hello, "run", "--vmm", "xen").err()).contains("there is no VMM 'xen'", "--vmm qemu");
        assertThat(bench.run(hello, "run", "--port", "8080:80").err()).contains("--net user");
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String port = "127.0.0.1:" + taken.getLocalPort() + ":80";
            Workbench.Result result = bench.run(hello, "run", "--vmm", "qemu", "--net", "user", "--port", port);
            assertThat(result.status()).isEqualTo(125);
            assertThat(result.err()).contains(Integer.toString(taken.getLocalPort()));
        }
        assertThat(bench.run(folder, "ps", "--all").out().lines()).hasSize(1);
    }
}
