package dev.metacircular.cli;

import dev.metacircular.cli.transport.Warmup;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/**
 * What the AOT cache (JEP 514) is trained with: the usual commands in one process, against the nodes that the environment's
 * configuration names, with what they print thrown away. The start-up of {@link Main} is part of it.
 */
public final class Training {
    private static final List<String[]> COMMANDS = List.of(
            words("--help"),
            words("ps"),
            words("ps --json"),
            words("list"),
            words("status"),
            words("logs shop --tail 1"),
            words("validate"),
            words("deploy shop --dry-run"),
            words("node list"));

    /** For a build on a busy machine. */
    private static final Optional<Double> PATIENCE_SECONDS = Optional.of(120.0);

    private Training() {}

    private static String[] words(String line) {
        return line.split(" ");
    }

    /**
     * Ends the process with 0 if every command reached its node. One that fails there, for want of a service or of podman, has trained what
     * it is for all the same.
     */
    public static void main(String[] arguments) {
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        Session process = Session.ofProcess();
        Session quiet = new Session(
                process.in(),
                nowhere,
                process.err(),
                process.streams(),
                process.environment(),
                process.clock(),
                process.directory(),
                false,
                PATIENCE_SECONDS);
        Warmup.start();
        for (String[] command : COMMANDS) {
            int status = Cli.run(command, quiet);
            if (status > 1) {
                process.err().println("error: training: mcp " + String.join(" ", command) + " ended with " + status);
                System.exit(status);
            }
        }
        Main.main(new String[] {"--version"});
    }
}
