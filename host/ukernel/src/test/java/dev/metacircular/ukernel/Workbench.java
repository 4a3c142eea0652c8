package dev.metacircular.ukernel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.metacircular.vm.QemuDriver;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/** Runs commands in this process, with the checkout's own kernel, library and Zig, and VMs of their own. */
final class Workbench {
    private final Map<String, String> environment = new HashMap<>();

    /** What a command left. */
    record Result(int status, String out, String err) {}

    /** @param folder holds the VMs' state, the cache and the projects */
    Workbench(Path folder) {
        Path home = home();
        environment.put("METACIRCULAR_HOME", home.toString());
        environment.put("PATH", System.getenv("PATH"));
        environment.put("XDG_STATE_HOME", folder.resolve("state").toString());
        environment.put(
                "XDG_CACHE_HOME", home.resolve("build-output/test-cache").toString());
        String zig = System.getenv("ZIG");
        if (zig != null) {
            environment.put("ZIG", zig);
        }
    }

    /** The checkout that this test runs in. */
    static Path home() {
        Path folder = Path.of("").toAbsolutePath();
        while (folder != null && !Files.isRegularFile(folder.resolve("guest/build.zig"))) {
            folder = folder.getParent();
        }
        assumeTrue(folder != null, "not run in a checkout");
        return Objects.requireNonNull(folder);
    }

    /** Skips a test where nothing can be built. */
    static void requireGuest() {
        Path home = home();
        assumeTrue(
                Files.exists(home.resolve("guest/zig-out/sdk/include/ukernel.h"))
                        && Files.exists(home.resolve("guest/zig-out/kernel/ukernel-full.elf")),
                "the guest is not built (./build)");
        assumeTrue(
                System.getenv("ZIG") != null || Files.exists(home.resolve("build-output/zig")),
                "the pinned Zig is not installed (./build)");
    }

    /** Skips a test where nothing can be run. */
    static void requireQemu() {
        requireGuest();
        assumeTrue(
                QemuDriver.findIn(System.getenv("PATH")).isPresent(),
                "QEMU is not installed (apt-get install qemu-system-x86)");
    }

    Map<String, String> environment() {
        return Map.copyOf(environment);
    }

    Result run(Path folder, String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        PrintStream outStream = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream errStream = new PrintStream(err, true, StandardCharsets.UTF_8);
        int status = Main.run(new Cli(environment, folder, outStream, errStream), arguments);
        outStream.flush();
        return new Result(status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }
}
