package dev.metacircular.ukernel;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The typical run that the build trains the start-up cache with: a project from nothing to its image, and a VM where QEMU is installed.
 * A command that fails trains less, and is no failure. The argument is a scratch folder.
 */
final class Training {
    private Training() {}

    public static void main(String[] arguments) throws IOException {
        Path scratch = Files.createDirectories(Path.of(arguments[0])).toAbsolutePath();
        Map<String, String> environment = new HashMap<>(System.getenv());
        environment.put("XDG_STATE_HOME", scratch.resolve("state").toString());
        environment.put("XDG_CACHE_HOME", scratch.resolve("cache").toString());
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        Path project = scratch.resolve("training");
        Main.run(new Cli(environment, scratch, nowhere, System.err), "init", "--name", "training", "--lang", "c");
        Cli cli = new Cli(environment, project, nowhere, System.err);
        for (List<String> command : List.of(
                List.of("pack"),
                List.of("run", "--vmm", "qemu", "--accel", "emulation"),
                List.of("ps", "--all", "--json"),
                List.of("logs"),
                List.of("inspect"),
                List.of("--help"))) {
            Main.run(cli, command.toArray(new String[0]));
        }
        System.exit(0);
    }
}
